/** When a refused request may find enough: by refill, a new window, or the end of requests under way. */
import type { UnixMs } from '../base/clock.ts';
import type { Bucket } from './bucket.ts';

/** What requests under way have reserved comes back, in part, about then. */
const UNDER_WAY_SEC = 5;
const SLOT_SEC = 1;
/** 31 days: no answer is longer. */
const LONGEST_SEC = 31 * 86_400;

/** Whole seconds from 1; null if nothing of this comes by itself. */
export function retryAfterSec(chain: readonly Bucket[], needed: number, wall: UnixMs): number | null {
  let missing = needed;
  let reserved = 0;
  let perMs = 0;
  let windowMs = Infinity;
  for (const bucket of chain) {
    const { rate, unit } = bucket.quota;
    if (unit === 'concurrency') return SLOT_SEC;
    missing -= bucket.spendable;
    reserved += bucket.reserved;
    if (rate !== null) perMs += rate.amount / rate.periodMs;
    if (bucket.windowEnd !== null) windowMs = Math.min(windowMs, bucket.windowEnd - wall);
  }
  const refillMs = perMs > 0 ? Math.max(0, missing) / perMs : Infinity;
  const underWayMs = reserved >= missing && reserved > 0 ? UNDER_WAY_SEC * 1000 : Infinity;
  const soonestMs = Math.min(refillMs, windowMs, underWayMs);
  if (soonestMs === Infinity) return null;
  return Math.min(LONGEST_SEC, Math.max(1, Math.ceil(soonestMs / 1000)));
}
