/** Hooks around one request: asked before it is sent and before a call is made, and told of it afterwards. */
import {
  bindHooks,
  type BoundHook,
  type HookFacts,
  type HookRedaction,
  type HookRequest,
} from '../../guardrails/hooks/index.ts';
import {
  createAnswerEditor,
  editingMode,
  editWholeAnswer,
  type AnswerEdits,
  type TextFilter,
  type ToolCall,
} from '../../llm/answer/index.ts';
import { eventTexts, wholeAnswer } from '../../llm/conversation/index.ts';
import { callerLabel, type Caller } from '../../identity/index.ts';
import type { Access, Governance, PolicySnapshot, QuotaEntry } from '../../policy/index.ts';
import type { BucketUse } from '../../quotas/index.ts';
import type { RowDecision } from '../../store/index.ts';
import type { JsonValue } from '../../wire/hujson.ts';
import type { Exchange } from '../exchange.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused } from '../reasons.ts';
import type { Answer } from '../relay.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import type { LlmRoute } from '../steps/route.ts';
import type { Settlement } from '../steps/settle.ts';
import { ownerOf } from './owner.ts';
import { lastUserText } from './last-user-text.ts';
import type { HookVerdict } from './tool-gate.ts';

export interface HookContext {
  readonly exchange: Exchange;
  readonly policy: PolicySnapshot;
  readonly caller: Caller;
  readonly access: Access;
  readonly request: LlmRequest;
  readonly route: LlmRoute;
  readonly governance: Governance;
  /** The buckets that the request counts against. */
  readonly uses: readonly BucketUse[];
}

export interface AskedHooks {
  readonly body: Buffer;
  readonly decisions: readonly RowDecision[];
}

/** Asks before the request is sent. Throws `content_blocked` and `hook_failed`. */
export async function askBefore({ governing }: GatewayParts, context: HookContext): Promise<AskedHooks> {
  const { governance, policy, request } = context;
  const { bound, missing } = bindHooks(governance.hooks, policy.document.hooks, 'pre_request');
  const [lost] = missing;
  if (lost !== undefined)
    throw unavailable(lost, `the hook "${lost}" must agree, and policy does not define it`);
  if (bound.length === 0) return { body: request.body, decisions: [] };
  const verdict = await governing.hooks.preRequest(bound, toHookRequest(governing, context));
  switch (verdict.action) {
    case 'block':
      throw new Refused('content_blocked', verdict.message, {
        rule: `hooks.${verdict.hook}`,
        status: verdict.status,
      });
    case 'unavailable':
      throw unavailable(verdict.hook, verdict.message);
    case 'allow':
    default:
      return { body: verdict.body, decisions: verdict.modifiedBy.map((name) => decision(name, 'rewritten')) };
  }
}

function unavailable(hook: string, message: string): Refused {
  return new Refused('hook_failed', message, { rule: `hooks.${hook}` });
}

function decision(name: string, action: string): RowDecision {
  return { about: 'hook', name, action, rule: `hooks.${name}`, approvalId: null };
}

/** What the hooks of `tool_call` say of one call; null where none is asked about calls. */
export function callAsker(
  { governing }: GatewayParts,
  context: HookContext,
): ((call: ToolCall) => Promise<HookVerdict | null>) | null {
  const { governance, policy } = context;
  const { bound, missing } = bindHooks(governance.hooks, policy.document.hooks, 'tool_call');
  const [lost] = missing;
  if (lost !== undefined) return () => Promise.resolve({ name: lost, action: 'deny', message: null });
  if (bound.length === 0) return null;
  const request = toHookRequest(governing, context);
  return async ({ id, name, argumentsText, arguments: params }) => {
    const redaction = redactionOf(governing, context);
    const verdict = await governing.hooks.toolCall(
      bound,
      { id, name, argumentsText, params },
      { ...request, request, redaction },
    );
    if (verdict.action === 'allow') return null;
    const rewritten = verdict.argumentsText === null ? undefined : parse(verdict.argumentsText);
    return {
      name: verdict.hook ?? '',
      action: verdict.action,
      message: verdict.message,
      ...(rewritten === undefined ? {} : { arguments: rewritten }),
    };
  };
}

/** What hooks without the values get in their place; null where nothing of this caller is redacted. */
function redactionOf(
  { guardrails }: GatewayParts['governing'],
  { governance, caller }: HookContext,
): HookRedaction | null {
  const question = { entries: governance.guardrails, scope: ownerOf(caller) };
  const conceal = guardrails.conceal(question);
  if (conceal === null) return null;
  return {
    conceal,
    restore(text) {
      const guard = guardrails.guardAnswer(question);
      const filter = guard?.text('tool_arguments') ?? null;
      const restored = filter === null ? text : filter.push(text) + filter.finish();
      return guard === null || guard.blocked === null ? restored : null;
    },
  };
}

