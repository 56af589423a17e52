/** Why a caller may, or may not, use a model: tries everything again and says what came of it. */
import { type Caller, callerLabel } from '../identity/caller.ts';
import { matchingPattern } from './access.ts';
import { heldCapabilities, isDenied, type RuleBook, rulesOf, type TriedGrant } from './caller-rules.ts';
import type { GatewayDocument } from './document.ts';
import type { Governance, ToolQuestion } from './governance.ts';
import { explainCall, renderCall } from './explain-call.ts';
import { compileGlob, matchesAny, splitModelName } from './glob.ts';
import type {
  CandidateStep,
  ExplainAudience,
  Explanation,
  ExplanationReason,
  Fixer,
  GrantStep,
} from './explanation.ts';
import { isBareSharedDevice } from './match-source.ts';
import type { ModelResolver } from './resolve-model.ts';
import type { Access, Candidate, Provider } from './snapshot.ts';

export interface ExplainInput {
  readonly caller: Caller;
  readonly model: string;
  readonly format: string | null;
  readonly audience: ExplainAudience;
  /** A tool call to tell about, too. */
  readonly call: ToolQuestion | null;
  readonly access: Access;
  readonly book: RuleBook;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly resolver: ModelResolver;
  readonly document: GatewayDocument;
  /** As in `CompileInput`; gives null for everything where the document does not translate. */
  readonly translateTo: (
    format: string,
    providerFormats: ReadonlySet<string>,
    upstreamModel: string,
  ) => string | null;
}

export function explainAccess(input: ExplainInput): Explanation {
  const { caller, access, model, format } = input;
  const rules = rulesOf(input.book, caller);
  const found = input.resolver.resolve(model);
  const candidates = found.map((candidate) => explainCandidate(input, candidate, rules.deny));
  const reason = reasonOf(input, found, candidates);
  const explanation: Omit<Explanation, 'text'> = {
    allowed: reason === 'allowed',
    reason,
    caller: {
      principal: caller.principal,
      label: callerLabel(caller),
      door: caller.door,
      groups: access.groups,
      tags: caller.device?.tags ?? [],
      roles: [...access.roles],
    },
    model,
    format,
    candidates,
    grants: rules.tried.map((tried) => explainGrant(tried, found)),
    call: input.call === null ? null : explainCall(access, candidates, input.call),
    disabled: input.document.disabled,
    fix: FIXES[reason](explanationSubject(input)),
  };
  const shown = input.audience === 'self' ? withoutOthers(explanation) : explanation;
  return { ...shown, text: renderExplanation(shown) };
}

/** Reasons that tell whether a model exists which the caller may not use. */
const HIDDEN_REASONS: ReadonlySet<ExplanationReason> = new Set([
  'model_unknown',
  'provider_disabled',
  'denied',
]);

function withoutOthers(explanation: Omit<Explanation, 'text'>): Omit<Explanation, 'text'> {
  const { caller, reason, model } = explanation;
  const isHidden = HIDDEN_REASONS.has(reason) || reason === 'not_granted';
  return {
    ...explanation,
    reason: isHidden ? 'not_granted' : reason,
    candidates: explanation.candidates.filter(({ allowed }) => allowed),
    grants: explanation.grants
      .filter(({ matchedSrc }) => matchedSrc !== null)
      .map((grant) => ({ ...grant, why: [] })),
    disabled: [],
    fix: isHidden
      ? { who: 'admin', what: `ask for a grant of ${JSON.stringify(model)} to ${caller.label}, if it exists` }
      : explanation.fix,
  };
}

function explainCandidate(
  input: ExplainInput,
  candidate: Candidate,
  deny: ReturnType<typeof rulesOf>['deny'],
): CandidateStep {
  const name = `${candidate.provider.id}/${candidate.model}`;
  const grant = input.access.grant(candidate.provider.id, candidate.model);
  return {
    provider: candidate.provider.id,
    model: candidate.model,
    via: candidate.via,
    allowed: grant !== null,
    rule: grant?.rule ?? null,
    deniedBy: deny.find((entry) => isDenied(entry, name))?.path ?? null,
    ...formatStep(input, candidate),
    capture: grant?.capture ?? null,
    governedBy: governedBy(grant?.governance ?? null),
  };
}

