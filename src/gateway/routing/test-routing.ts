/** Test doubles of this folder: time that is moved by hand, chance that is seeded, targets by name. */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { RouteEntry } from '../../policy/index.ts';
import type { AttemptResult } from './attempt-result.ts';
import type { Target } from './pick-target.ts';

export interface TestClock extends Clock {
  advance(durationMs: number): void;
}

export function testClock(): TestClock {
  let elapsed = 0;
  return {
    now: () => Date.UTC(2026, 0, 5, 12) + elapsed,
    monotonicMs: () => 1_000 + elapsed,
    advance(durationMs) {
      elapsed += durationMs;
    },
  };
}

/** Mulberry32 over bytes. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return { bytes: (count) => Uint8Array.from({ length: count }, () => next() & 0xff) };
}

/** `provider/model`. */
export function target(name: string): Target {
  const [provider = '', model = ''] = name.split('/');
  return { provider: { id: provider }, model };
}

export function nameOf({ provider, model }: Target): string {
  return `${provider.id}/${model}`;
}

export function weightedRoute(weights: Readonly<Record<string, number>>, sticky = true): RouteEntry {
  const targets = Object.entries(weights).map(([model, weight]) => ({ model, weight, region: null }));
  return { name: 'r', strategy: 'weighted', targets, regions: [], sticky };
}

export function head(status: number, retryAfterMs: number | null = null): AttemptResult {
  return { kind: 'head', status, retryAfterMs, shouldRetry: null };
}
