/**
 * Which target a session prefers, without remembering sessions: weighted rendezvous hashing. Each
 * target draws a number from a hash of session and target; the order of the draws is the session's
 * order of targets. A target that goes moves only its own sessions, one that comes takes only its
 * share, and every process agrees.
 */
import { sha256 } from '../../crypto/index.ts';

/**
 * What a session is kept by: its label is only a caller's word, so it counts within that caller.
 * Null where the caller named no session.
 */
export function stickyKey(principal: string, sessionId: string | null): string | null {
  return sessionId === null ? null : `${principal.length}:${principal}${sessionId}`;
}

/**
 * The draw of one target, above 0; the lowest comes first. With draws of `-ln(u) / weight` each
 * target is first with the probability of its share of the weights, and the rest likewise among
 * themselves (weighted sampling without replacement; Efraimidis and Spirakis 2006). `u` is in (0, 1).
 */
export function weightedDraw(u: number, weight: number): number {
  return -Math.log(u) / weight;
}

/** A number in (0, 1) that session and target decide. */
export function stickyFraction(key: string, target: string): number {
  return fractionOf(sha256(`${target.length}:${target}${key}`));
}

/** A number in (0, 1) from the first 52 bits of at least 7 bytes; never 0 or 1, whose logarithms are no draws. */
export function fractionOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const top = view.getUint32(0) * 2 ** 20;
  const rest = (view.getUint16(4) * 2 ** 8 + view.getUint8(6)) >>> 4;
  return (top + rest + 0.5) / 2 ** 52;
}
