/**
 * One HTTP exchange on its way through the pipeline: what is fixed when it arrives. Later findings
 * (caller, request, route, answer) are values that steps return, not fields added here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { UnixMs } from '../base/clock.ts';
import type { ListenerKind } from '../doors/index.ts';

export interface Exchange {
  readonly id: string;
  readonly startedAt: UnixMs;
  /** Monotonic milliseconds at arrival. */
  readonly startedMark: number;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly listener: ListenerKind;
  /** As on the wire, without the query. */
  readonly path: string;
  /** Without the question mark; '' if none. */
  readonly query: string;
}

/** Microseconds between two monotonic marks, never negative. */
export function elapsedUs(fromMark: number, toMark: number): number {
  return Math.max(0, Math.round((toMark - fromMark) * 1000));
}
