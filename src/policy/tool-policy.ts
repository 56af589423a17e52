/**
 * Tool rules, compiled for one caller and model. Of a list the first rule that holds is taken; of
 * several lists (the top level's, each capability's) the strictest answer. Rules with a label are
 * lists of their own: what an agent says of itself can only make the answer stricter.
 */
import type { JsonValue } from '../wire/hujson.ts';
import { compileGlob, type Glob, matchesAny } from './glob.ts';
import type {
  ArgumentTest,
  ToolAction,
  ToolDecision,
  ToolPolicy,
  ToolQuestion,
  ToolRule,
} from './governance.ts';
import { reach, withValue } from './json-path.ts';

/** Longer names are no tool's: they are refused wherever a rule exists. */
export const TOOL_NAME_MAX = 512;

const STRICTNESS: Readonly<Record<ToolAction, number>> = { allow: 0, rewrite: 1, ask: 2, deny: 3 };

interface CompiledRule {
  readonly rule: ToolRule;
  readonly means: (name: string) => boolean;
  readonly agents: readonly Glob[] | null;
}

/** The policy of these lists; null if they are all empty. */
export function compileToolPolicy(lists: readonly (readonly ToolRule[])[]): ToolPolicy | null {
  const compiled = lists.flatMap(withLabelsApart).map((rules) => rules.map(compileRule));
  if (compiled.length === 0) return null;
  return {
    rules: lists.flat(),
    governs: (name) =>
      name.length > TOOL_NAME_MAX || compiled.some((rules) => rules.some(({ means }) => means(name))),
    decide(question) {
      return strictestOf(compiled.map((rules) => firstOf(rules, question)).filter((found) => found !== null));
    },
  };
}

/** The strictest answer of several policies; null for none. */
export function joinToolPolicies(policies: readonly ToolPolicy[]): ToolPolicy | null {
  const [first] = policies;
  if (first === undefined) return null;
  if (policies.length === 1) return first;
  return {
    rules: [...new Set(policies.flatMap(({ rules }) => rules))],
    governs: (name) => policies.some((policy) => policy.governs(name)),
    decide: (question) => strictestOf(policies.map((policy) => policy.decide(question))),
  };
}

/** Where none is stricter, the first that names a rule. */
function strictestOf(decisions: readonly ToolDecision[]): ToolDecision {
  let strictest: ToolDecision = { action: 'allow', rule: null };
  for (const decision of decisions) {
    if (decision.rule === null) continue;
    if (strictest.rule === null || STRICTNESS[decision.action] > STRICTNESS[strictest.action])
      strictest = decision;
  }
  return strictest;
}

/** Whether a text matches a glob over tool names, in which `*` stands for any run of characters. */
export function compileToolGlob(pattern: string): Glob {
  return compileGlob(pattern.replace(/\*+/g, '**'));
}

/** One list without labels and one with. */
function withLabelsApart(rules: readonly ToolRule[]): readonly (readonly ToolRule[])[] {
  return [
    rules.filter(({ agents }) => agents === null),
    rules.filter(({ agents }) => agents !== null),
  ].filter((list) => list.length > 0);
}

function compileRule(rule: ToolRule): CompiledRule {
  return {
    rule,
    means: toolMatcher(rule),
    agents: rule.agents?.map(compileToolGlob) ?? null,
  };
}

/** Some agents take a name that they do not know for the one in small letters: in doubt the rule that refuses holds. */
function toolMatcher({ tools, action }: ToolRule): (name: string) => boolean {
  if (action === 'allow') {
    const exact = tools.map(compileToolGlob);
    return (name) => matchesAny(exact, name);
  }
  const folded = tools.map((pattern) => compileToolGlob(pattern.toLowerCase()));
  return (name) => matchesAny(folded, name.toLowerCase());
}

function firstOf(rules: readonly CompiledRule[], question: ToolQuestion): ToolDecision | null {
  for (const { rule, means, agents } of rules) {
    if (question.name.length > TOOL_NAME_MAX) return { action: 'deny', rule };
    if (!means(question.name)) continue;
    if (agents !== null && (question.agent === null || !matchesAny(agents, question.agent))) continue;
    if (!rule.when.every((test) => holds(test, question, STRICTNESS[rule.action] >= STRICTNESS.ask)))
      continue;
    if (rule.action !== 'rewrite') return { action: rule.action, rule };
    // What cannot be rewritten as written must not pass as it is.
    if (question.arguments === undefined) return { action: 'deny', rule };
    return { action: 'rewrite', rule, arguments: rewritten(question.arguments, rule) };
  }
  return null;
}

function rewritten(value: JsonValue, rule: ToolRule): JsonValue {
  return rule.set.reduce((changed, { path, value: set }) => withValue(changed, path, set), value);
}

/** `strict`: in doubt it holds, for rules that refuse or ask; in doubt it does not, for rules that let pass. */
function holds({ path, test }: ArgumentTest, question: ToolQuestion, strict: boolean): boolean {
  if (question.arguments === undefined && path.length > 0) return strict;
  const found = reach(question.arguments === undefined ? question.argumentsText : question.arguments, path);
  switch (test.kind) {
    case 'matches':
      return found.some((value) => matchesText(test.pattern, value));
    case 'not_matches':
      return found.length === 0 ? strict : found.some((value) => !matchesText(test.pattern, value));
    case 'equals':
      return found.some((value) => isSame(value, test.value));
    case 'in':
      return found.some((value) => test.values.some((one) => isSame(value, one)));
    case 'exists':
    default:
      return test.exists === found.length > 0;
  }
}

/** Values that are no text are matched as the JSON that they are. */
function matchesText(pattern: { test(text: string): boolean }, value: JsonValue): boolean {
  return pattern.test(typeof value === 'string' ? value : JSON.stringify(value));
}

function isSame(a: JsonValue, b: JsonValue): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((item, index) => isSame(item, b[index] ?? null))
    );
  }
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isSame(a[key] ?? null, b[key] ?? null))
  );
}
