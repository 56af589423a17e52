/** From a document, the found providers and the stored grants to the snapshot that the hot path asks. */
import type { Caller } from '../identity/caller.ts';
import { createAccess } from './access.ts';
import { compileRuleBook, isMeantBy } from './caller-rules.ts';
import { compileFoundProvider, compileProvider, echoProvider } from './compile-provider.ts';
import type { GatewayDocument } from './document.ts';
import { explainAccess, type ExplainInput } from './explain.ts';
import { createGovernor } from './govern.ts';
import { BUILT_FEATURES, type Feature } from './parse-options.ts';
import type { FoundProviderView, StoredGrantView } from './ports.ts';
import { DEFAULT_APPROVAL } from './read-guardrails.ts';
import { createModelResolver, type ModelResolver } from './resolve-model.ts';
import type { Access, Candidate, PolicySnapshot, Provider } from './snapshot.ts';

export { ECHO_MODEL, ECHO_PROVIDER_ID } from './compile-provider.ts';

export interface CompileInput {
  readonly document: GatewayDocument;
  /** Providers of the operator's environment; a document's provider of the same id replaces one. */
  readonly found: readonly FoundProviderView[];
  readonly storedGrants: readonly StoredGrantView[];
  readonly tailnet: string;
  /** Names the inputs: a hash of text, found providers and grants. */
  readonly version: string;
  /** Upstream ids that are known of a provider; expands its patterns in lists. Default: none. */
  readonly knownModels?: (provider: Provider) => readonly string[];
  /**
   * The format of a provider in which a request of another format can be put for the upstream model, or null; what
   * `explain` says of translation. Default: nothing is translated.
   */
  readonly translateTo?: ExplainInput['translateTo'];
  /** As in `ParseOptions`; for capabilities that the network carries. */
  readonly built?: ReadonlySet<Feature>;
}

const NO_TRANSLATION = (): null => null;

/** Compiles a policy. Pure; the snapshot never changes. */
export function compilePolicy(input: CompileInput): PolicySnapshot {
  const { document } = input;
  const providers = compileProviders(document, input.found);
  const resolver = createModelResolver(providers, document.aliases, document.routing.routes);
  const book = compileRuleBook(document, input.storedGrants, input.built ?? BUILT_FEATURES);
  const keepsNoBodies = document.retention?.durationMs === 0;
  const context = {
    book,
    governor: createGovernor(document),
    providers,
    captureCeiling: keepsNoBodies ? ('metadata' as const) : ('full' as const),
  };
  const accessByCaller = new WeakMap<Caller, Access>();
  const accessOf = (caller: Caller): Access => {
    const known = accessByCaller.get(caller);
    if (known !== undefined) return known;
    const access = createAccess(context, caller);
    accessByCaller.set(caller, access);
    return access;
  };
  let listed: readonly Candidate[] | null = null;
  return {
    version: input.version,
    tailnet: input.tailnet,
    document,
    providers,
    aliases: resolver.aliases,
    resolve: resolver.resolve,
    accessOf,
    listModels: () => (listed ??= listModels(providers, resolver, input.knownModels ?? (() => []))),
    approval: (name) =>
      document.approvals.get(name) ?? (name === DEFAULT_APPROVAL.name ? DEFAULT_APPROVAL : null),
    mayApprove(approvers, caller) {
      const { roles } = accessOf(caller);
      if (approvers.length === 0) return roles.has('approver') || roles.has('admin');
      return roles.size > 0 && isMeantBy(book, caller, approvers);
    },
    explain: (caller, model, format, audience, call) =>
      explainAccess({
        caller,
        model,
        format: format ?? null,
        audience: audience ?? 'auditor',
        call: call ?? null,
        access: accessOf(caller),
        book,
        providers,
        resolver,
        document,
        translateTo: document.routing.translate ? (input.translateTo ?? NO_TRANSLATION) : NO_TRANSLATION,
      }),
  };
}

function compileProviders(
  document: GatewayDocument,
  found: readonly FoundProviderView[],
): ReadonlyMap<string, Provider> {
  const providers = new Map<string, Provider>();
  for (const entry of document.providers.values())
    providers.set(entry.id, compileProvider(entry, document.autoCostBasis));
  for (const view of found) {
    const provider = providers.has(view.id) ? null : compileFoundProvider(view);
    if (provider !== null) providers.set(view.id, provider);
  }
  const echo = echoProvider();
  providers.set(echo.id, echo);
  return providers;
}

function listModels(
  providers: ReadonlyMap<string, Provider>,
  resolver: ModelResolver,
  knownModels: (provider: Provider) => readonly string[],
): readonly Candidate[] {
  const models: Candidate[] = [];
  for (const provider of providers.values()) {
    if (provider.disabled) continue;
    const ids = new Set(provider.models.filter((model) => !model.includes('*')));
    if (ids.size < provider.models.length) {
      for (const id of knownModels(provider)) if (resolver.serves(provider, id)) ids.add(id);
    }
    for (const model of ids) models.push({ provider, model, via: 'qualified' });
  }
  return models;
}
