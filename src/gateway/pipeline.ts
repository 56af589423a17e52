/**
 * The way of a request (docs/design/0001-layers.md). One table is the whole truth: rows are the
 * steps, columns the surfaces. Each step takes what the ones before it found and returns what it
 * found itself; a step that says no throws `Refused`.
 *
 * Budgets, guards and tool-call control have their rows when they exist; a row that is not in the
 * table is not in the product.
 */
import type { Logger } from '../base/log.ts';
import type { Caller } from '../identity/index.ts';
import type { SurfaceMatch } from '../llm/index.ts';
import type { Access } from '../policy/index.ts';
import type { RequestRow } from '../store/index.ts';
import { answerModels } from './steps/answer-models.ts';
import { answerObjects, isReadWhole } from './steps/answer-objects.ts';
import { authorizeUse } from './steps/authorize.ts';
import { forwardLlm } from './steps/forward.ts';
import { matchRoute, readLlmRequest, type LlmRequest } from './steps/read-request.ts';
import { captureOf, toCapturedBodies, toRequestRow, type Marks, type RecordInput } from './steps/record.ts';
import { refuse } from './steps/refuse.ts';
import { routeLlm, type LlmRoute } from './steps/route.ts';
import { settle, type Settlement } from './steps/settle.ts';
import { batchRead, settleBatch } from './steps/settle-batch.ts';
import { learnObjects } from './steps/learn-objects.ts';
import { TrackedExchange } from './active.ts';
import type { Exchange } from './exchange.ts';
import type { GatewayParts } from './ports.ts';
import { toRefused, type Refused } from './reasons.ts';
import type { Answer } from './relay.ts';

export const PIPELINE = {
  /* 1 identify: by the doors, before this table (identity holds for every surface alike). */
  match: { llm: matchRoute },
  authorize: { llm: authorizeUse },
  /* reads the body, since model and stream are in it */
  read: { llm: readLlmRequest },
  route: { llm: routeLlm },
  /* with inspect: the meter sees the answer as it streams */
  forward: { llm: forwardLlm },
  /* instead of forward: answers of which the caller gets only its own */
  objects: { llm: answerObjects },
  learn: { llm: learnObjects },
  settle: { llm: settle },
  /* what a batch used is known when its results are read */
  settleBatch: { llm: settleBatch },
  record: { llm: toRequestRow },
} as const;

/** What the steps found so far; each is null until its step has passed. */
interface Progress {
  match: SurfaceMatch | null;
  access: Access | null;
  request: LlmRequest | null;
  route: LlmRoute | null;
  answer: Answer | null;
  settlement: Settlement | null;
  refused: Refused | null;
}

/** Serves one exchange of the LLM surface for an identified caller; never rejects. */
export async function runLlm(parts: GatewayParts, exchange: Exchange, caller: Caller): Promise<void> {
  const marks: Marks = { identified: parts.clock.monotonicMs(), bodyRead: null, decided: null, ended: 0 };
  const progress: Progress = {
    match: null,
    access: null,
    request: null,
    route: null,
    answer: null,
    settlement: null,
    refused: null,
  };
  const active = new TrackedExchange(caller, (reason) => refuse(exchange, reason, progress.match));
  parts.active.add(active);
  try {
    await serve(parts, exchange, active, progress, marks);
  } catch (error) {
    progress.refused = active.cutBy ?? toRefused(error);
    if (progress.refused.code === 'internal') logFault(parts.logger, exchange, progress.refused);
    refuse(exchange, progress.refused, progress.match);
  } finally {
    parts.active.remove(active);
  }
  if (progress.match?.format === 'models' && progress.refused === null) return;
  marks.ended = parts.clock.monotonicMs();
  try {
    const row = conclude(parts, {
      ...progress,
      exchange,
      caller,
      keyId: progress.route?.key?.id ?? null,
      marks,
    });
    concludeBatch(parts, caller, progress, row);
  } catch (error) {
    logFault(parts.logger, exchange, toRefused(error));
  } finally {
    if (progress.request !== null) parts.bodyBudget.release(progress.request.body.length);
  }
}

