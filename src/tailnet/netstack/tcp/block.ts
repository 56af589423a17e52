/**
 * The transmission control block (RFC 9293 section 3.3.1): all that a connection knows, as plain data.
 * `arrival.ts` changes it by segments, `transmit.ts` by what may be sent, `timers.ts` by time, and
 * `connection.ts` by the application. Sequence numbers are signed 32-bit, times ms on one clock,
 * `NEVER` where a timer is off.
 */
import type { TcpHeaderFields } from '../../../wire/tcp.ts';
import type { TcpCounters } from '../counters.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import type { Cubic } from './cubic.ts';
import type { InFlight } from './in-flight.ts';
import type { ReceiveQueue } from './receive-queue.ts';
import type { RoundTrip } from './round-trip.ts';
import type { SendBuffer } from './send-buffer.ts';

/** RFC 9293 section 3.3.2; LISTEN is a listener, not a connection. */
export type TcpState =
  | 'syn-sent'
  | 'syn-received'
  | 'established'
  | 'fin-wait-1'
  | 'fin-wait-2'
  | 'close-wait'
  | 'closing'
  | 'last-ack'
  | 'time-wait'
  | 'closed';

/** Why a connection ended other than by FIN: the codes of node:net. */
export type TcpFailure =
  | 'ECONNREFUSED'
  | 'ECONNRESET'
  | 'ETIMEDOUT'
  | 'EHOSTUNREACH'
  | 'ENETUNREACH'
  | 'ECONNABORTED';

/** What a connection tells its owner. Called last in any processing, so each may call back at once. */
export interface TcpHandlers {
  /** The handshake is done. */
  connected(): void;
  /** There is more to read, or the peer's FIN came. */
  readable(): void;
  /** There is room again after a write that was not taken whole. */
  writable(): void;
  /** The connection failed; nothing else comes. */
  failed(failure: TcpFailure): void;
}

/** Limits of one connection. */
export interface TcpLimits {
  /** The receive window: 64 KiB to 16 MiB. */
  readonly receiveBufferBytes: number;
  /** At most so many bytes wait to be acknowledged; rounded up to a power of two. */
  readonly sendBufferBytes: number;
}

/** What a connection needs of the stack around it. */
export interface TcpHost {
  readonly limits: TcpLimits;
  readonly memory: MemoryBudget;
  readonly counters: TcpCounters;
  /** The largest packet that leaves. */
  readonly mtu: number;
  /** One header record and one packet buffer for all connections; a packet is written and sent at once. */
  readonly header: TcpHeaderFields;
  readonly packet: Buffer;
  /** Sends the first `bytes` of `packet`. */
  transmit(bytes: number): void;
  /** A timer may have become earlier. */
  reschedule(block: TcpBlock): void;
  /** A connection that was asked for from outside is established. */
  accept(block: TcpBlock, now: number): void;
  /** It waits out TIME-WAIT. */
  noteTimeWait(block: TcpBlock): void;
  /** It is gone. */
  forget(block: TcpBlock): void;
}

export const NEVER = Number.POSITIVE_INFINITY;

export interface TcpBlock {
  readonly host: TcpHost;
  readonly localAddress: Buffer;
  readonly remoteAddress: Buffer;
  readonly localPort: number;
  readonly remotePort: number;
  readonly isPassive: boolean;
  state: TcpState;
  handlers: TcpHandlers | null;
  /** The application closed both directions and has no handlers any more. */
  isOrphan: boolean;

  /* Sending. */
  readonly sendBuffer: SendBuffer;
  readonly inFlight: InFlight;
  readonly roundTrip: RoundTrip;
  readonly congestion: Cubic;
  readonly initialSequence: number;
  sendUnacknowledged: number;
  sendNext: number;
  /** Sequence number of the buffer's first byte. */
  bufferSequence: number;
  sendWindow: number;
  sendWindowMax: number;
  windowSequence: number;
  windowAcknowledgment: number;
  sendScale: number;
  /** What the peer takes and the path carries, without options. */
  mss: number;
  finQueued: boolean;
  finSent: boolean;
  noDelay: boolean;
  /** A write was not taken whole. */
  wantsWritable: boolean;

  /* Receiving. */
  readonly receiveQueue: ReceiveQueue;
  receiveNext: number;
  /** The right edge that was offered; it never moves back. */
  receiveEdge: number;
  receiveScale: number;
  /** The largest segment that came: what an acknowledgment is due for twice of. */
  receiveMss: number;
  unacknowledgedBytes: number;
  /** Sequence number of the peer's FIN, once it came and while bytes before it are missing. */
  heldFin: number | null;
  finReceived: boolean;
  ackNow: boolean;
  duplicateLeft: number;
  duplicateRight: number;

  /* Options. */
  sackPermitted: boolean;
  timestamps: boolean;
  timestampOffset: number;
  timestampRecent: number;
  timestampRecentAt: number;
  lastAckSent: number;

  /* Recovery. */
  recovery: 'none' | 'fast' | 'timeout';
  recoveryPoint: number;
  duplicateAcks: number;
  mustRetransmit: boolean;
  windowLimited: boolean;
  /** Retransmissions of this recovery that no D-SACK has shown to be needless; -1 once it cannot be undone. */
  undoCount: number;
  probeEnd: number | null;
  probeRepeated: boolean;

  /* Timers and what they count. */
  retransmitAt: number;
  probeAt: number;
  reorderAt: number;
  persistAt: number;
  delayedAckAt: number;
  keepAliveAt: number;
  closeAt: number;
  attempts: number;
  /** When the first unanswered retransmission timeout was; -1: none. */
  troubleSince: number;
  lastHeardAt: number;
  lastSentAt: number;
  keepAliveMs: number;
  keepAliveProbes: number;
  challengeAllowedAt: number;

  /* Events to tell after processing. */
  tellConnected: boolean;
  tellReadable: boolean;
  tellFailure: TcpFailure | null;

  /* Of the wake heap. */
  wakeAt: number;
  wakeIndex: number;
}

/** The earliest of a connection's timers. */
export function nextTimer(block: TcpBlock): number {
  return Math.min(
    block.retransmitAt,
    block.probeAt,
    block.reorderAt,
    block.persistAt,
    block.delayedAckAt,
    block.keepAliveAt,
    block.closeAt,
  );
}

export function stopTimers(block: TcpBlock): void {
  block.retransmitAt = NEVER;
  block.probeAt = NEVER;
  block.reorderAt = NEVER;
  block.persistAt = NEVER;
  block.delayedAckAt = NEVER;
  block.keepAliveAt = NEVER;
  block.closeAt = NEVER;
}

/** Bytes written and not sent yet, and one for a FIN that waits. */
export function unsentBytes(block: TcpBlock): number {
  return block.finSent ? 0 : block.sendBuffer.length - ((block.sendNext - block.bufferSequence) | 0);
}

/** Whether data and FIN may be sent, or sent again, in this state. */
export function maySend(state: TcpState): boolean {
  return (
    state === 'established' ||
    state === 'close-wait' ||
    state === 'fin-wait-1' ||
    state === 'closing' ||
    state === 'last-ack'
  );
}