function formatStep(
  { format, translateTo }: ExplainInput,
  { provider: { formats }, model }: Candidate,
): Pick<CandidateStep, 'speaksFormat' | 'translatedTo'> {
  if (format === null) return { speaksFormat: null, translatedTo: null };
  const speaksFormat = formats.has(format);
  return { speaksFormat, translatedTo: speaksFormat ? null : translateTo(format, formats, model) };
}

/** Aperture's own rule, which Postern's budgets do without (DESIGN section 7). */
const UNRESERVED = 'reserve: none, so requests at the same time may overrun it';

function governedBy(governance: Governance | null): CandidateStep['governedBy'] {
  const { buckets = [], guardrails = [], hooks = [], tools = null, cache = null } = governance ?? {};
  return {
    buckets: buckets.map(({ name, reserve }) => (reserve === 'none' ? `${name} (${UNRESERVED})` : name)),
    guardrails: guardrails.map(({ name, action }) => `${name} (${action})`),
    hooks: hooks.map(({ name }) => name),
    tools:
      tools?.rules.map(({ path, tools: names, action }) => `${path}: ${action} ${names.join(', ')}`) ?? [],
    cache: cache === null ? null : `${cache.scope}, ${cache.ttlMs / 1000} s`,
  };
}

function explainGrant(tried: TriedGrant, found: readonly Candidate[]): GrantStep {
  return {
    grant: tried.grant.path,
    matchedSrc: tried.matchedSrc,
    why: tried.tries.map((attempt) => attempt.why),
    capabilities: tried.grant.capabilities.map(({ capability, globs }) => ({
      rule: capability.path,
      role: capability.role,
      models: capability.models,
      matched:
        found
          .map((one) => matchingPattern(globs, `${one.provider.id}/${one.model}`))
          .find((one) => one !== null) ?? null,
    })),
  };
}

/** The first reason on the way of a request that stops it. */
function reasonOf(
  input: ExplainInput,
  found: readonly Candidate[],
  steps: readonly CandidateStep[],
): ExplanationReason {
  const { caller, access, format } = input;
  if (isBareSharedDevice(caller)) return 'shared_device';
  if (access.roles.size === 0) return 'no_role';
  if (caller.token !== null && !caller.token.scopes.includes('use')) return 'token_without_use';
  if (found.length === 0) return isDisabledProvider(input) ? 'provider_disabled' : 'model_unknown';
  const allowed = steps.filter((step) => step.allowed);
  if (allowed.some((step) => step.speaksFormat !== false || step.translatedTo !== null)) return 'allowed';
  if (allowed.length > 0 && format !== null) return 'format_unsupported';
  if (steps.some((step) => step.deniedBy !== null)) return 'denied';
  return isTokenNarrowed(input, found) ? 'token_models' : 'not_granted';
}

function isDisabledProvider(input: ExplainInput): boolean {
  const split = splitModelName(input.model);
  if (split !== null && input.providers.get(split.provider)?.disabled === true) return true;
  return [...input.providers.values()].some(
    (provider) => provider.disabled && input.resolver.serves(provider, input.model),
  );
}

/** A grant opens the model, and the token leaves it out. */
function isTokenNarrowed(input: ExplainInput, found: readonly Candidate[]): boolean {
  const patterns = input.caller.token?.models ?? null;
  if (patterns === null) return false;
  const globs = patterns.map(compileGlob);
  const held = heldCapabilities(rulesOf(input.book, input.caller), input.caller);
  return found.some((candidate) => {
    const name = `${candidate.provider.id}/${candidate.model}`;
    return !matchesAny(globs, name) && held.some((one) => one.globs !== null && matchesAny(one.globs, name));
  });
}

interface Subject {
  readonly label: string;
  readonly model: string;
  readonly format: string | null;
  readonly noRole: boolean;
}

function explanationSubject(input: ExplainInput): Subject {
  return {
    label: callerLabel(input.caller),
    model: input.model,
    format: input.format,
    noRole: input.access.noRole,
  };
}

