/** The cache on the way of a request that its grant lets use it: after the guards, before the provider. */
import type { UpstreamInput } from '../../llm/providers/index.ts';
import { cacheability, type CachedAnswer, type CacheSlot } from '../cache/index.ts';
import { referencesOf } from '../ownership/request-references.ts';
import type { GatewayParts } from '../ports.ts';
import type { ForwardInput } from './forward.ts';
import { keptCredential } from './upstream-input.ts';

export interface CacheUse {
  readonly slot: CacheSlot;
  /** Null: to be asked of the provider, and kept. */
  readonly hit: CachedAnswer | null;
}

/**
 * Null where the answer is neither taken from the cache nor put there. `sent` gives what the provider
 * would be told without the output limit of a budget; it is asked only where the cache may be used.
 */
export function useCache(
  parts: GatewayParts,
  input: ForwardInput,
  sent: () => UpstreamInput,
): CacheUse | null {
  const { exchange, active, request, route } = input;
  const { governance, capture } = route.grant;
  if (governance === null || governance.cache === null) return null;
  const refusal = cacheability({
    governance,
    capture,
    match: request.match,
    method: request.method,
    facts: request.facts,
    hasReferences: referencesOf(request).length > 0,
    hasOwnCredential: keptCredential(input) !== null,
    cacheControl: exchange.req.headers['cache-control'],
  });
  if (refusal !== null) return null;
  const { method, path, query, headers, body } = sent();
  const slot = parts.cache.slot({
    policy: governance.cache,
    tailnet: active.caller.tailnet,
    principal: active.caller.principal,
    request: {
      provider: route.provider,
      model: route.model,
      // A translated question and the same one asked directly are told apart by what the caller is answered.
      format: `${request.match.format} ${route.translatesTo ?? ''}`,
      streamed: request.streamed,
      method,
      path,
      query,
      headers,
      addHeaders: route.grant.addHeaders,
      body,
    },
  });
  return { slot, hit: parts.cache.find(slot) };
}
