/** Adds up what two policies made of the same requests; memory is bounded whatever the rows hold. */
import { callerLabel } from '../../identity/index.ts';
import type { RequestRow } from '../../store/index.ts';
import type { Judged, RecordedRequest } from './replay-side.ts';
import {
  type Change,
  type ChangedRequest,
  type CostLine,
  NO_TOOL_CALLS,
  type SideTotals,
  type SimulatedRequest,
  type SimulationReport,
  type ToolCounts,
  type ToolRange,
} from './report.ts';
import { createTally, OTHERS, type Tally } from './tally.ts';
import { createToolForecaster, type ToolForecaster, UNGOVERNED } from './tool-forecast.ts';

/** Names that are counted apart, in each list. */
const NAMES_MAX = 2_000;
/** Lines of each list of the report. */
const LINES_MAX = 50;
/** Calls of one request that are looked at, and that are told of a changed one. */
const CALLS_MAX = 256;
const CALLS_TOLD_MAX = 16;

type Mutable<Value> = { -readonly [Name in keyof Value]: Value[Name] };
type Totals = Mutable<Omit<SideTotals, 'version' | 'toolCalls'>> & { toolCalls: Mutable<ToolCounts> };

export interface SumsOptions {
  /** Changed requests that are told one by one. */
  readonly requestsMax: number;
}

