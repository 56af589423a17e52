/** Limits on what clients can make the relay hold and do. */
import { DERP_HEADER_BYTES, DERP_KEY_BYTES, DERP_PACKET_MAX_BYTES } from '../../../wire/derp.ts';

export interface RelayLimits {
  /** Connections that have logged in. Default 10,000. */
  readonly clientsMax: number;
  /** Connections of one key, beyond which the oldest is ended. Default 8: clones of a device, and reconnects. */
  readonly clientsPerKeyMax: number;
  /** Connections that have not logged in. Default 512. */
  readonly loggingInMax: number;
  /** The same from one address (IPv4) or /64 (IPv6). Default 64: an office behind one NAT that comes back at once. */
  readonly loggingInPerSourceMax: number;
  /** From the connection to the client's info. Default 10,000. */
  readonly loginMs: number;
  /** What waits for one client beyond its socket; then the oldest packets are dropped. Default 256 KiB. */
  readonly clientQueueMaxBytes: number;
  /** What waits for all clients of one tailnet. Default 16 MiB. */
  readonly tailnetQueueMaxBytes: number;
  /** What waits for all clients. Default 64 MiB. */
  readonly totalQueueMaxBytes: number;
  /**
   * A client whose socket has not emptied for this long is ended. Default 60,000: what a socket holds takes
   * half of that at 4 kB/s, and what waits is bounded anyway.
   */
  readonly writeStallMs: number;
}

export const DEFAULT_RELAY_LIMITS: RelayLimits = {
  clientsMax: 10_000,
  clientsPerKeyMax: 8,
  loggingInMax: 512,
  loggingInPerSourceMax: 64,
  loginMs: 10_000,
  clientQueueMaxBytes: 256 * 1024,
  tailnetQueueMaxBytes: 16 * 1024 * 1024,
  totalQueueMaxBytes: 64 * 1024 * 1024,
  writeStallMs: 60_000,
};

/** Between looks at every client: for limits of time, keep-alives, and whether its key is still admitted. */
export const RELAY_SWEEP_MS = 5_000;

/** What one client may send; it is told, and reading from it pauses above. */
export interface RelayRate {
  /** At least `RATE_MIN_BYTES_PER_SECOND`. */
  readonly bytesPerSecond: number;
  /** At least `RATE_BURST_MIN_BYTES`. */
  readonly burstBytes: number;
}

/** More slowly, a client that has sent a large packet would be taken for one that is silent. */
export const RATE_MIN_BYTES_PER_SECOND = 1000;
/** One frame of the greatest size: a client that is told of less sends none of that size. */
export const RATE_BURST_MIN_BYTES = DERP_HEADER_BYTES + DERP_KEY_BYTES + DERP_PACKET_MAX_BYTES;
