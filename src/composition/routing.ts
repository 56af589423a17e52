/** Health of providers and the response cache: what routing remembers, all of it in memory. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import {
  createHealth,
  createResponseCache,
  type CacheStats,
  type CircuitState,
  type Health,
  type ResponseCache,
} from '../gateway/index.ts';
import type { PolicySnapshot } from '../policy/index.ts';

/** 1 min: what nobody asks for any more stays no longer. */
const SWEEP_MS = 60_000;

export interface RoutingOptions {
  readonly policy: { current(): PolicySnapshot };
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface Routing {
  readonly health: Health;
  readonly cache: ResponseCache;
  close(): void;
}

export function openRouting({ policy, clock, random, logger }: RoutingOptions): Routing {
  const cache = createResponseCache({ clock, random });
  const sweeping = setInterval(() => cache.sweep(), SWEEP_MS).unref();
  const onChange = ({ provider, keyId, model, phase, fault }: CircuitState): void =>
    logger.warn(phase === 'open' ? 'a target is in trouble' : 'a target is well again', {
      provider,
      key: keyId,
      model,
      fault,
    });
  return {
    cache,
    health: createHealth({ clock, numbers: () => policy.current().document.routing, onChange }),
    close: () => clearInterval(sweeping),
  };
}

/** Lines in Prometheus' text format. */
export function renderRouting(circuits: readonly CircuitState[], cache: CacheStats): string {
  const open = circuits.filter(({ phase }) => phase !== 'closed').length;
  return [
    '# HELP postern_circuits_open Providers, models and keys that are tried last because they failed.',
    '# TYPE postern_circuits_open gauge',
    `postern_circuits_open ${open}`,
    '# HELP postern_cache_bytes Bytes of answers in the response cache.',
    '# TYPE postern_cache_bytes gauge',
    `postern_cache_bytes ${cache.bytes}`,
    '# HELP postern_cache_hits_total Answers that came from the response cache.',
    '# TYPE postern_cache_hits_total counter',
    `postern_cache_hits_total ${cache.hits}`,
    '# HELP postern_cache_misses_total Answers that could have come from it and did not.',
    '# TYPE postern_cache_misses_total counter',
    `postern_cache_misses_total ${cache.misses}`,
    '',
  ].join('\n');
}
