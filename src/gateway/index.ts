/** The gateway: the way of a request from a known caller to a provider and back. */
export {
  createActiveExchanges,
  type ActiveExchange,
  type ActiveExchanges,
  type ActiveRoute,
} from './active.ts';
export { createResponseCache, type CacheStats, type ResponseCache } from './cache/index.ts';
export { KEEPS_NOTHING, type Keeping } from './governing/keeping.ts';
export { keepRefusals } from './governing/kept-refusals.ts';
export type { GoverningParts } from './governing/parts.ts';
export { createCallVerdicts } from './governing/refused-calls.ts';
export type { PosternEvents, RequestStarted } from './events.ts';
export type { Exchange } from './exchange.ts';
export { createLargeBodies, type LargeBodies } from './large-bodies/large-bodies.ts';
export { listModels } from './models.ts';
export { loadOwners, type Owners } from './ownership/owners.ts';
export { PIPELINE, runLlm } from './pipeline.ts';
export type { GatewayLimits, GatewayParts } from './ports.ts';
export { createBodyBudget, type BodyBudget } from './read-body.ts';
export { REASONS, Refused, toRefused, type ReasonCode } from './reasons.ts';
export { createHealth, type CircuitState, type Health } from './routing/health.ts';
export { translatedFormatOf } from './routing/translation-format.ts';
export { refuse } from './steps/refuse.ts';
