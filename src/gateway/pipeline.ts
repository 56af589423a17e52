/**
 * The way of a request (docs/design/0001-layers.md). One table is the whole truth: rows are the
 * steps, columns the surfaces. Each step takes what the ones before it found and returns what it
 * found itself; a step that says no throws `Refused`. A row that is not in the table is not in the
 * product; where no rule holds for the caller, the rows of deciding cost a comparison.
 */
import type { Logger } from '../base/log.ts';
import type { Caller } from '../identity/index.ts';
import type { BodyPatch } from '../llm/index.ts';
import type { Governance, PolicySnapshot } from '../policy/index.ts';
import type { RequestRow, RowDecision } from '../store/index.ts';
import { answerModels } from './steps/answer-models.ts';
import { answerObjects, isReadWhole } from './steps/answer-objects.ts';
import { authorizeUse } from './steps/authorize.ts';
import { forwardLlm, type LlmAnswer } from './steps/forward.ts';
import { FailedAttempt, noteKeyResult } from './steps/upstream-attempt.ts';
import { ChargedAttempts } from './governing/charged-attempts.ts';
import { ownerOf } from './governing/owner.ts';
import { guardLlm, type Guarded } from './steps/guard.ts';
import { AnswerGovernor, learnRefusals } from './steps/inspect.ts';
import { matchRoute, readLlmRequest, type LlmRequest } from './steps/read-request.ts';
import { captureOf, toCapturedBodies, toRequestRow, type RecordInput } from './steps/record.ts';
import { refuse } from './steps/refuse.ts';
import { reserveLlm, settleBudget, usesOf, wasCharged, type Budget } from './steps/reserve.ts';
import { rerouteLlm, routeLlm, type LlmRoute } from './steps/route.ts';
import { settle } from './steps/settle.ts';
import { batchRead, settleBatch } from './steps/settle-batch.ts';
import { learnObjects } from './steps/learn-objects.ts';
import { TrackedExchange } from './active.ts';
import type { Exchange } from './exchange.ts';
import type { GatewayParts } from './ports.ts';
import { toRefused, type Refused } from './reasons.ts';
import type { Answer } from './relay.ts';
import { carryOver } from './routing/carry-over.ts';
import { waitForRetry } from './routing/wait-for-retry.ts';

export const PIPELINE = {
  /* 1 identify: by the doors, before this table (identity holds for every surface alike). */
  match: { llm: matchRoute },
  authorize: { llm: authorizeUse },
  /* reads the body, since model and stream are in it */
  read: { llm: readLlmRequest },
  route: { llm: routeLlm },
  /* after an attempt that failed before a byte of it went on */
  reroute: { llm: rerouteLlm },
  /* takes from every budget in one step, or from none */
  reserve: { llm: reserveLlm },
  /* rules on the request */
  guard: { llm: guardLlm },
  /* rules on the answer, carried out by the relay of forward */
  inspect: { llm: AnswerGovernor },
  /* with inspect: the meter sees the answer as it streams */
  forward: { llm: forwardLlm },
  /* instead of forward: answers of which the caller gets only its own */
  objects: { llm: answerObjects },
  /* a rejected or limited key rests */
  noteKey: { llm: noteKeyResult },
  learn: { llm: learnObjects },
  settle: { llm: settle },
  settleBudget: { llm: settleBudget },
  /* refused calls, for later turns */
  learnRefusals: { llm: learnRefusals },
  /* what a batch used is known when its results are read */
  settleBatch: { llm: settleBatch },
  record: { llm: toRequestRow },
} as const;

/** What the steps found so far: what `RecordInput` has, written by `runLlm` alone. */
type Progress = { -readonly [Part in keyof RecordInput]: RecordInput[Part] } & {
  /** Attempts that were given up and may be charged all the same; null mostly. */
  charged: ChargedAttempts | null;
};

/**
 * Serves one exchange of the LLM surface for an identified caller; never rejects. What need not wait is
 * not awaited: a promise for each step would cost as much as the steps.
 */