const FIXES: Readonly<
  Record<ExplanationReason, (subject: Subject) => { readonly who: Fixer; readonly what: string }>
> = {
  allowed: () => ({ who: 'nobody', what: 'nothing to do' }),
  no_role: ({ label, noRole }) => ({
    who: 'admin',
    what: noRole
      ? `grants give ${label} models but no role: add {"role": "user"}`
      : `add a grant that gives ${label} a role and models`,
  }),
  model_unknown: ({ model }) => ({
    who: 'admin',
    what: `no provider serves ${JSON.stringify(model)}: check its spelling, or add it to a provider's models`,
  }),
  provider_disabled: () => ({ who: 'admin', what: 'enable the provider' }),
  not_granted: ({ label, model }) => ({
    who: 'admin',
    what: `add a grant whose "src" means ${label} and whose "models" match ${model}`,
  }),
  denied: () => ({ who: 'admin', what: 'change the deny entry; no grant outweighs it' }),
  token_without_use: () => ({ who: 'caller', what: 'present a token with the scope "use"' }),
  token_models: () => ({ who: 'caller', what: 'present a token that is not limited to other models' }),
  shared_device: () => ({
    who: 'caller',
    what: 'present a token: this device carries the traffic of several people',
  }),
  format_unsupported: ({ format }) => ({
    who: 'caller',
    what: `call the model in a format that its provider speaks, not ${format ?? ''}`,
  }),
};

function renderGoverned({ buckets, guardrails, hooks, tools, cache }: CandidateStep['governedBy']): string[] {
  const named = [
    ['budgets', buckets],
    ['guardrails', guardrails],
    ['hooks', hooks],
    ['tool rules', tools],
    ['cache', cache === null ? [] : [cache]],
  ] as const;
  return named
    .filter(([, names]) => names.length > 0)
    .map(([what, names]) => `    ${what}: ${names.join('; ')}`);
}

function formatText({ speaksFormat, translatedTo }: CandidateStep, format: string | null): string {
  if (speaksFormat !== false) return '';
  if (translatedTo === null) return `, does not speak ${format ?? ''}`;
  return `, does not speak ${format ?? ''}: translated to ${translatedTo} if no other speaks it`;
}

function renderExplanation(explanation: Omit<Explanation, 'text'>): string {
  const { caller } = explanation;
  const verb = explanation.allowed ? 'may use' : 'may not use';
  const lines = [`${caller.label} ${verb} ${explanation.model}: ${explanation.reason}`];
  lines.push(
    `  caller: ${caller.principal} by door ${caller.door}; roles: ${caller.roles.join(', ') || 'none'}; groups: ${caller.groups.join(', ') || 'none'}`,
  );
  for (const step of explanation.candidates) {
    const because =
      step.deniedBy === null
        ? step.rule === null
          ? 'no grant'
          : `by ${step.rule}, capture ${step.capture ?? ''}`
        : `denied by ${step.deniedBy}`;
    const format = formatText(step, explanation.format);
    lines.push(`  ${step.provider}/${step.model} (${step.via}): ${because}${format}`);
    if (step.allowed) lines.push(...renderGoverned(step.governedBy));
  }
  for (const grant of explanation.grants) {
    lines.push(
      `  ${grant.grant}: ${grant.matchedSrc === null ? 'not for this caller' : 'for this caller'}${grant.why.length === 0 ? '' : ` (${grant.why.join('; ')})`}`,
    );
    if (grant.matchedSrc === null) continue;
    for (const one of grant.capabilities) {
      const models =
        one.models === null
          ? 'no models'
          : `models ${one.models.join(', ')} ${one.matched === null ? 'do not match' : 'match'}`;
      lines.push(`    ${one.rule}: ${one.role === null ? 'no role' : `role ${one.role}`}, ${models}`);
    }
  }
  if (explanation.call !== null) lines.push(...renderCall(explanation.call));
  for (const path of explanation.disabled)
    lines.push(`  switched off, because it could not be understood: ${path}`);
  if (!explanation.allowed) lines.push(`  fix (${explanation.fix.who}): ${explanation.fix.what}`);
  return lines.join('\n');
}
