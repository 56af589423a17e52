/** The response cache: whole answers of models, kept in memory for callers whose grant says so. */
export { cacheability, type CacheRefusal, type CacheSource } from './cacheability.ts';
export { replayAnswer, type AnswerSink } from './replay-answer.ts';
export {
  createResponseCache,
  DEFAULT_CACHE_LIMITS,
  type CachedAnswer,
  type CacheSlot,
  type CacheStats,
  type ResponseCache,
  type ResponseCacheOptions,
} from './response-cache.ts';
export type { CacheFill, CacheLimits, FilledAnswer } from './fill.ts';
export type { CacheQuestion, CachedRequest } from './cache-key.ts';