function parse(text: string): JsonValue | undefined {
  try {
    const value: JsonValue = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

/** Whether the whole answer must be kept for a hook that is told of it. */
export function wantsAnswer(governance: Governance): boolean {
  return governance.hooks.some(({ events }) =>
    events.some((event) => event === 'entire_request' || event === 'tool_call_entire_request'),
  );
}

/** Tells the hooks of a finished request; returns at once. */
export function tellAfter(
  { governing }: GatewayParts,
  context: HookContext,
  finished: { readonly answer: Answer; readonly settlement: Settlement | null },
): void {
  const { governance, policy } = context;
  const hooks = (['entire_request', 'tool_call_entire_request'] as const).flatMap(
    (event) => bindHooks(governance.hooks, policy.document.hooks, event).bound,
  );
  if (hooks.length === 0) return;
  void complete(
    governing,
    context,
    [...new Map(hooks.map((hook) => [hook.entry.id, hook])).values()],
    finished,
  );
}

async function complete(
  governing: GatewayParts['governing'],
  context: HookContext,
  hooks: readonly BoundHook[],
  { answer, settlement }: { readonly answer: Answer; readonly settlement: Settlement | null },
): Promise<void> {
  const { governance, caller, request, route } = context;
  const conceal = governing.guardrails.conceal({ entries: governance.guardrails, scope: ownerOf(caller) });
  const original = Buffer.concat(answer.captured);
  const tell = async (told: readonly BoundHook[], body: Buffer | null): Promise<void> => {
    if (told.length === 0) return;
    const isTooLarge = body === null && original.length > CONCEALED_MAX_BYTES;
    const toolCalls = body === null ? namedCalls(answer) : await callsOf(context, body, answer);
    governing.hooks.completed(told, {
      ...toHookRequest(governing, context),
      responseBody: () => (isTooLarge ? 'too_large' : toldAnswer(request, body, answer)),
      rawResponses: () => ({
        events: request.streamed && body !== null ? eventTexts(body, answer.contentType) : [],
        isTruncated: request.streamed && (isTooLarge || answer.captureTruncated),
      }),
      toolCalls: toolCalls.map(({ id, name, arguments: params }) => ({ id, name, params })),
      cost: costOf(route, settlement),
      isKept: route.grant.capture === 'full',
    });
  };
  if (conceal === null) return tell(hooks, original);
  await tell(
    hooks.filter(({ entry }) => entry.values === 'original'),
    original,
  );
  const redacted = hooks.filter(({ entry }) => entry.values === 'redacted');
  if (redacted.length > 0) await tell(redacted, await concealedAnswer(context, original, answer, conceal));
}

/** The whole answer, put together where it was streamed; null where there is none that is JSON. */
function toldAnswer(
  { match, streamed }: LlmRequest,
  body: Buffer | null,
  { contentType, captureTruncated }: Answer,
): Buffer | 'too_large' | null {
  if (captureTruncated) return 'too_large';
  if (body === null) return null;
  const isJson = contentType?.includes('json') === true;
  if (isJson && !streamed) return body;
  if (body.length > TOLD_STREAM_MAX_BYTES) return 'too_large';
  const whole = wholeAnswer(match.format, body, contentType);
  if (whole !== null) return Buffer.from(JSON.stringify(whole), 'utf8');
  return isJson ? body : null;
}

/** 2 MiB of a stream: putting it together takes as many times that, on the thread that serves. */
const TOLD_STREAM_MAX_BYTES = 2 * 1024 * 1024;

/** 2 MiB: what is larger is not looked through for the sake of being told, and is not sent. */
const CONCEALED_MAX_BYTES = 2 * 1024 * 1024;

/** The answer as the provider would have had it; null where that cannot be made of it. */
async function concealedAnswer(
  { request, route }: HookContext,
  body: Buffer,
  answer: Answer,
  conceal: (text: string) => string,
): Promise<Buffer | null> {
  if (body.length > CONCEALED_MAX_BYTES) return null;
  // A value may stand in any number of pieces of a stream: the last of them gets the whole.
  const text = (): TextFilter => {
    let all = '';
    return {
      push(piece) {
        all += piece;
        return '';
      },
      finish: () => conceal(all),
    };
  };
  return edit({ request, route }, body, answer, { tools: null, text });
}

/** The answer through its editor; null where there is none for it, or it cannot be read. */
async function edit(
  { request, route }: Pick<HookContext, 'request' | 'route'>,
  body: Buffer,
  answer: Answer,
  edits: AnswerEdits,
): Promise<Buffer | null> {
  const { format } = request.match;
  const kind = { contentType: answer.contentType, streamed: request.streamed, bedrockModel: route.model };
  const mode = editingMode(format, kind);
  if (mode === null || mode === 'unneeded') return mode === null ? null : body;
  const editor = mode === 'stream' ? createAnswerEditor(format, edits, kind) : null;
  if (editor === null) {
    const whole = await editWholeAnswer(format, body, edits, route.model);
    return whole.fault === null ? whole.body : null;
  }
  const begun = editor.push(body);
  const rest = editor.finish();
  return editor.fault === null ? Buffer.concat([begun, rest]) : null;
}

/** The calls with their arguments, read from the answer once it is over. */
async function callsOf(
  { request, route }: HookContext,
  body: Buffer,
  answer: Answer,
): Promise<readonly ToolCall[]> {
  if ((answer.meter?.toolCalls.length ?? 0) === 0) return [];
  const calls: ToolCall[] = [];
  const edits: AnswerEdits = {
    tools: {
      governs: () => true,
      decide: (call) => {
        calls.push(call);
        return { action: 'allow' };
      },
      heldMaxBytes: body.length * 2,
      tooLargeText: '',
    },
    text: null,
  };
  await edit({ request, route }, body, answer, edits);
  return calls;
}

/** What is known of the calls of an answer that is not looked through. */
function namedCalls({ meter }: Answer): readonly Pick<ToolCall, 'id' | 'name' | 'arguments'>[] {
  return (meter?.toolCalls ?? []).map((name) => ({ id: null, name, arguments: undefined }));
}

function costOf(
  { provider, model }: LlmRoute,
  settlement: Settlement | null,
): Parameters<GatewayParts['governing']['hooks']['completed']>[1]['cost'] {
  if (settlement === null || settlement.usage === null || settlement.costNanoUsd === null) return null;
  const { usage } = settlement;
  const of = (count: number | undefined): number => count ?? 0;
  return {
    dollars: settlement.costNanoUsd / 1e9,
    costBasis: `${provider.costBasis ?? provider.kind}/${model}`,
    usage: {
      input: of(usage.inputTokens),
      output: of(usage.outputTokens),
      cached: of(usage.cacheReadTokens),
      cacheCreation: of(usage.cacheWriteTokens) + of(usage.cacheWrite1hTokens),
      cacheCreation5m: of(usage.cacheWriteTokens),
      cacheCreation1h: of(usage.cacheWrite1hTokens),
      reasoning: of(usage.reasoningTokens),
      imageInput: of(usage.inputImageTokens),
      imageOutput: of(usage.outputImageTokens),
      webSearches: of(usage.webSearches),
    },
  };
}

function toHookRequest(governing: GatewayParts['governing'], context: HookContext): HookRequest {
  const { request } = context;
  return {
    ...toFacts(governing, context),
    body: request.body,
    isJson: request.facts?.kind === 'json',
    userMessage: (body) => lastUserText(request, body),
  };
}

function toFacts(governing: GatewayParts['governing'], context: HookContext): HookFacts {
  const { exchange, caller, access, request, route } = context;
  return {
    metadata: {
      loginName: callerLabel(caller),
      userAgent: exchange.req.headers['user-agent'] ?? '',
      url: exchange.path,
      model: route.model,
      provider: route.provider.id,
      tailnetName: caller.tailnet,
      stableNodeId: caller.device?.stableId ?? '',
      requestId: exchange.id,
      sessionId: request.labels.sessionId ?? '',
    },
    principal: caller.principal,
    grants: () => access.otherCapabilities,
    quotas: () => quotaStates(governing, context),
  };
}

function quotaStates(
  { quotas }: GatewayParts['governing'],
  { policy, uses }: HookContext,
): ReturnType<HookFacts['quotas']> {
  const states = quotas.remaining(uses).map(({ bucket, quota, remaining, capacity }) => {
    const entry = policy.document.quotas.get(quota);
    return [bucket, { current: remaining, capacity, rate: rateText(entry) }] as const;
  });
  return Object.fromEntries(states);
}

const PERIODS: ReadonlyMap<number, string> = new Map([
  [60_000, 'min'],
  [3_600_000, 'hour'],
  [86_400_000, 'day'],
  [604_800_000, 'week'],
  [2_592_000_000, 'month'],
]);

/** As the document writes it. */
function rateText(entry: QuotaEntry | undefined): string {
  const rate = entry?.rate ?? null;
  if (entry === undefined || rate === null) return '';
  const amount = entry.unit === 'usd' ? `$${(rate.amount / 1e9).toFixed(2)}` : String(rate.amount);
  return `${amount}/${PERIODS.get(rate.periodMs) ?? `${rate.periodMs}ms`}`;
}