export async function runLlm(parts: GatewayParts, exchange: Exchange, caller: Caller): Promise<void> {
  const progress = begin(parts, exchange, caller);
  const refuseCut = (reason: Refused): void => refuse(exchange, reason, progress.match);
  const active = new TrackedExchange(caller, refuseCut);
  parts.active.add(active);
  try {
    const policy = parts.policy.current();
    const match = (progress.match = PIPELINE.match.llm(exchange));
    const access = (progress.access = PIPELINE.authorize.llm(policy, caller));
    if (match.format === 'models') return answerModels(parts, exchange, match, access);
    const request = (progress.request = await PIPELINE.read.llm(parts, exchange, match, active));
    progress.marks.bodyRead = parts.clock.monotonicMs();
    active.takeOver(refuseCut);
    const routed = routeByPolicyOfNow(parts, progress, policy, request);
    const route = (progress.route = routed instanceof Promise ? await routed : routed);
    progress.marks.decided = parts.clock.monotonicMs();
    if (parts.events.hasListenersFor('request.started')) announce(parts, progress, request, route);
    const { governance } = route.grant;
    const governed =
      governance === null ? null : await govern(parts, progress, { request, route, governance, kept: null });
    let turn = await rerouteIfRenamed(parts, progress, { request, route, governed });
    let sent = await send(parts, progress, active, turn);
    while (sent instanceof FailedAttempt) {
      active.takeOver(refuseCut);
      chargeAttempt(parts, progress, turn, sent);
      turn = await nextTurn(parts, progress, turn, sent);
      sent = await send(parts, progress, active, turn);
    }
    progress.answer = sent;
    conclude(parts, progress, { request, route: turn.route, answer: sent });
    if (turn.governed !== null) concludeGoverned(parts, progress, turn.governed, sent);
  } catch (error) {
    const refused = (progress.refused = active.cutBy ?? toRefused(error));
    if (refused.code === 'internal') logFault(parts.logger, exchange, refused);
    refuse(exchange, refused, progress.match, progress.access);
  } finally {
    parts.active.remove(active);
    settleAttempts(progress);
    if (progress.match?.format !== 'models' || progress.refused !== null) record(parts, progress);
  }
}

function begin({ clock }: GatewayParts, exchange: Exchange, caller: Caller): Progress {
  return {
    exchange,
    caller,
    match: null,
    access: null,
    request: null,
    route: null,
    answer: null,
    settlement: null,
    budget: null,
    decisions: NO_DECISIONS,
    earlierDecisions: NO_DECISIONS,
    refused: null,
    charged: null,
    marks: { identified: clock.monotonicMs(), bodyRead: null, decided: null, failedMs: 0, ended: 0 },
  };
}

/** A body may take minutes to arrive: what holds is the policy of now. */
function routeByPolicyOfNow(
  parts: GatewayParts,
  progress: Progress,
  before: PolicySnapshot,
  request: LlmRequest,
): LlmRoute | Promise<LlmRoute> {
  const { caller } = progress;
  const policy = parts.policy.current();
  const access =
    policy === before && progress.access !== null ? progress.access : PIPELINE.authorize.llm(policy, caller);
  progress.access = access;
  return PIPELINE.route.llm(parts, { exchange: progress.exchange, policy, caller, access, request });
}

interface Answered {
  readonly request: LlmRequest;
  readonly route: LlmRoute;
  readonly answer: LlmAnswer;
}

/** One attempt: where it goes, and what was decided for going there. */
interface Turn {
  readonly request: LlmRequest;
  readonly route: LlmRoute;
  /** Null where nothing governs the caller there. */
  readonly governed: Governed | null;
}

function send(
  parts: GatewayParts,
  { exchange, access }: Progress,
  active: TrackedExchange,
  { request, route, governed }: Turn,
): Promise<LlmAnswer | FailedAttempt> {
  const sent = governed?.request ?? request;
  const answering = isReadWhole(sent) ? PIPELINE.objects.llm : PIPELINE.forward.llm;
  return answering(parts, {
    exchange,
    active,
    access,
    request: sent,
    route,
    patches: governed?.budget?.patches ?? NO_PATCHES,
    rules: governed?.rules ?? null,
  });
}

/**
 * A hook may name another model: then its grant, rules, budgets and place hold, found anew once. The
 * hooks are not asked again about what one of them wrote.
 */
