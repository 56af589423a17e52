/** Step 9: the row of an exchange, and its bodies as far as the grant lets them be kept. */
import type { Caller } from '../../identity/index.ts';
import { callerLabel } from '../../identity/index.ts';
import type { Access } from '../../policy/index.ts';
import type { SurfaceMatch, Usage } from '../../llm/index.ts';
import type {
  CapturedBodies,
  CaptureMode,
  Outcome,
  RequestRow,
  RowDecision,
  UsageColumns,
} from '../../store/index.ts';
import { elapsedUs, type Exchange } from '../exchange.ts';
import type { Refused } from '../reasons.ts';
import type { Route } from '../routing/choose-route.ts';
import type { LlmAnswer } from './forward.ts';
import type { LlmRequest } from './read-request.ts';
import type { Budget } from './reserve.ts';
import type { LlmRoute } from './route.ts';
import type { Settlement } from './settle.ts';

/** Monotonic marks between the steps; null where the exchange did not get that far. */
export interface Marks {
  readonly identified: number;
  bodyRead: number | null;
  decided: number | null;
  /** Milliseconds that attempts took which failed, and the pauses after them. */
  failedMs: number;
  ended: number;
}

/** What is known of an exchange at its end; null is what it did not come to. */
export interface RecordInput {
  readonly exchange: Exchange;
  readonly caller: Caller;
  readonly access: Access | null;
  readonly match: SurfaceMatch | null;
  readonly request: LlmRequest | null;
  readonly route: LlmRoute | null;
  readonly answer: LlmAnswer | null;
  readonly settlement: Settlement | null;
  /** What is reserved; null where no budget holds. */
  readonly budget: Budget | null;
  readonly decisions: readonly RowDecision[];
  /** Of targets that were given up, where the rules differ. */
  readonly earlierDecisions: readonly RowDecision[];
  readonly refused: Refused | null;
  readonly marks: Marks;
}

export function toRequestRow(input: RecordInput): RequestRow {
  const { exchange, caller, access, request, route, answer, settlement, refused } = input;
  const times = timings(input);
  const usage = usageColumns(settlement?.usage ?? null);
  // Every member by name: a spread of these parts would cost as much as all the rest.
  return {
    id: exchange.id,
    tailnet: caller.tailnet,
    startedAt: exchange.startedAt,
    principal: caller.principal,
    userLabel: callerLabel(caller),
    groups: access?.groups ?? caller.groups,
    deviceId: caller.device?.stableId ?? null,
    deviceName: caller.device?.name ?? null,
    door: caller.door,
    via: caller.via,
    tokenId: caller.token?.id ?? null,
    agent: request?.labels.agent ?? null,
    sessionId: request?.labels.sessionId ?? null,
    format: input.match?.format ?? 'unknown',
    method: exchange.req.method ?? '',
    path: exchange.path,
    streamed: request?.streamed ?? false,
    requestedModel: request?.requestedModel ?? null,
    provider: route?.provider.id ?? null,
    // A route about an object names none.
    model: route === null || route.model === '' ? null : route.model,
    keyId: route?.key?.id ?? null,
    status: answer?.status ?? (exchange.res.headersSent ? (refused?.status ?? 0) : 0),
    outcome: answer?.outcome ?? outcomeOf(refused, exchange.res.headersSent),
    reason: answer?.reason ?? refused?.code ?? null,
    rule: refused?.rule ?? route?.grant.rule ?? null,
    costNanoUsd: settlement?.costNanoUsd ?? (settlement === null ? 0 : null),
    costState: settlement?.costState ?? 'free',
    estimated: settlement?.estimated ?? false,
    toolCalls: answer?.meter?.toolCalls ?? [],
    decisions: decisionsOf(input),
    savedNanoUsd: settlement?.savedNanoUsd ?? 0,
    stopReason: answer?.meter?.stopReason ?? null,
    responseId: answer?.meter?.responseId ?? null,
    identityUs: times.identityUs,
    decisionUs: times.decisionUs,
    firstByteUs: times.firstByteUs,
    upstreamUs: times.upstreamUs,
    ownUs: times.ownUs,
    totalUs: times.totalUs,
    inputTokens: usage.inputTokens,
    cacheReadTokens: usage.cacheReadTokens,
    cacheWriteTokens: usage.cacheWriteTokens,
    cacheWrite1hTokens: usage.cacheWrite1hTokens,
    outputTokens: usage.outputTokens,
    reasoningTokens: usage.reasoningTokens,
    inputAudioTokens: usage.inputAudioTokens,
    outputAudioTokens: usage.outputAudioTokens,
    inputImageTokens: usage.inputImageTokens,
    outputImageTokens: usage.outputImageTokens,
    webSearches: usage.webSearches,
    requestBytes: request?.body.length ?? 0,
    responseBytes: answer?.responseBytes ?? 0,
    capture: captureOf(route),
  };
}

