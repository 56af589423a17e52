/** Routes about models, answered from policy: the list in the caller's dialect, and the probes of some clients. */
import { renderModel, renderModels, type SurfaceMatch } from '../../llm/index.ts';
import type { Access } from '../../policy/index.ts';
import type { Exchange } from '../exchange.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused } from '../reasons.ts';
import { PROXIED_HEADERS } from '../response-headers.ts';

/** Answers; throws `model_not_available` for a single model that the caller may not use. */
export function answerModels(
  parts: GatewayParts,
  exchange: Exchange,
  match: SurfaceMatch,
  access: Access,
): void {
  const value = match.action === 'hello' ? {} : modelsValue(parts, exchange, match, access);
  const body = Buffer.from(JSON.stringify(value));
  exchange.res.writeHead(200, [
    'content-type',
    'application/json',
    'content-length',
    String(body.length),
    'cache-control',
    'no-store',
    'x-postern-request-id',
    exchange.id,
    ...PROXIED_HEADERS,
  ]);
  exchange.res.end(exchange.req.method === 'HEAD' ? undefined : body);
}

function modelsValue(parts: GatewayParts, exchange: Exchange, match: SurfaceMatch, access: Access): object {
  const models = parts.models.list(access);
  const createdAt = exchange.startedAt;
  if (match.action === 'inference-profiles') return { inferenceProfileSummaries: [] };
  if (match.model !== null) {
    const model = models.find(({ id }) => id === match.model);
    if (model === undefined)
      throw new Refused('model_not_available', `the model "${match.model}" is not available to you`);
    return renderModel(match.dialect, model, createdAt);
  }
  return renderModels(match.dialect, models, { createdAt, page: readPage(exchange.query) });
}

function readPage(query: string): { readonly limit: number | null; readonly after: string | null } {
  const parameters = new URLSearchParams(query);
  const limit = Number(parameters.get('limit') ?? parameters.get('pageSize') ?? Number.NaN);
  return {
    limit: Number.isInteger(limit) && limit > 0 ? Math.min(limit, 1000) : null,
    after: parameters.get('after_id') ?? parameters.get('pageToken'),
  };
}
