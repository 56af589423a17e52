/**
 * The models that a caller may use, for `GET /v1/models` and the API: what is granted, and what is
 * known of it, by the document's word first.
 */
import type { UnixMs } from '../base/clock.ts';
import type { ModelEntry, PriceBook } from '../llm/index.ts';
import { withTranslated } from './routing/translation-format.ts';
import { statedLimits, type Access, type Candidate, type PolicySnapshot } from '../policy/index.ts';

export interface ListModelsOptions {
  readonly policy: PolicySnapshot;
  readonly access: Access;
  readonly prices: Pick<PriceBook, 'modelFacts'>;
  readonly now: UnixMs;
}

export function listModels({ policy, access, prices, now }: ListModelsOptions): readonly ModelEntry[] {
  const granted = policy
    .listModels()
    .filter(({ provider, model }) => access.grant(provider.id, model) !== null);
  const names = new Map<string, Candidate>();
  for (const candidate of granted) {
    // The bare name goes to the preferred provider; the others are reached by their full name.
    const bare = candidate.provider.builtIn || names.has(candidate.model) ? null : candidate.model;
    names.set(bare ?? `${candidate.provider.id}/${candidate.model}`, candidate);
  }
  for (const [alias, candidate] of policy.aliases) {
    if (candidate !== null && access.grant(candidate.provider.id, candidate.model) !== null)
      names.set(alias, candidate);
  }
  const { translate } = policy.document.routing;
  return [...names].map(([id, candidate]) => toEntry(id, candidate, { prices, now, translate }));
}

function toEntry(
  id: string,
  { provider, model }: Candidate,
  known: Pick<ListModelsOptions, 'prices' | 'now'> & { readonly translate: boolean },
): ModelEntry {
  const facts =
    provider.costBasis === null ? null : known.prices.modelFacts(provider.costBasis, model, known.now);
  const stated = statedLimits(provider, model);
  const input = stated?.input ?? facts?.modalities?.input;
  const output = stated?.output ?? facts?.modalities?.output;
  return {
    id,
    displayName: provider.builtIn ? 'Postern echo (test model)' : (facts?.name ?? null),
    provider: provider.id,
    formats: known.translate ? withTranslated(provider.formats, model) : [...provider.formats],
    contextWindow: stated?.contextWindow ?? facts?.contextWindow ?? null,
    maxOutput: stated?.maxOutput ?? facts?.maxOutput ?? null,
    modalities: input === undefined || output === undefined ? null : { input, output },
    prices: facts?.prices ?? null,
    test: provider.builtIn,
  };
}
