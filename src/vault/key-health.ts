/**
 * When a key that failed may be tried again. A pause only moves a key behind its siblings: the
 * last key of a provider is used in any case, so that a wrong guess never makes an outage.
 */
import type { UnixMs } from '../base/clock.ts';

/** `rejected`: 401 or 403; `limited`: 429; `failed`: 5xx or no answer. */
export type KeyOutcome = 'ok' | 'rejected' | 'limited' | 'failed';

/** First pause; it doubles with each further failure in a row. */
const PAUSE_MS = {
  /** A rejected key seldom heals by itself. */
  rejected: 60_000,
  /** Providers' rate windows are a minute; a few seconds often suffice. */
  limited: 5_000,
  /** Mostly the provider's fault, not the key's. */
  failed: 2_000,
} as const;

/** 10 min: a repaired key is noticed within that. */
const PAUSE_MAX_MS = 600_000;
/** Failures of the provider before the key is suspected. */
const FAILED_TOLERATED = 3;

export interface KeyHealth {
  uses: number;
  failures: number;
  failuresInRow: number;
  lastUsedAt: UnixMs | null;
  lastError: KeyOutcome | null;
  cooldownUntil: UnixMs | null;
}

export function newKeyHealth(): KeyHealth {
  return { uses: 0, failures: 0, failuresInRow: 0, lastUsedAt: null, lastError: null, cooldownUntil: null };
}

/** Notes how a use ended. */
export function noteOutcome(health: KeyHealth, outcome: KeyOutcome, at: UnixMs): void {
  if (outcome === 'ok') {
    health.failuresInRow = 0;
    health.cooldownUntil = null;
    health.lastError = null;
    return;
  }
  health.failures += 1;
  health.failuresInRow += 1;
  health.lastError = outcome;
  const tolerated = outcome === 'failed' ? FAILED_TOLERATED - 1 : 0;
  const doublings = Math.min(health.failuresInRow - 1 - tolerated, 20);
  if (doublings < 0) return;
  health.cooldownUntil = at + Math.min(PAUSE_MAX_MS, PAUSE_MS[outcome] * 2 ** doublings);
}
