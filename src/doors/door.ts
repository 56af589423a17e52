/**
 * What a door is: something that can say who is at the other end. A door answers from facts that
 * the caller cannot choose (the connection, the network, a verified token), never from a claim.
 */
import type { Caller, DoorName } from '../identity/caller.ts';

/** Which listener accepted a request; decides which doors are asked (DESIGN section 4). */
export type ListenerKind = 'loopback' | 'socket' | 'tailnet' | 'serve' | 'public';

/** The part of a socket that doors use: an identity for per-connection caches, and its end. */
export interface ConnectionSocket {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly destroyed: boolean;
  once(event: 'close', listener: () => void): unknown;
}

/** The connection, as the operating system reports it. */
export interface ConnectionFacts {
  readonly listener: ListenerKind;
  readonly socket: ConnectionSocket;
}

/**
 * `none`: this door does not know the caller, another may. `refused`: this door knows enough to
 * say no, and no other ambient door is asked. `why` is for records, never for the caller.
 */
export type DoorAnswer =
  | { readonly kind: 'caller'; readonly caller: Caller }
  | { readonly kind: 'none'; readonly why: string }
  | {
      readonly kind: 'refused';
      readonly status: 401 | 403;
      readonly code: DoorRefusalCode;
      readonly why: string;
    };

/** Why a door or the identifier said no; for records. Callers see `no_identity` or `token_invalid`. */
export type DoorRefusalCode =
  | 'not_recognised'
  | 'token_unknown'
  | 'token_expired'
  | 'token_revoked'
  | 'token_ambiguous'
  | 'jwt_rejected'
  | 'proxied_request'
  | 'connection_owner_unknown'
  | 'device_shared_in'
  | 'device_shared'
  | 'device_expired'
  | 'funnel_refused'
  | 'serve_headers_invalid'
  | 'identity_unavailable';

export interface Door {
  readonly name: DoorName;
  /**
   * Who is at the other end. Synchronous where the answer is known (a connection seen before).
   * `rawHeaders` is the flat list of names and values as received; only `serve` takes identity from
   * it, `local` only looks for signs of a proxy. Never throws or rejects.
   */
  identify(facts: ConnectionFacts, rawHeaders: readonly string[]): DoorAnswer | Promise<DoorAnswer>;
}

/** Somebody's right to be here ended: open streams whose caller matches are cut. */
export interface Revocation {
  readonly door: DoorName;
  /** For the record. */
  readonly why: string;
  matches(caller: Caller): boolean;
}

/** What callers have whose door carries no app capabilities. */
export const NO_CAPABILITIES: ReadonlyMap<string, readonly unknown[]> = new Map();
