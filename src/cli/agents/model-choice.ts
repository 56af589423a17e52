/** Which model an agent gets when nobody names one. */
import { listAt, textAt, textsAt } from '../fields.ts';

export interface ModelOffer {
  readonly provider: string;
  /** As the provider names it. */
  readonly model: string;
  readonly formats: readonly string[];
  /** Postern's own test model. */
  readonly test: boolean;
}

/** Models that do not converse; an agent cannot work with them. */
const NOT_FOR_AGENTS =
  /embed|moderation|whisper|tts|transcribe|audio|realtime|image|dall-e|sora|veo|imagen|guard|rerank/;

/** The offers in an answer of `/api/v1/models`; odd entries are left out. */
export function readOffers(answer: unknown): readonly ModelOffer[] {
  return listAt(answer, 'items').flatMap((item): readonly ModelOffer[] => {
    const id = textAt(item, 'id');
    const provider = textAt(item, 'provider');
    if (id === null || provider === null) return [];
    const model = id.startsWith(`${provider}/`) ? id.slice(provider.length + 1) : id;
    return [{ provider, model, formats: textsAt(item, 'formats'), test: isTest(item) }];
  });
}

function isTest(item: unknown): boolean {
  return typeof item === 'object' && item !== null && 'test' in item && item.test === true;
}

/**
 * The granted model that suits best: by the agent's own order of families, then the highest version
 * number; the test model only if there is nothing else. Null if none speaks the format.
 */
export function chooseModel(
  offers: readonly ModelOffer[],
  format: string,
  prefers: readonly RegExp[],
): ModelOffer | null {
  const rank = (offer: ModelOffer): number => {
    if (offer.test) return prefers.length + 1;
    const place = prefers.findIndex((pattern) => pattern.test(offer.model));
    return place === -1 ? prefers.length : place;
  };
  const fit = offers.filter(
    (offer) => offer.formats.includes(format) && (offer.test || !NOT_FOR_AGENTS.test(offer.model)),
  );
  const sorted = [...fit].sort(
    (a, b) =>
      rank(a) - rank(b) ||
      b.model.localeCompare(a.model, 'en', { numeric: true }) ||
      a.provider.localeCompare(b.provider, 'en'),
  );
  return sorted[0] ?? null;
}

/**
 * The name to call it by. Bare where that is safe, because agents know bare names; with its provider
 * for the test model and for names with a slash, whose first part could be taken for a provider.
 */
export function modelName(offer: ModelOffer): string {
  return offer.test || offer.model.includes('/') ? `${offer.provider}/${offer.model}` : offer.model;
}