async function rerouteIfRenamed(parts: GatewayParts, progress: Progress, turn: Turn): Promise<Turn> {
  const changed = turn.governed?.request;
  const model = changed?.facts?.model ?? null;
  if (changed === undefined || !changed.match.modelInBody || model === turn.request.facts?.model) return turn;
  progress.budget?.reservation.release();
  progress.budget = null;
  progress.earlierDecisions = [...progress.earlierDecisions, ...progress.decisions];
  progress.decisions = NO_DECISIONS;
  const request = { ...changed, requestedModel: model };
  const policy = parts.policy.current();
  const route = (progress.route = await routeByPolicyOfNow(parts, progress, policy, request));
  const { governance } = route.grant;
  if (governance === null) return { request, route, governed: null };
  const hooks = governance.hooks.map((use) => ({
    ...use,
    events: use.events.filter((event) => event !== 'pre_request'),
  }));
  const input = { request, route, governance: { ...governance, hooks }, kept: null };
  return { request, route, governed: await govern(parts, progress, input) };
}

/** What is reserved ends; what attempts before the last one may have cost is charged beside it. */
function settleAttempts(progress: Progress): void {
  const { budget, settlement, answer, charged } = progress;
  if (budget !== null && charged?.settle(budget, settlement, wasCharged(answer)) !== true)
    PIPELINE.settleBudget.llm(budget, settlement, answer);
  if (charged !== null) progress.settlement = charged.inAll(settlement);
}

/** An attempt that was given up although its provider may have worked on it. */
function chargeAttempt(
  parts: GatewayParts,
  progress: Progress,
  { request, route, governed }: Turn,
  { mayBeCharged }: FailedAttempt,
): void {
  if (!mayBeCharged || !request.isBillable) return;
  const charge = PIPELINE.settle.llm(
    {
      answer: { outcome: 'upstream_failed', meter: null, mayBeCharged },
      route,
      request: governed?.request ?? request,
      usageMax: progress.budget?.usageMax ?? null,
      startedAt: progress.exchange.startedAt,
    },
    parts.prices,
  );
  progress.charged ??= new ChargedAttempts();
  progress.charged.add(charge);
}

/** What was decided for one target holds for another only as far as `carryOver` says. */
async function nextTurn(
  parts: GatewayParts,
  progress: Progress,
  { request, route: before, governed }: Turn,
  { plan, sentMark }: FailedAttempt,
): Promise<Turn> {
  await waitForRetry(progress.exchange, plan.afterMs);
  progress.marks.failedMs += parts.clock.monotonicMs() - sentMark;
  const access = PIPELINE.authorize.llm(parts.policy.current(), progress.caller);
  const route = PIPELINE.reroute.llm(parts, { request, route: before, access, on: plan.on });
  progress.route = route;
  if (plan.on !== 'next') return { request, route, governed };
  progress.access = access;
  const { keepsGuards } = carryOver(before.grant, route.grant);
  // What was reserved was counted with the other model's price and limits.
  if (progress.charged === null) progress.budget?.reservation.release();
  else progress.charged.leave(progress.budget);
  progress.budget = null;
  const { governance } = route.grant;
  const kept = keepsGuards ? (governed?.guarded ?? null) : null;
  if (kept === null) progress.earlierDecisions = [...progress.earlierDecisions, ...progress.decisions];
  progress.decisions = NO_DECISIONS;
  if (governance === null) return { request, route, governed: null };
  return { request, route, governed: await govern(parts, progress, { request, route, governance, kept }) };
}

const NO_PATCHES: readonly BodyPatch[] = [];
const NO_DECISIONS: readonly RowDecision[] = [];

/** What rules and budgets made of a request. */
interface Governed {
  readonly request: LlmRequest;
  readonly answersConversation: string | null;
  readonly guarded: Guarded;
  readonly budget: Budget | null;
  readonly rules: AnswerGovernor;
}

interface GovernInput {
  readonly request: LlmRequest;
  readonly route: LlmRoute;
  readonly governance: Governance;
  /** What the guards said for an earlier target and still holds; null where they are to be asked. */
  readonly kept: Guarded | null;
}

