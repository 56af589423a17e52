/** Which region is this node's home: the nearest, and not another one for every small change. */
import type { DerpMap } from '../protocol/derp-map.ts';

/** A new home must be this much nearer, and by a third, to be worth that every peer hears of it. */
const BETTER_BY_MS = 10;
const BETTER_SHARE = 2 / 3;

export interface HomeOptions {
  readonly map: DerpMap;
  /** ms by region; only regions that answered. */
  readonly latencies: ReadonlyMap<number, number>;
  /** 0 for none. */
  readonly current: number;
}

/** The region, or 0 where the map has none that may be a home. Without any measurement: the current one, or the first. */
export function chooseHome({ map, latencies, current }: HomeOptions): number {
  const candidates = [...map.regions.values()]
    .filter(({ isNoHome, nodes }) => !isNoHome && nodes.some(({ isStunOnly }) => !isStunOnly))
    .map(({ id }) => id)
    .sort((a, b) => a - b);
  const isKept = candidates.includes(current);
  const scored = (id: number): number | null => {
    const latency = latencies.get(id);
    return latency === undefined ? null : latency * (map.scores.get(id) ?? 1);
  };
  let best = 0;
  let bestMs = Infinity;
  for (const id of candidates) {
    const ms = scored(id);
    if (ms !== null && ms < bestMs) {
      best = id;
      bestMs = ms;
    }
  }
  if (best === 0) return isKept ? current : (candidates[0] ?? 0);
  const currentMs = isKept ? scored(current) : null;
  const isWorthIt =
    currentMs === null || (currentMs - bestMs >= BETTER_BY_MS && bestMs <= currentMs * BETTER_SHARE);
  return isWorthIt ? best : current;
}
