/** What the gateway needs from others, in its own words; `server.ts` joins them. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { EventBus } from '../events/index.ts';
import type { Echo, ModelEntry, PriceBook } from '../llm/index.ts';
import type { Providers } from '../llm/providers/index.ts';
import type { Upstreams } from '../net/index.ts';
import type { Access, PolicySnapshot } from '../policy/index.ts';
import type { Recorder } from '../recorder/index.ts';
import type { Vault } from '../vault/index.ts';
import type { ActiveExchanges } from './active.ts';
import type { PosternEvents } from './events.ts';
import type { GoverningParts } from './governing/parts.ts';
import type { LargeBodies } from './large-bodies/large-bodies.ts';
import type { Owners } from './ownership/owners.ts';
import type { BodyBudget } from './read-body.ts';
import type { ResponseCache } from './cache/index.ts';
import type { Health } from './routing/health.ts';

/** Limits of the gateway, from the operator's settings. */
export interface GatewayLimits {
  /** A caller that reads nothing of its answer for this long is cut off. */
  readonly readerIdleMs: number;
  /** Bytes of one request body. Default 64 MiB. */
  readonly bodyMaxBytes: number;
  /** Bytes of one answer kept for the record; a longer one is kept as metadata. Default 16 MiB. */
  readonly captureMaxBytes: number;
}

/** Everything that serving a request needs. Built once by `server.ts`. */
export interface GatewayParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: GatewayLimits;
  readonly policy: { current(): PolicySnapshot };
  readonly vault: Pick<Vault, 'select' | 'selectById' | 'peek' | 'hasOtherKey' | 'noteResult' | 'list'>;
  readonly providers: Providers;
  readonly upstreams: Pick<Upstreams, 'dispatch'>;
  readonly echo: Echo;
  readonly prices: PriceBook;
  readonly owners: Owners;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly events: EventBus<PosternEvents>;
  readonly active: ActiveExchanges;
  readonly bodyBudget: BodyBudget;
  readonly largeBodies: Pick<LargeBodies, 'fromBytes' | 'read'>;
  /** Budgets, approvals and what else decides before something happens. */
  readonly governing: GoverningParts;
  /** Which providers, models and keys are in trouble. */
  readonly health: Health;
  /** Answers kept for callers whose grant says so. */
  readonly cache: ResponseCache;
  /** The models that a caller may use, for `GET /v1/models`. */
  readonly models: { list(access: Access): readonly ModelEntry[] };
}
