/**
 * Step 8 for batches: what a batch used is known when its results are read. Each model's sum becomes
 * a row of the batch's maker, once: the row's id follows from the batch and the model, so that
 * reading the results again, here or after a restart, changes nothing.
 */
import { encodeBase32 } from '../../base/ids.ts';
import { sha256 } from '../../crypto/index.ts';
import type { UnixMs } from '../../base/clock.ts';
import type { BatchResults, ModelCostMapping, PriceBook } from '../../llm/index.ts';
import type { OwnedObject, RequestRow } from '../../store/index.ts';
import type { Answer } from '../relay.ts';
import { usageColumns } from './record.ts';
import type { LlmRequest } from './read-request.ts';
import type { LlmRoute } from './route.ts';
import type { Settlement } from './settle.ts';

/** A batch whose results a request reads. */
export interface ReadBatch {
  readonly kind: 'batch' | 'message_batch';
  readonly id: string;
}

/** The batch whose results the request reads, or null: Anthropic's by its own route, OpenAI's as the file it wrote. */
export function batchRead(request: LlmRequest, object: OwnedObject | null): ReadBatch | null {
  const { objectKind, action } = request.match;
  if (object === null) return null;
  if (objectKind === 'message_batch' && action === 'results')
    return { kind: 'message_batch', id: object.objectId };
  if (objectKind === 'file' && action === 'content' && object.parentId !== null)
    return { kind: 'batch', id: object.parentId };
  return null;
}

/** What the providers take of the list price for what runs in a batch (their price pages). */
const BATCH_DISCOUNT: Readonly<Record<string, number>> = { openai: 0.5, anthropic: 0.5 };

export interface BatchSettlement {
  readonly request: LlmRequest;
  readonly route: LlmRoute;
  readonly answer: Answer;
  /** The row of the exchange that read the results. */
  readonly row: RequestRow;
}

/** Rows to record; none where the answer is no batch's results, or not all of them. */
export function settleBatch(
  { request, route, answer, row }: BatchSettlement,
  prices: Pick<PriceBook, 'price'>,
): readonly RequestRow[] {
  const batch = batchRead(request, route.object);
  const results = answer.meter?.batch;
  if (batch === null || results === undefined || answer.status !== 200 || request.method !== 'GET') return [];
  if (answer.outcome !== 'ok' && answer.outcome !== 'client_abort') return [];
  const { costBasis, kind, modelCostMap } = route.provider;
  const used = settleBatchUsage(
    { basis: costBasis ?? kind, modelCostMap, at: row.startedAt, results },
    prices,
  );
  return used.map(({ usage, ...columns }) => ({
    ...base(row, batch, columns.model ?? ''),
    ...usageColumns(usage),
    ...columns,
  }));
}

export interface BatchUsageQuestion {
  readonly basis: string;
  readonly modelCostMap: readonly ModelCostMapping[];
  readonly at: UnixMs;
  readonly results: BatchResults;
}

/** What one model of a batch used and cost. */
export interface BatchUsage extends Omit<Settlement, 'savedNanoUsd'> {
  readonly model: string | null;
}

/** One for each model; without any readable line one that says that the cost is not known. */
export function settleBatchUsage(
  { basis, modelCostMap, at, results }: BatchUsageQuestion,
  prices: Pick<PriceBook, 'price'>,
): readonly BatchUsage[] {
  const discount = BATCH_DISCOUNT[basis];
  if (results.models.length === 0 && results.unread > 0)
    return [{ model: null, usage: null, costNanoUsd: null, costState: 'unpriced', estimated: true }];
  return results.models.map(({ model, usage }) => {
    const adjusted = discount === undefined ? {} : { adjustment: discount };
    const price = prices.price({ basis, model, usage, at, modelCostMap, ...adjusted });
    return {
      model: model === '' ? null : model,
      usage,
      costNanoUsd: price.costNanoUsd,
      costState: price.state,
      // Without a known batch price the list price stands in.
      estimated: results.unread > 0 || discount === undefined,
    };
  });
}

function base(row: RequestRow, batch: ReadBatch, model: string): RequestRow {
  const name = [row.tailnet, row.provider, batch.kind, batch.id, model].join('\n');
  return {
    ...row,
    id: `req_batch${encodeBase32(sha256(Buffer.from(name)).subarray(0, 15))}`,
    format: 'batch',
    outcome: 'ok',
    reason: null,
    requestedModel: null,
    streamed: false,
    responseId: batch.id,
    capture: row.capture === 'full' ? 'metadata' : row.capture,
    requestBytes: 0,
    responseBytes: 0,
  };
}
