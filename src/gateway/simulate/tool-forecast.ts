/**
 * What tool rules would say of a call of which only the name is recorded. A rule with conditions on
 * the arguments (`when`) may hold or not, so the answer is a range: what it is at the least, and at the most.
 */
import { TOOL_NAME_MAX, compileToolGlob } from '../../policy/tool-policy.ts';
import { type Glob, matchesAny } from '../../policy/glob.ts';
import type { ToolAction, ToolPolicy, ToolRule } from '../../policy/index.ts';

/** From the mildest to the strictest. */
const ORDER: readonly ToolAction[] = ['allow', 'rewrite', 'ask', 'deny'];

export interface ToolForecast {
  readonly least: ToolAction;
  readonly most: ToolAction;
  /** The rule behind `most`; null where none could hold. */
  readonly rule: string | null;
}

export const UNGOVERNED: ToolForecast = { least: 'allow', most: 'allow', rule: null };

export interface ToolForecaster {
  of(tools: ToolPolicy | null, name: string, agent: string | null): ToolForecast;
}

interface CompiledRule {
  readonly rule: ToolRule;
  readonly tools: readonly Glob[];
  readonly agents: readonly Glob[] | null;
}

/** Names come from models; beyond this the memory starts afresh. */
const REMEMBERED_MAX = 2_000;

export function createToolForecaster(): ToolForecaster {
  const compiled = new WeakMap<ToolPolicy, readonly (readonly CompiledRule[])[]>();
  let known = new WeakMap<ToolPolicy, Map<string, ToolForecast>>();
  let size = 0;
  return {
    of(tools, name, agent) {
      if (tools === null || !tools.governs(name)) return UNGOVERNED;
      const key = `${agent ?? ''}\n${name}`;
      const found = known.get(tools)?.get(key);
      if (found !== undefined) return found;
      if (size >= REMEMBERED_MAX) {
        known = new WeakMap();
        size = 0;
      }
      const lists = compiled.get(tools) ?? compileLists(tools);
      compiled.set(tools, lists);
      const forecast = forecastCall(lists, name, agent);
      const own = known.get(tools) ?? new Map<string, ToolForecast>();
      known.set(tools, own);
      own.set(key, forecast);
      size += 1;
      return forecast;
    },
  };
}

/** The lists that were laid one after the other: a rule's path names its list, and labels are lists of their own. */
function compileLists(tools: ToolPolicy): readonly (readonly CompiledRule[])[] {
  const lists = Map.groupBy(
    tools.rules,
    ({ path, agents }) => `${path.replace(/\[\d+\]$/, '')}\n${agents === null ? '' : 'labels'}`,
  );
  return [...lists.values()].map((rules) =>
    rules.map((rule) => ({
      rule,
      tools: rule.tools.map(compileToolGlob),
      agents: rule.agents?.map(compileToolGlob) ?? null,
    })),
  );
}

function forecastCall(
  lists: readonly (readonly CompiledRule[])[],
  name: string,
  agent: string | null,
): ToolForecast {
  let least = 0;
  let most = 0;
  let rule: string | null = null;
  for (const list of lists) {
    const outcomes = outcomesOf(list, name, agent);
    least = Math.max(least, Math.min(...outcomes.map(({ strictness }) => strictness)));
    for (const outcome of outcomes) {
      if (outcome.rule === null || (rule !== null && outcome.strictness <= most)) continue;
      most = outcome.strictness;
      rule = outcome.rule;
    }
  }
  return { least: ORDER[least] ?? 'deny', most: ORDER[most] ?? 'deny', rule };
}

interface Outcome {
  readonly strictness: number;
  readonly rule: string | null;
}

/** Everything that one list could say; never empty. The first rule that surely holds ends it. */
function outcomesOf(list: readonly CompiledRule[], name: string, agent: string | null): readonly Outcome[] {
  const outcomes: Outcome[] = [];
  for (const { rule, tools, agents } of list) {
    if (name.length > TOOL_NAME_MAX) return [{ strictness: ORDER.indexOf('deny'), rule: rule.path }];
    if (!matchesAny(tools, name)) continue;
    if (agents !== null && (agent === null || !matchesAny(agents, agent))) continue;
    outcomes.push({ strictness: ORDER.indexOf(rule.action), rule: rule.path });
    if (rule.when.length === 0) return outcomes;
  }
  return [...outcomes, { strictness: 0, rule: null }];
}
