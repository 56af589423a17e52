/**
 * In which order the targets of a request are tried: as the route says, those in trouble last.
 *
 * A target in trouble is not left out. If all are, the one whose pause ends first is tried, once:
 * a provider that fails three of four requests still answers the fourth, a provider that came back
 * is noticed at once, and no caller can make an outage for others by requests that fail. What an
 * open circuit saves there is the retries. Regions and grants were applied before.
 */
import type { Random } from '../../base/random.ts';
import type { RouteEntry } from '../../policy/index.ts';
import type { Health, HealthSubject } from './health.ts';
import { fractionOf, stickyFraction, weightedDraw } from './sticky.ts';

/** Where a request may go; what a `Candidate` or a `Route` has. */
export interface Target {
  readonly provider: { readonly id: string };
  /** Upstream id. */
  readonly model: string;
  /** The key that would be used, where it is known; health then looks at the key too. */
  readonly keyId?: string | null;
}

export interface PickQuestion<T extends Target> {
  /** Granted, in the region, best first. */
  readonly candidates: readonly T[];
  /** The route of the requested name; null for the candidates' own order. */
  readonly route: RouteEntry | null;
  readonly health: Pick<Health, 'isUsable' | 'pauseMs'>;
  /** From `stickyKey`; null where no session is known. */
  readonly stickyKey: string | null;
  readonly random: Random;
}

export interface PickedTargets<T> {
  /** All candidates, in the order to try. */
  readonly targets: readonly T[];
  /** How many of them, from the first, are not in trouble. 0: only the first is worth one attempt. */
  readonly usable: number;
}

/** Throws nothing; no candidates give no targets. */
export function pickTargets<T extends Target>(question: PickQuestion<T>): PickedTargets<T> {
  const { candidates, health } = question;
  const [only] = candidates;
  if (only === undefined) return { targets: candidates, usable: 0 };
  if (candidates.length === 1) return { targets: candidates, usable: isUsable(health, only) ? 1 : 0 };
  const ordered = question.route?.strategy === 'weighted' ? drawn(question, question.route) : candidates;
  const usable = ordered.filter((target) => isUsable(health, target));
  if (usable.length === ordered.length) return { targets: ordered, usable: ordered.length };
  const troubled = ordered
    .filter((target) => !usable.includes(target))
    .map((target) => ({ target, pauseMs: health.pauseMs(subjectOf(target)) }))
    .sort((a, b) => a.pauseMs - b.pauseMs)
    .map(({ target }) => target);
  return { targets: [...usable, ...troubled], usable: usable.length };
}

/** Weighted at random; for a session by its hash, so that the provider's prompt cache is found again. */
function drawn<T extends Target>(
  { candidates, stickyKey, random }: PickQuestion<T>,
  route: RouteEntry,
): readonly T[] {
  const key = route.sticky ? stickyKey : null;
  const draws = candidates.map((target) => {
    const name = `${target.provider.id}/${target.model}`;
    const u = key === null ? fractionOf(random.bytes(7)) : stickyFraction(key, name);
    return { target, draw: weightedDraw(u, weightOf(route, name)) };
  });
  return draws.sort((a, b) => a.draw - b.draw).map(({ target }) => target);
}

/** Named twice, a target has the sum. */
function weightOf(route: RouteEntry, name: string): number {
  let weight = 0;
  for (const target of route.targets) if (target.model === name) weight += target.weight;
  return weight > 0 ? weight : 1;
}

function isUsable(health: Pick<Health, 'isUsable'>, target: Target): boolean {
  return health.isUsable(subjectOf(target));
}

/** What health knows a target by. */
export function subjectOf({ provider, model, keyId = null }: Target): HealthSubject {
  return { provider: provider.id, model, keyId };
}
