/** A port that takes connections, and its half-open ones (RFC 4987). */
import type { TcpBlock } from './block.ts';
import type { TcpConnection } from './connection.ts';

export interface TcpListenOptions {
  /** One of the own addresses; null: all of them. */
  readonly address: Buffer | null;
  /** 0: a free one. */
  readonly port: number;
  /** Half-open connections at once, 1 to 65,536; beyond that the oldest gives way. Default 1024. */
  readonly backlog?: number;
  /** A connection is established. Set its handlers now, or close it. */
  readonly accept: (connection: TcpConnection, now: number) => void;
}

export const BACKLOG_DEFAULT = 1024;
/** Half-open connections of one source address; an honest client opens some hundreds within a round trip, at most. */
export const BACKLOG_PER_SOURCE_MAX = 256;

/** The table's side of a listener. */
export interface ListeningPort {
  readonly address: Buffer | null;
  readonly port: number;
  readonly backlog: number;
  readonly accept: TcpListenOptions['accept'];
  /** Half-open, the oldest first. */
  readonly halfOpen: Set<TcpBlock>;
}

/** The owner's side. */
export interface TcpListener {
  readonly port: number;
  /** Takes no more; half-open connections are reset, established ones stay. */
  close(now: number): void;
}
