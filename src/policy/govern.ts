/** From the document's rules to what holds for one caller and one model. */
import type { HookUse, GatewayDocument } from './document.ts';
import type { HeldCapability } from './caller-rules.ts';
import { compileGlob, type Glob, matchesAny } from './glob.ts';
import type { CachePolicy, Governance, GuardrailEntry, ToolRule } from './governance.ts';
import { matchSource, type SourceSubject } from './match-source.ts';
import { compileToolPolicy, joinToolPolicies } from './tool-policy.ts';

/** A top-level rule with its patterns compiled. */
interface Placed<Rule> {
  readonly rule: Rule;
  readonly src: readonly string[] | null;
  /** Null: every model. */
  readonly globs: readonly Glob[] | null;
}

export interface Governor {
  /** What holds, or null for nothing at all. `held` are the capabilities that apply to the model. */
  of(subject: SourceSubject, held: readonly HeldCapability[], name: string): Governance | null;
}

export function createGovernor(document: GatewayDocument): Governor {
  const rules = document.tools.map((rule) => place(rule, rule.src, rule.models));
  const guardrails = [...document.guardrails.values()].map((entry) => place(entry, entry.src, entry.models));
  return {
    of(subject, held, name) {
      const matching = <Rule>(placed: readonly Placed<Rule>[]): Rule[] =>
        placed.filter((one) => isMeant(one, subject, name)).map(({ rule }) => rule);
      const governance: Omit<Governance, 'needsInspection'> = {
        buckets: distinct(held.flatMap(({ capability }) => capability.quotas))
          .map((bucket) => document.quotas.get(bucket))
          .filter((entry) => entry !== undefined),
        hooks: mergeHooks(held.flatMap(({ capability }) => capability.hooks)),
        guardrails: distinct([...matching(guardrails), ...named(document, held, name)]),
        cache: mostPrivate(held.map(({ capability }) => capability.cache)),
        tools: compileToolPolicy(
          [matching(rules), ...held.map(({ capability }) => capability.tools)].filter(isFilled),
        ),
      };
      // A hook that may veto a call needs to see it, like a rule.
      const isAskedOfHooks = governance.hooks.some(({ events }) => events.includes('tool_call'));
      const needsInspection = governance.tools !== null || governance.guardrails.length > 0 || isAskedOfHooks;
      const isEmpty =
        !needsInspection &&
        governance.buckets.length === 0 &&
        governance.hooks.length === 0 &&
        governance.cache === null;
      return isEmpty ? null : { ...governance, needsInspection };
    },
  };
}

function place<Rule>(
  rule: Rule,
  src: readonly string[] | null,
  models: readonly string[] | null,
): Placed<Rule> {
  // Without regard to case, as `deny`: providers take such spellings for the same model.
  return { rule, src, globs: models?.map((pattern) => compileGlob(pattern.toLowerCase())) ?? null };
}

function isMeant({ src, globs }: Placed<unknown>, subject: SourceSubject, name: string): boolean {
  if (globs !== null && !matchesAny(globs, name.toLowerCase())) return false;
  return src === null || src.some((source) => matchSource(source, subject).matched);
}

function isFilled(rules: readonly ToolRule[]): boolean {
  return rules.length > 0;
}

function named(
  document: GatewayDocument,
  held: readonly HeldCapability[],
  name: string,
): readonly GuardrailEntry[] {
  const folded = name.toLowerCase();
  return held
    .flatMap(({ capability }) => capability.guardrails)
    .map((guardrail) => document.guardrails.get(guardrail))
    .filter((entry) => entry !== undefined)
    .filter(
      ({ models }) =>
        models === null ||
        matchesAny(
          models.map((one) => compileGlob(one.toLowerCase())),
          folded,
        ),
    );
}

function distinct<Item>(items: readonly Item[]): readonly Item[] {
  return [...new Set(items)];
}

/** The same hook in several grants fires once, with events and fields of all. */
function mergeHooks(all: readonly HookUse[]): readonly HookUse[] {
  const hooks = new Map<string, HookUse>();
  for (const hook of all) {
    const known = hooks.get(hook.name);
    hooks.set(hook.name, {
      name: hook.name,
      events: distinct([...(known?.events ?? []), ...hook.events]),
      send: distinct([...(known?.send ?? []), ...hook.send]),
    });
  }
  return [...hooks.values()];
}

/**
 * What holds where several models are meant at once: every rule and every bucket of each, and of their tool
 * rules the strictest answer. Nothing of it is cached. Null where nothing holds for any.
 */
export function joinGovernance(all: readonly (Governance | null)[]): Governance | null {
  const held = distinct(all).filter((one) => one !== null);
  const [first] = held;
  if (first === undefined) return null;
  if (held.length === 1) return all.length === 1 ? first : { ...first, cache: null };
  return {
    buckets: distinct(held.flatMap(({ buckets }) => buckets)),
    hooks: mergeHooks(held.flatMap(({ hooks }) => hooks)),
    guardrails: distinct(held.flatMap(({ guardrails }) => guardrails)),
    cache: null,
    tools: joinToolPolicies(held.map(({ tools }) => tools).filter((tools) => tools !== null)),
    needsInspection: held.some(({ needsInspection }) => needsInspection),
  };
}

/** The narrower scope and the shorter time; null where no capability opens the cache. */
function mostPrivate(all: readonly (CachePolicy | null)[]): CachePolicy | null {
  const given = all.filter((one) => one !== null);
  if (given.length === 0) return null;
  return {
    scope: given.some(({ scope }) => scope === 'user') ? 'user' : 'tailnet',
    ttlMs: Math.min(...given.map(({ ttlMs }) => ttlMs)),
  };
}
