/** What the network's client side needs of its surroundings; `server.ts` or the node brings it. */
import type { Duplex } from 'node:stream';

/** Where to connect to. */
export interface StreamTarget {
  /** `https:` asks for TLS with a verified certificate. */
  readonly protocol: 'http:' | 'https:';
  /** A name or an address; what the certificate must be for unless the next fields say otherwise. */
  readonly hostname: string;
  readonly port: number;
  readonly signal?: AbortSignal;
  /** An address to connect to instead of those of the name. A dialer may pass this over. */
  readonly address?: string;
  /** The name that the certificate must be for, where it is not `hostname`. Passing this over fails closed. */
  readonly certificateName?: string;
  /** SHA-256 of the certificate (DER) in hex, instead of any other check. Passing this over fails closed. */
  readonly certificateSha256?: string;
}

/**
 * The way out. `src/net`'s guarded dialer satisfies it (without the last three fields), so that no
 * control server chooses an address that the operator did not allow.
 */
export interface StreamDialer {
  /** A connected stream, after TLS where that was asked for. Rejects with an Error. */
  dial(target: StreamTarget): Promise<Duplex>;
}

/** Waits; rejects when the signal fires. Tests pass a virtual one. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;
