/**
 * Which of a caller's models is written into a client's settings where nobody chose one: of the client's
 * own vendor if there is one, the newest, and none that serves another purpose than talking. Lists of
 * models have no dates, so "newest" is read from the names.
 */
import type { ClientFormat } from './connect-snippets.ts';
import type { ModelView } from './ports.ts';

/** Names of the models that the vendor of a format makes. Chat Completions is spoken by everybody: OpenAI's first. */
const OWN: Readonly<Record<ClientFormat, RegExp>> = {
  anthropic_messages: /(?:^|[/.])claude-/,
  openai_responses: /(?:^|\/)(?:gpt-|o\d|codex|chatgpt)/,
  openai_chat: /(?:^|\/)(?:gpt-|o\d|chatgpt)/,
  gemini_generate_content: /(?:^|\/)gemini-/,
};

/** Models that are listed with a format of conversations and hold none. */
const OTHER_PURPOSE =
  /embed|moderation|whisper|transcribe|tts|audio|realtime|image|dall-e|sora|veo-|instruct|search|computer-use|-live|guard|robotics|aqa/;
/** The smaller ones of a family, and early versions: behind the others of one version. */
const SMALLER = /[-.](?:mini|nano|lite|haiku|flash|small)(?:-|$)/;
const EARLY = /-(?:preview|exp|experimental|beta)(?:-|$)/;

/** Names are a document's or a provider's text; only the beginning is looked at. */
const NAME_MAX_CHARS = 256;

/** The id to write down for a client of this format; undefined where no model serves it. Pure, never throws. */
export function preferredModel(models: readonly ModelView[], format: ClientFormat): string | undefined {
  const serving = models.filter(({ formats }) => formats.includes(format));
  const ranked = serving.map((model) => ({ id: model.id, rank: rankOf(model, format) }));
  let [best] = ranked;
  // The first of equal ones stays: the list has an order of its own.
  for (const one of ranked) if (best !== undefined && compare(one.rank, best.rank) > 0) best = one;
  return best?.id;
}

/** Compared number by number; more is better. */
function rankOf({ id, test }: ModelView, format: ClientFormat): readonly number[] {
  const name = id.slice(0, NAME_MAX_CHARS).toLowerCase();
  const { major, minor, date } = versionOf(name.slice(name.lastIndexOf('/') + 1));
  return [
    Number(!test),
    Number(!OTHER_PURPOSE.test(name)),
    Number(OWN[format].test(name)),
    major,
    minor,
    Number(!EARLY.test(name)),
    Number(!SMALLER.test(name)),
    date,
  ];
}

interface ModelVersion {
  readonly major: number;
  readonly minor: number;
  /** `20251101`; the name without a date follows the newest, and is more than any. */
  readonly date: number;
}

const UNDATED = 99_999_999;

/** `claude-opus-4-5-20251101`, `gpt-5.2-2025-12-11`, `gpt-3.5-turbo-0301`, `gemini-2.5-pro`. */
function versionOf(name: string): ModelVersion {
  const dated = /-(20\d{2})-?(\d{2})-?(\d{2})(?!\d)/.exec(name);
  const short = dated === null ? /-(\d{4})(?!\d)/.exec(name) : null;
  const rest = name.replace(/-20\d{2}-?\d{2}-?\d{2}(?!\d)|-\d{3,4}(?!\d)/g, '');
  const version = /(?:^|[^\d.])(\d{1,2})(?:[.-](\d{1,2}))?(?!\d)/.exec(rest);
  return {
    major: Number(version?.[1] ?? 0),
    minor: Number(version?.[2] ?? 0),
    date: dated !== null ? Number(dated.slice(1).join('')) : short !== null ? Number(short[1]) : UNDATED,
  };
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