/** What was decided on the way, and the attempts before the one that answered. */
function decisionsOf({ decisions, earlierDecisions, route, answer }: RecordInput): readonly RowDecision[] {
  const attempts = route?.attempts.records ?? [];
  const failed = answer === null ? attempts : attempts.slice(0, -1);
  const isHit = answer?.isFromCache === true;
  const to = route?.translatesTo ?? null;
  if (failed.length === 0 && earlierDecisions.length === 0 && !isHit && to === null) return decisions;
  const nobody = { rule: null, approvalId: null };
  return [
    ...earlierDecisions,
    ...decisions,
    ...failed.map(({ provider, model, outcome }): RowDecision => ({
      about: 'attempt',
      name: `${provider}/${model}`,
      action: outcome,
      ...nobody,
    })),
    ...(to === null ? [] : [{ about: 'translation', name: to, action: 'translated', ...nobody } as const]),
    ...(isHit ? [{ about: 'cache', name: route?.provider.id ?? '', action: 'hit', ...nobody } as const] : []),
  ];
}

/** The bodies to keep with a row, or null where the grant keeps none. */
export function toCapturedBodies(input: RecordInput): CapturedBodies | null {
  const { exchange, caller, request, route, answer } = input;
  if (request === null || answer === null || captureOf(route) !== 'full') return null;
  return {
    requestId: exchange.id,
    tailnet: caller.tailnet,
    principal: caller.principal,
    format: request.match.format,
    request: request.body,
    requestContentType: exchange.req.headers['content-type'] ?? null,
    response:
      answer.captured.length === 1 ? (answer.captured[0] ?? NO_BYTES) : Buffer.concat(answer.captured),
    responseContentType: answer.contentType,
    responseTruncated: answer.captureTruncated,
  };
}

const NO_BYTES = Buffer.alloc(0);

export function captureOf(route: Route | null): CaptureMode {
  return route?.grant.capture ?? 'metadata';
}

/** A refusal that never began to be sent found nobody to read it. */
function outcomeOf(refused: Refused | null, isSent: boolean): Outcome {
  if (refused === null || !isSent) return 'client_abort';
  if (refused.code === 'internal') return 'gateway_error';
  return 'refused';
}

type Timings = Pick<
  RequestRow,
  'identityUs' | 'decisionUs' | 'firstByteUs' | 'upstreamUs' | 'ownUs' | 'totalUs'
>;

function timings({ exchange, answer, marks }: RecordInput): Timings {
  const bodyRead = marks.bodyRead ?? marks.identified;
  const decided = marks.decided ?? bodyRead;
  const identityUs = elapsedUs(exchange.startedMark, marks.identified);
  const decisionUs = elapsedUs(bodyRead, decided);
  const totalUs = elapsedUs(exchange.startedMark, marks.ended);
  if (answer === null) {
    return {
      identityUs,
      decisionUs,
      firstByteUs: null,
      upstreamUs: null,
      ownUs: identityUs + decisionUs,
      totalUs,
    };
  }
  const failedUs = Math.round(marks.failedMs * 1000);
  const before = Math.max(0, elapsedUs(decided, answer.sentMark) - failedUs);
  const after = elapsedUs(answer.lastByteMark, marks.ended);
  return {
    identityUs,
    decisionUs,
    firstByteUs:
      answer.firstByteMark === null ? null : elapsedUs(answer.sentMark, answer.firstByteMark) + failedUs,
    upstreamUs: elapsedUs(answer.sentMark, answer.lastByteMark) + failedUs,
    ownUs: identityUs + decisionUs + before + after,
    totalUs,
  };
}

/** The counts of a row; null for what was not reported. */
export function usageColumns(usage: Usage | null): UsageColumns {
  return {
    inputTokens: usage?.inputTokens ?? null,
    cacheReadTokens: usage?.cacheReadTokens ?? null,
    cacheWriteTokens: usage?.cacheWriteTokens ?? null,
    cacheWrite1hTokens: usage?.cacheWrite1hTokens ?? null,
    outputTokens: usage?.outputTokens ?? null,
    reasoningTokens: usage?.reasoningTokens ?? null,
    inputAudioTokens: usage?.inputAudioTokens ?? null,
    outputAudioTokens: usage?.outputAudioTokens ?? null,
    inputImageTokens: usage?.inputImageTokens ?? null,
    outputImageTokens: usage?.outputImageTokens ?? null,
    webSearches: usage?.webSearches ?? null,
  };
}
