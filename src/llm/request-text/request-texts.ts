/** The texts of any request, by its format. */
import type { BodyFacts } from '../request-body.ts';
import type { Format } from '../surface.ts';
import { formTexts } from './form-texts.ts';
import type { RequestTexts } from './text-part.ts';
import { walkJson } from './walk-json.ts';

/** `too_many_texts`, `form_malformed`: the body cannot be governed; a caller under a rule is refused with 400. */
export type RequestTextsProblem = 'too_many_texts' | 'form_malformed';

/**
 * How a format's bodies are read. `json`: every string is found. `form`: JSON, or a form whose text fields
 * are. `opaque`: files, which hold anything; a caller under a rule on requests is refused there.
 * `none`: requests without a body of text.
 */
const READING: Readonly<Record<Format, 'json' | 'form' | 'opaque' | 'none'>> = {
  openai_chat: 'json',
  openai_completions: 'json',
  openai_responses: 'json',
  openai_embeddings: 'json',
  openai_images: 'form',
  openai_audio_speech: 'json',
  openai_audio_transcription: 'form',
  openai_moderations: 'json',
  openai_files: 'opaque',
  // Names a file with the requests in it, which was sent before.
  openai_batches: 'opaque',
  openai_objects: 'form',
  anthropic_messages: 'json',
  anthropic_count_tokens: 'json',
  anthropic_batches: 'json',
  anthropic_files: 'opaque',
  gemini_generate_content: 'json',
  gemini_count_tokens: 'json',
  gemini_embed_content: 'json',
  gemini_caches: 'json',
  google_generate_content: 'json',
  google_raw_predict: 'json',
  bedrock_model_invoke: 'json',
  bedrock_converse: 'json',
  models: 'none',
};

const NO_TEXTS: RequestTexts = { parts: [], depth: 0, messages: 0 };

/** What of a request's facts matters here. */
export type RequestTextFacts = Pick<BodyFacts, 'kind'>;

/**
 * Every text that goes to the provider, in the order of the bytes. `facts` come from these bytes
 * (`readRequestBody`, which has checked the grammar), null for a request without a body.
 * `boundary` is that of a form (`boundaryOf`). Null where no walker reads the format: a caller under a
 * rule on requests is refused there. A string, where this body cannot be read in full.
 */
export function requestTexts(
  format: Format,
  body: Buffer,
  facts: RequestTextFacts | null,
  boundary: string | null = null,
): RequestTexts | RequestTextsProblem | null {
  if (facts === null || body.length === 0) return NO_TEXTS;
  const reading = READING[format];
  if (reading === 'none') return NO_TEXTS;
  if (reading === 'opaque') return null;
  if (facts.kind === 'json') return walkJson(body);
  if (reading !== 'form' || boundary === null) return null;
  return formTexts(body, boundary);
}

/** Whether bodies of a format are read at all; where not, no rule on requests can hold there. */
export function canReadTexts(format: Format): boolean {
  return READING[format] !== 'opaque';
}
