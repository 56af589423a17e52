/** `routing`, and a capability's `cache`. */
import { type Cursor, quoteShort } from './cursor.ts';
import { splitModelName } from './glob.ts';
import type { CachePolicy, RouteEntry, RoutingPolicy } from './governance.ts';
import { readDuration } from './read-guardrails.ts';

const RETRIES_MAX = 5;
const TARGETS_MAX = 32;
const DAY_MS = 24 * 3_600_000;

/** What holds where the document says nothing. */
export const DEFAULT_ROUTING: RoutingPolicy = {
  routes: new Map(),
  retries: 2,
  breakAfter: 5,
  breakMs: 10_000,
  translate: true,
};

export function readRouting(cursor: Cursor): RoutingPolicy {
  if (!cursor.exists || cursor.members() === null) return DEFAULT_ROUTING;
  cursor.onlyKnown(['models', 'retries', 'break_after', 'break_for', 'translate', 'comment'], 'routing');
  const routes = new Map<string, RouteEntry>();
  for (const name of cursor.at('models').members() ?? []) {
    const at = cursor.at('models').at(name).isolate();
    const route = readRoute(name, at);
    if (route === null) at.disable();
    else routes.set(name, route);
  }
  return {
    routes,
    retries: readCount(cursor.at('retries'), DEFAULT_ROUTING.retries, 0, RETRIES_MAX),
    breakAfter: readCount(cursor.at('break_after'), DEFAULT_ROUTING.breakAfter, 1, 1000),
    breakMs: readDuration(cursor.at('break_for'), DEFAULT_ROUTING.breakMs, 300_000),
    translate: cursor.at('translate').boolean() ?? true,
  };
}

function readRoute(name: string, at: Cursor): RouteEntry | null {
  at.onlyKnown(['strategy', 'targets', 'regions', 'sticky', 'comment'], 'route');
  const targets = at
    .at('targets')
    .items()
    .map(readTarget)
    .filter((target) => target !== null);
  if (!at.broken && (targets.length === 0 || targets.length > TARGETS_MAX))
    at.fail(
      'bad_value',
      `route ${quoteShort(name)} needs 1 to ${TARGETS_MAX} targets`,
      'add "targets": ["provider/model"]',
    );
  const regions = at.at('regions').exists ? at.at('regions').strings() : [];
  if (
    !at.broken &&
    regions.length > 0 &&
    !targets.some(({ region }) => region !== null && regions.includes(region))
  )
    at.fail(
      'never_matches',
      `route ${quoteShort(name)} has no target in its regions`,
      'name the "region" of each target',
    );
  const route: RouteEntry = {
    name,
    strategy: at.at('strategy').oneOf(['ordered', 'weighted'] as const) ?? 'ordered',
    targets,
    regions,
    sticky: at.at('sticky').boolean() ?? true,
  };
  return at.broken ? null : route;
}

/** `"provider/model"`, or an object with `model`, `weight` and `region`. */
function readTarget(item: Cursor): RouteEntry['targets'][number] | null {
  const isText = typeof item.value === 'string';
  if (!isText) item.onlyKnown(['model', 'weight', 'region'], 'target');
  const model = isText ? item.string() : item.at('model').string();
  const weight = isText ? 1 : (item.at('weight').number() ?? 1);
  if (model === null || splitModelName(model) === null) {
    item.fail('bad_value', `${item.name} names no provider/model`, 'write "provider/model"');
    return null;
  }
  if (!(weight > 0) || weight > 1e6)
    item.fail('bad_value', `${item.name} must have a weight above 0 and at most 1000000`, 'write 1');
  return { model, weight, region: isText ? null : item.at('region').string() };
}

function readCount(at: Cursor, byDefault: number, least: number, most: number): number {
  const value = at.number();
  if (value === null) return byDefault;
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  at.fail('bad_value', `${at.name} must be a whole number from ${least} to ${most}`, `write ${byDefault}`);
  return byDefault;
}

/** A capability's `cache`: `{"scope": "user", "ttl": "1h"}`. */
export function readCache(cursor: Cursor): CachePolicy | null {
  if (!cursor.exists || cursor.members() === null) return null;
  cursor.onlyKnown(['scope', 'ttl'], 'cache');
  return {
    scope: cursor.at('scope').oneOf(['user', 'tailnet'] as const) ?? 'user',
    ttlMs: readDuration(cursor.at('ttl'), 3_600_000, 30 * DAY_MS),
  };
}