/** Steps 4 and 5, and what step 7 is to carry out. What was reserved is in `progress`, whatever comes of the rest. */
async function govern(
  parts: GatewayParts,
  progress: Progress,
  { request, route, governance, kept }: GovernInput,
): Promise<Governed> {
  const { caller, exchange } = progress;
  const policy = parts.policy.current();
  const access = progress.access ?? PIPELINE.authorize.llm(policy, caller);
  const question = { policy, caller, access, request, route };
  const uses = usesOf(parts, question, governance);
  const guarded = kept ?? (await PIPELINE.guard.llm(parts, { ...question, exchange, uses }, governance));
  const input = { ...question, request: guarded.request };
  const budget = uses.length === 0 ? null : await PIPELINE.reserve.llm(parts, input, uses);
  progress.budget = budget;
  const rules = new PIPELINE.inspect.llm(parts, {
    ...input,
    exchange,
    governance,
    uses,
    budget,
    decisions: guarded.decisions,
  });
  progress.decisions = rules.decisions;
  const { request: sent, answersConversation } = guarded;
  return { request: sent, answersConversation, guarded, budget, rules };
}

function concludeGoverned(
  parts: GatewayParts,
  { caller, settlement }: Progress,
  governed: Governed,
  answer: Answer,
): void {
  const { request, rules, answersConversation } = governed;
  // Before what this answer adds: that is for the next request to answer.
  if (answersConversation !== null && answer.outcome === 'ok')
    parts.governing.refusals.answered(ownerOf(caller), answersConversation);
  PIPELINE.learnRefusals.llm(parts, { caller, request }, rules.refused, answer);
  rules.tellHooks(answer, settlement);
}

/** Step 8, and what an answer says of the key and of the objects that it made. */
function conclude(parts: GatewayParts, progress: Progress, { request, route, answer }: Answered): void {
  const { exchange, caller } = progress;
  // Nothing is known of a key that was not used.
  if (answer.isFromCache === true || answer.isOwn === true) progress.route = { ...route, key: null };
  else PIPELINE.noteKey.llm(parts, route, answer);
  PIPELINE.learn.llm(parts, { exchange, caller, request, route, answer });
  progress.settlement = PIPELINE.settle.llm(
    {
      answer,
      route,
      request,
      usageMax: progress.budget?.usageMax ?? null,
      startedAt: exchange.startedAt,
    },
    parts.prices,
  );
}

/** Row 9: after the answer, off the caller's path. Never throws. */
function record(parts: GatewayParts, progress: Progress): void {
  const { request } = progress;
  progress.marks.ended = parts.clock.monotonicMs();
  try {
    const row = PIPELINE.record.llm(progress);
    parts.recorder.record(row, toCapturedBodies(progress), conversationOf(progress, row));
    if (parts.events.hasListenersFor('request.finished')) parts.events.publish('request.finished', row);
    concludeBatch(parts, progress, row);
  } catch (error) {
    logFault(parts.logger, progress.exchange, toRefused(error));
  } finally {
    if (request !== null) parts.bodyBudget.release(request.body.length);
  }
}

/** The body that says of which session the request is, where the caller did not. */
function conversationOf({ request, route }: Progress, row: RequestRow): Buffer | null {
  if (request === null || row.sessionId !== null || captureOf(route) === 'none') return null;
  return request.match.objectKind === undefined ? request.body : null;
}

/** Results of a batch that were read give their maker rows of their own; told to listeners the first time only. */
function concludeBatch(
  parts: GatewayParts,
  { caller, request, route, answer }: Progress,
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
    if (isFirst && parts.events.hasListenersFor('request.finished'))
      parts.events.publish('request.finished', used);
  }
}

function announce(parts: GatewayParts, progress: Progress, request: LlmRequest, route: LlmRoute): void {
  const { exchange, caller, access } = progress;
  parts.events.publish('request.started', {
    id: exchange.id,
    tailnet: caller.tailnet,
    at: exchange.startedAt,
    principal: caller.principal,
    userLabel: caller.user?.login ?? caller.principal,
    groups: access?.groups ?? caller.groups,
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