async function serve(
  parts: GatewayParts,
  exchange: Exchange,
  active: TrackedExchange,
  progress: Progress,
  marks: Marks,
): Promise<void> {
  const { caller } = active;
  let policy = parts.policy.current();
  progress.match = PIPELINE.match.llm(exchange);
  progress.access = PIPELINE.authorize.llm(policy, caller);
  if (progress.match.format === 'models')
    return answerModels(parts, exchange, progress.match, progress.access);
  progress.request = await PIPELINE.read.llm(parts, exchange, progress.match, active);
  marks.bodyRead = parts.clock.monotonicMs();
  active.takeOver((reason) => refuse(exchange, reason, progress.match));
  if (parts.policy.current() !== policy) {
    // A body may take minutes to arrive: what holds is the policy of now.
    policy = parts.policy.current();
    progress.access = PIPELINE.authorize.llm(policy, caller);
  }
  progress.route = await PIPELINE.route.llm(parts, {
    policy,
    caller,
    access: progress.access,
    request: progress.request,
  });
  marks.decided = parts.clock.monotonicMs();
  announce(parts, exchange, caller, progress.access, progress.request, progress.route);
  const answer = isReadWhole(progress.request) ? PIPELINE.objects.llm : PIPELINE.forward.llm;
  progress.answer = await answer(parts, {
    exchange,
    active,
    request: progress.request,
    route: progress.route,
  });
  PIPELINE.learn.llm(parts, {
    exchange,
    caller,
    request: progress.request,
    route: progress.route,
    answer: progress.answer,
  });
  progress.settlement = PIPELINE.settle.llm(
    {
      answer: progress.answer,
      route: progress.route,
      requestBytes: progress.request.body.length,
      isBillable: progress.request.isBillable,
      startedAt: exchange.startedAt,
    },
    parts.prices,
  );
}

/** Row 9: after the answer, off the caller's path. */
function conclude(parts: GatewayParts, input: RecordInput): RequestRow {
  const row = PIPELINE.record.llm(input);
  const keepsConversation =
    captureOf(input.route) !== 'none' &&
    input.request !== null &&
    input.request.match.objectKind === undefined &&
    row.sessionId === null;
  parts.recorder.record(
    row,
    toCapturedBodies(input),
    keepsConversation ? (input.request?.body ?? null) : null,
  );
  if (parts.events.hasListeners) parts.events.publish('request.finished', row);
  return row;
}

/** Results of a batch that were read give their maker rows of their own; told to listeners the first time only. */
function concludeBatch(
  parts: GatewayParts,
  caller: Caller,
  { request, route, answer }: Progress,
  row: RequestRow,
): void {
  if (request === null || route === null || answer === null) return;
  const rows = PIPELINE.settleBatch.llm({ request, route, answer, row }, parts.prices);
  const read = batchRead(request, route.object);
  if (rows.length === 0 || read === null) return;
  const batch = parts.owners.ownedBy(caller.principal, read.kind).get(read.id);
  const isFirst = batch === undefined || batch.settledAt === null;
  if (batch !== undefined) parts.owners.learn({ ...batch, settledAt: row.startedAt });
  for (const used of rows) {
    parts.recorder.record(used, null, null);
    if (isFirst && parts.events.hasListeners) parts.events.publish('request.finished', used);
  }
}

function announce(
  parts: GatewayParts,
  exchange: Exchange,
  caller: Caller,
  access: Access,
  request: LlmRequest,
  route: LlmRoute,
): void {
  if (!parts.events.hasListeners) return;
  parts.events.publish('request.started', {
    id: exchange.id,
    tailnet: caller.tailnet,
    at: exchange.startedAt,
    principal: caller.principal,
    userLabel: caller.user?.login ?? caller.principal,
    groups: access.groups,
    agent: request.labels.agent,
    format: request.match.format,
    requestedModel: request.requestedModel,
    provider: route.provider.id,
    model: route.model,
  });
}

function logFault(logger: Logger, exchange: Exchange, refused: Refused): void {
  logger.error('fault while serving a request', { request: exchange.id, detail: refused.detail });
}
