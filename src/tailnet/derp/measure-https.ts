/** How far regions are where UDP does not pass: the time of a small request. */
import type { Clock } from '../../base/clock.ts';
import type { DerpMap } from '../protocol/derp-map.ts';
import { getSmall } from '../protocol/http-upgrade.ts';
import type { StreamDialer } from '../protocol/ports.ts';
import { relayTarget } from './region-link.ts';

const TIMEOUT_MS = 5000;
const ANSWER_MAX_BYTES = 4096;
/** Regions asked; enough to find a near one. */
const REGIONS_MAX = 16;

export interface MeasureHttpsOptions {
  readonly map: DerpMap;
  readonly dialer: StreamDialer;
  readonly plainHost: string | null;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** ms by region, of those that answer; the connection's own round trips are in it, for all alike. Never rejects. */
export async function measureHttps(options: MeasureHttpsOptions): Promise<ReadonlyMap<number, number>> {
  const latencies = new Map<number, number>();
  const regions = [...options.map.regions.values()].filter(({ isNoHome }) => !isNoHome).slice(0, REGIONS_MAX);
  await Promise.all(
    regions.map(async ({ id, nodes }) => {
      const node = nodes.find(({ isStunOnly }) => !isStunOnly);
      if (node === undefined) return;
      const begunMs = options.clock.monotonicMs();
      const answer = await getSmall({
        ...options,
        target: relayTarget(node, options.plainHost),
        path: '/derp/latency-check',
        timeoutMs: TIMEOUT_MS,
        maxBytes: ANSWER_MAX_BYTES,
      }).catch(() => null);
      if (answer !== null && answer.status < 500) latencies.set(id, options.clock.monotonicMs() - begunMs);
    }),
  );
  return latencies;
}