export class Sums {
  readonly #requestsMax: number;
  readonly #tools: ToolForecaster = createToolForecaster();
  readonly #before = emptyTotals();
  readonly #after = emptyTotals();
  readonly #changes: Record<Change, number> = {
    newly_denied: 0,
    newly_allowed: 0,
    newly_over_budget: 0,
    no_longer_over_budget: 0,
    other_refusal: 0,
    rerouted: 0,
    repriced: 0,
    tools: 0,
  };
  readonly #refused = createTally(NAMES_MAX, refusalLine);
  readonly #rerouted = createTally(NAMES_MAX, rerouteLine);
  readonly #calls = createTally(NAMES_MAX, () => ({
    calls: 0,
    before: { ...NO_TOOL_CALLS },
    after: { ...NO_TOOL_CALLS },
  }));
  readonly #guardrails = createTally(NAMES_MAX, pair);
  readonly #hooks = createTally(NAMES_MAX, pair);
  readonly #budgets = createTally(NAMES_MAX, budgetLine);
  readonly #byProvider = createTally(NAMES_MAX, costLine);
  readonly #byModel = createTally(NAMES_MAX, costLine);
  readonly #byUser = createTally(NAMES_MAX, costLine);
  readonly #requests: ChangedRequest[] = [];
  #changed = 0;
  #recordedCostNanoUsd = 0;

  constructor({ requestsMax }: SumsOptions) {
    this.#requestsMax = requestsMax;
  }

  get changed(): number {
    return this.#changed;
  }

  add(request: RecordedRequest, before: Judged, after: Judged): void {
    const { row } = request;
    this.#recordedCostNanoUsd += row.costNanoUsd ?? 0;
    addTotals(this.#before, before);
    addTotals(this.#after, after);
    const tools = this.#addCalls(row, before, after);
    this.#addRules(before, after);
    this.#addBudgets(row, before, after);
    this.#addCosts(request, before, after);
    const changes = changesOf(before, after);
    if (tools.length > 0) changes.push('tools');
    if (changes.length === 0) return;
    this.#changed += 1;
    for (const change of changes) this.#changes[change] += 1;
    this.#addRefusal(request, before, after);
    this.#addReroute(before, after);
    if (this.#requests.length >= this.#requestsMax) return;
    this.#requests.push({
      id: row.id,
      startedAt: row.startedAt,
      principal: row.principal,
      user: callerLabel(request.caller),
      requestedModel: request.model,
      changes,
      before: shown(before),
      after: shown(after),
      tools,
    });
  }

  report(
    known: Pick<SimulationReport, 'from' | 'to' | 'rows' | 'skipped' | 'limits'> & {
      readonly versions: { readonly before: string; readonly after: string };
    },
  ): SimulationReport {
    const { versions, ...rest } = known;
    return {
      ...rest,
      recordedCostNanoUsd: this.#recordedCostNanoUsd,
      before: { version: versions.before, ...this.#before },
      after: { version: versions.after, ...this.#after },
      changes: { ...this.#changes },
      changedRequests: this.#changed,
      newlyRefused: this.#refused.top(LINES_MAX, ({ requests }) => requests).map(([, line]) => line),
      rerouted: this.#rerouted.top(LINES_MAX, ({ requests }) => requests).map(([, line]) => line),
      tools: this.#calls.top(LINES_MAX, ({ calls }) => calls).map(([tool, line]) => ({ tool, ...line })),
      guardrails: this.#guardrails.top(LINES_MAX, both).map(([name, line]) => {
        const [guardrail, action] = splitName(name);
        return { name: guardrail, action, ...line };
      }),
      hooks: this.#hooks.top(LINES_MAX, both).map(([name, line]) => ({ name, ...line })),
      budgets: this.#budgets
        .top(LINES_MAX, ({ refusedBefore, refusedAfter }) => refusedBefore + refusedAfter)
        .map(([, line]) => line),
      cost: {
        byProvider: costLines(this.#byProvider),
        byModel: costLines(this.#byModel),
        byUser: costLines(this.#byUser),
      },
      requests: this.#requests,
      requestsOmitted: this.#changed - this.#requests.length,
    };
  }

  /** Counts every call, and gives those that are judged otherwise. */
  #addCalls(row: RequestRow, before: Judged, after: Judged): ChangedRequest['tools'] {
    // What is not sent makes no calls: then it is the request that changed.
    const isBoth = before.outcome === 'allowed' && after.outcome === 'allowed';
    const changed: ChangedRequest['tools'][number][] = [];
    for (const tool of row.toolCalls.slice(0, CALLS_MAX)) {
      const was = this.#tools.of(before.governance?.tools ?? null, tool, row.agent);
      const is = this.#tools.of(after.governance?.tools ?? null, tool, row.agent);
      if (was === UNGOVERNED && is === UNGOVERNED) {
        if (before.outcome === 'allowed') this.#before.toolCalls.allowed += 1;
        if (after.outcome === 'allowed') this.#after.toolCalls.allowed += 1;
        continue;
      }
      const line = this.#calls.of(tool);
      line.calls += 1;
      if (before.outcome === 'allowed') countCall(was, [this.#before.toolCalls, line.before]);
      if (after.outcome === 'allowed') countCall(is, [this.#after.toolCalls, line.after]);
      if (!isBoth || (was.least === is.least && was.most === is.most)) continue;
      if (changed.length < CALLS_TOLD_MAX && !changed.some((one) => one.tool === tool))
        changed.push({ tool, before: rangeOf(was), after: rangeOf(is), rule: is.rule });
    }
    return changed;
  }

  #addRules(before: Judged, after: Judged): void {
    for (const { name, action } of before.governance?.guardrails ?? [])
      this.#guardrails.of(`${name}\n${action}`).before += 1;
    for (const { name, action } of after.governance?.guardrails ?? [])
      this.#guardrails.of(`${name}\n${action}`).after += 1;
    for (const { name } of before.governance?.hooks ?? []) this.#hooks.of(name).before += 1;
    for (const { name } of after.governance?.hooks ?? []) this.#hooks.of(name).after += 1;
  }

  #addBudgets(row: RequestRow, before: Judged, after: Judged): void {
    if (before.bucket !== null) this.#budgets.of(bucketKey(before.bucket)).refusedBefore += 1;
    if (after.bucket === null) return;
    const line = this.#budgets.of(bucketKey(after.bucket));
    line.refusedAfter += 1;
    line.firstRefusedAt ??= row.startedAt;
    line.lastRefusedAt = row.startedAt;
  }

  #addCosts({ caller }: RecordedRequest, before: Judged, after: Judged): void {
    const user = callerLabel(caller);
    for (const [side, judged] of [
      ['before', before],
      ['after', after],
    ] as const) {
      if (judged.provider === null) continue;
      addCost(this.#byProvider.of(judged.provider), side, judged);
      addCost(this.#byModel.of(placeOf(judged)), side, judged);
      addCost(this.#byUser.of(user), side, judged);
    }
  }

  #addRefusal({ caller, model }: RecordedRequest, before: Judged, after: Judged): void {
    if (before.outcome !== 'allowed' || (after.outcome !== 'denied' && after.outcome !== 'over_budget'))
      return;
    const name = [after.reason ?? '', after.rule ?? '', model, callerLabel(caller)];
    this.#refused.of(JSON.stringify(name)).requests += 1;
  }

  #addReroute(before: Judged, after: Judged): void {
    if (before.provider === null || after.provider === null || placeOf(before) === placeOf(after)) return;
    const line = this.#rerouted.of(JSON.stringify([placeOf(before), placeOf(after)]));
    line.requests += 1;
    line.beforeNanoUsd += before.costNanoUsd ?? 0;
    line.afterNanoUsd += after.costNanoUsd ?? 0;
  }
}

function changesOf(before: Judged, after: Judged): Change[] {
  if (before.outcome !== after.outcome) {
    if (after.outcome === 'denied') return ['newly_denied'];
    if (after.outcome === 'over_budget') return ['newly_over_budget'];
    if (before.outcome === 'over_budget') return ['no_longer_over_budget'];
    return before.outcome === 'denied' ? ['newly_allowed'] : [];
  }
  if (after.outcome === 'denied' || after.outcome === 'over_budget')
    return before.reason === after.reason && before.rule === after.rule ? [] : ['other_refusal'];
  if (placeOf(before) !== placeOf(after) || before.translated !== after.translated) return ['rerouted'];
  return before.costNanoUsd === after.costNanoUsd ? [] : ['repriced'];
}

function shown(judged: Judged): SimulatedRequest {
  const { outcome, reason, rule, provider, model, translated, costNanoUsd, retryAfterSec } = judged;
  return { outcome, reason, rule, provider, model, translated, costNanoUsd, retryAfterSec };
}

function placeOf({ provider, model }: SimulatedRequest): string {
  return `${provider ?? ''}/${model ?? ''}`;
}

function rangeOf({ least, most }: ToolRange): ToolRange {
  return { least, most };
}

function addTotals(totals: Totals, judged: Judged): void {
  switch (judged.outcome) {
    case 'allowed':
      totals.allowed += 1;
      break;
    case 'denied':
      totals.denied += 1;
      return;
    case 'over_budget':
      totals.overBudget += 1;
      return;
    case 'unknown':
    default:
      totals.unknown += 1;
  }
  if (judged.translated) totals.translated += 1;
  totals.costNanoUsd += judged.costNanoUsd ?? 0;
  if (judged.costNanoUsd !== null) return;
  if (judged.hasUsage) totals.unpriced += 1;
  else totals.withoutUsage += 1;
}

function countCall(range: ToolRange, counts: readonly Mutable<ToolCounts>[]): void {
  for (const count of counts) {
    switch (range.least) {
      case 'allow':
        count.allowed += 1;
        break;
      case 'rewrite':
        count.rewritten += 1;
        break;
      case 'ask':
        count.asked += 1;
        break;
      case 'deny':
      default:
        count.denied += 1;
    }
    if (range.least === range.most) continue;
    if (range.most === 'rewrite') count.mayBeRewritten += 1;
    else if (range.most === 'ask') count.mayBeAsked += 1;
    else count.mayBeDenied += 1;
  }
}

function emptyTotals(): Totals {
  return {
    allowed: 0,
    denied: 0,
    overBudget: 0,
    unknown: 0,
    translated: 0,
    costNanoUsd: 0,
    unpriced: 0,
    withoutUsage: 0,
    toolCalls: { ...NO_TOOL_CALLS },
  };
}

function pair(): { before: number; after: number } {
  return { before: 0, after: 0 };
}

function both({ before, after }: { readonly before: number; readonly after: number }): number {
  return before + after;
}

function refusalLine(name: string): Mutable<SimulationReport['newlyRefused'][number]> {
  const [reason = OTHERS, rule = '', model = OTHERS, user = OTHERS] = partsOf(name);
  return { reason, rule: rule === '' ? null : rule, model, user, requests: 0 };
}

function rerouteLine(name: string): Mutable<SimulationReport['rerouted'][number]> {
  const [from = OTHERS, to = OTHERS] = partsOf(name);
  return { from, to, requests: 0, beforeNanoUsd: 0, afterNanoUsd: 0 };
}

function budgetLine(name: string): Mutable<SimulationReport['budgets'][number]> {
  const [bucket = OTHERS, quota = OTHERS] = partsOf(name);
  return { bucket, quota, refusedBefore: 0, refusedAfter: 0, firstRefusedAt: null, lastRefusedAt: null };
}

function bucketKey({ name, quota }: { readonly name: string; readonly quota: string }): string {
  return JSON.stringify([name, quota]);
}

/** The parts of a name that was made of several; none for that of all others. */
function partsOf(name: string): readonly string[] {
  if (name === OTHERS) return [];
  const parts: unknown = JSON.parse(name);
  return Array.isArray(parts) ? parts.map(String) : [];
}

function splitName(name: string): readonly [string, string] {
  const [first = name, second = ''] = name.split('\n');
  return [first, second];
}

function costLine(name: string): Mutable<CostLine> {
  return { name, requestsBefore: 0, requestsAfter: 0, beforeNanoUsd: 0, afterNanoUsd: 0 };
}

function addCost(line: Mutable<CostLine>, side: 'before' | 'after', { costNanoUsd }: SimulatedRequest): void {
  if (side === 'before') {
    line.requestsBefore += 1;
    line.beforeNanoUsd += costNanoUsd ?? 0;
  } else {
    line.requestsAfter += 1;
    line.afterNanoUsd += costNanoUsd ?? 0;
  }
}

function costLines(tally: Tally<Mutable<CostLine>>): readonly CostLine[] {
  const size = ({ beforeNanoUsd, afterNanoUsd, requestsBefore, requestsAfter }: CostLine): number =>
    Math.max(beforeNanoUsd, afterNanoUsd) + Math.max(requestsBefore, requestsAfter);
  return tally.top(LINES_MAX, size).map(([, line]) => line);
}
