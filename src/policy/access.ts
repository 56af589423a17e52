/** What one caller may do, worked out once and then answered from memory. */
import type { Caller } from '../identity/caller.ts';
import {
  type CallerRules,
  type HeldCapability,
  heldCapabilities,
  isDenied,
  type RuleBook,
  rulesOf,
} from './caller-rules.ts';
import type { JsonValue } from '../wire/hujson.ts';
import { CAPABILITY_NAMES, type CaptureMode, type CorsGrant, type Role } from './document.ts';
import type { Governor } from './govern.ts';
import { compileGlob, type Glob, matchesAny } from './glob.ts';
import type { Access, ModelGrant, Provider } from './snapshot.ts';

/** Answers kept per caller; callers choose model names where providers have patterns. */
const GRANTS_MAX = 2048;

export interface AccessContext {
  readonly book: RuleBook;
  readonly governor: Governor;
  readonly providers: ReadonlyMap<string, Provider>;
  /** The least private mode that the document allows at all. */
  readonly captureCeiling: CaptureMode;
}

const PRIVACY: Readonly<Record<CaptureMode, number>> = { full: 0, metadata: 1, none: 2 };

/** Of two modes, the one that keeps less. */
export function morePrivate(a: CaptureMode, b: CaptureMode): CaptureMode {
  return PRIVACY[a] >= PRIVACY[b] ? a : b;
}

export function createAccess(context: AccessContext, caller: Caller): Access {
  const rules = rulesOf(context.book, caller);
  const held = heldCapabilities(rules, caller);
  const roles = new Set<Role>();
  for (const { role } of held) if (role !== null) roles.add(role);
  const decide = modelDecider(context, caller, rules, held, roles);
  const answers = new Map<string, Map<string, ModelGrant | null>>();
  let answered = 0;
  return {
    roles,
    noRole: roles.size === 0 && held.some(({ globs }) => globs !== null && globs.length > 0),
    groups: [...rules.groups].sort(),
    leads: roles.has('lead') ? [...new Set(held.flatMap(({ capability }) => capability.leads))].sort() : [],
    grant(providerId, model) {
      const known = answers.get(providerId)?.get(model);
      if (known !== undefined) return known;
      if (answered >= GRANTS_MAX) {
        answers.clear();
        answered = 0;
      }
      const answer = decide(providerId, model);
      let ofProvider = answers.get(providerId);
      if (ofProvider === undefined) answers.set(providerId, (ofProvider = new Map()));
      ofProvider.set(model, answer);
      answered += 1;
      return answer;
    },
    readMetrics: mayReadMetrics(held, caller),
    readPricing: roles.size > 0 && held.some(({ capability }) => capability.readPricing),
    cors: held.map(({ capability }) => capability.cors).filter((cors): cors is CorsGrant => cors !== null),
    otherCapabilities: otherCapabilities(rules, caller),
    quotas: [...new Set(held.flatMap(({ capability }) => capability.quotas))],
    rules: held.map(({ capability, src, role }) => ({
      rule: capability.path,
      src,
      role,
      models: capability.models,
    })),
  };
}

/** What the document's matching grants and the network carry under names that are not Postern's. */
function otherCapabilities({ tried }: CallerRules, caller: Caller): Access['otherCapabilities'] {
  const found = new Map<string, JsonValue[]>();
  const add = (name: string, values: readonly unknown[]): void => {
    const known = found.get(name) ?? [];
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both the document and WhoIs are JSON.
    found.set(name, [...known, ...(values as readonly JsonValue[])]);
  };
  for (const { grant, matchedSrc } of tried)
    if (matchedSrc !== null) for (const [name, values] of grant.otherCapabilities) add(name, values);
  const own: readonly string[] = CAPABILITY_NAMES;
  for (const [name, values] of caller.capabilities) if (!own.includes(name)) add(name, values);
  return Object.fromEntries(found);
}

/** Reading metrics needs the capability or an admin; a token also needs the scope. */
function mayReadMetrics(held: readonly HeldCapability[], caller: Caller): boolean {
  const granted = held.some(({ capability, ownerRole }) => ownerRole === 'admin' || capability.readMetrics);
  const inScope =
    caller.token === null || caller.token.scopes.includes('metrics') || caller.token.scopes.includes('admin');
  return granted && inScope && held.some(({ ownerRole }) => ownerRole !== null);
}

function modelDecider(
  context: AccessContext,
  caller: Caller,
  rules: CallerRules,
  held: readonly HeldCapability[],
  roles: ReadonlySet<Role>,
): (providerId: string, model: string) => ModelGrant | null {
  const { token } = caller;
  const mayUse = roles.size > 0 && (token === null || token.scopes.includes('use'));
  const tokenGlobs = token === null || token.models === null ? null : token.models.map(compileGlob);
  return (providerId, model) => {
    const provider = context.providers.get(providerId);
    if (!mayUse || model === '' || provider === undefined || provider.disabled) return null;
    const name = `${providerId}/${model}`;
    if (tokenGlobs !== null && !matchesAny(tokenGlobs, name)) return null;
    if (rules.deny.some((entry) => isDenied(entry, name))) return null;
    return combine(context, rules, held, name);
  };
}

/** The union of what holds for a model; null if nothing opens it. */
function combine(
  { captureCeiling, governor }: AccessContext,
  { subject }: CallerRules,
  held: readonly HeldCapability[],
  name: string,
): ModelGrant | null {
  const applying = held.filter(({ globs }) => globs === null || matchesAny(globs, name));
  const opening = applying.find(({ globs }) => globs !== null);
  if (opening === undefined) return null;
  return {
    rule: opening.capability.path,
    capture: applying.reduce(
      (mode, { capability }) => (capability.capture === null ? mode : morePrivate(mode, capability.capture)),
      captureCeiling,
    ),
    addHeaders: applying.flatMap(({ capability }) => capability.addHeaders),
    governance: governor.of(subject, applying, name),
  };
}

/** The first pattern that matches, for `explain`. */
export function matchingPattern(globs: readonly Glob[] | null, name: string): string | null {
  return globs?.find((glob) => glob.test(name))?.pattern ?? null;
}
