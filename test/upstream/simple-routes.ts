/** The formats that answer in one piece and without a conversation: embeddings, images, audio, moderation, counts, models. */
import { ANSWER_TEXT, CREATED_SEC, USAGE } from './answer.ts';
import type { FakeUsage } from './answer.ts';
import { FakeError } from './envelopes.ts';
import { isObject, requireArray, requireString } from './json.ts';
import type { JsonObject } from './json.ts';
import { formField } from './multipart.ts';
import type { FormPart } from './multipart.ts';
import type { UpstreamDialect } from './received.ts';

/** A vector that depends on nothing, so that answers can be compared. */
const VECTOR: readonly number[] = [0.25, -0.5, 0.125, 1];

/** The smallest PNG: one transparent pixel. */
const PIXEL_BASE64 =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export function embeddings(body: JsonObject, usage: FakeUsage | null): object {
  const model = requireString(body, 'model');
  const { input } = body;
  if (typeof input !== 'string' && !Array.isArray(input))
    throw new FakeError(400, "missing required parameter: 'input'");
  const count = typeof input === 'string' || typeof input[0] === 'number' ? 1 : input.length;
  const base64 = Buffer.from(Float32Array.from(VECTOR).buffer).toString('base64');
  const embedding = body['encoding_format'] === 'base64' ? base64 : VECTOR;
  const data = Array.from({ length: count }, (_, index) => ({ object: 'embedding', index, embedding }));
  const figures = usage === null ? {} : { usage: { prompt_tokens: usage.input, total_tokens: usage.input } };
  return { object: 'list', data, model, ...figures };
}

export function moderations(body: JsonObject): object {
  if (body['input'] === undefined) throw new FakeError(400, "missing required parameter: 'input'");
  const results = [
    { flagged: false, categories: { violence: false }, category_scores: { violence: 0.0001 } },
  ];
  return { id: 'modr-fake', model: body['model'] ?? 'omni-moderation-latest', results };
}

export function images(body: JsonObject | readonly FormPart[], usage: FakeUsage | null): object {
  const prompt = isForm(body) ? formField(body, 'prompt') : body['prompt'];
  if (typeof prompt !== 'string') throw new FakeError(400, "missing required parameter: 'prompt'");
  const answer = {
    created: CREATED_SEC,
    data: [{ b64_json: PIXEL_BASE64 }],
    output_format: 'png',
    size: '1024x1024',
  };
  if (usage === null) return answer;
  const details = { text_tokens: usage.input - usage.inputImage, image_tokens: usage.inputImage };
  const figures = { input_tokens: usage.input, input_tokens_details: details, output_tokens: usage.output };
  return { ...answer, usage: { ...figures, total_tokens: usage.input + usage.output } };
}

function isForm(body: JsonObject | readonly FormPart[]): body is readonly FormPart[] {
  return Array.isArray(body);
}

/** Transcription and translation; the form must hold a file and a model. */
export function transcription(form: readonly FormPart[], usage: FakeUsage | null): object {
  if (!form.some((part) => part.name === 'file'))
    throw new FakeError(400, "missing required parameter: 'file'");
  if (formField(form, 'model') === null) throw new FakeError(400, "missing required parameter: 'model'");
  if (usage === null) return { text: ANSWER_TEXT };
  const details = { text_tokens: 0, audio_tokens: usage.inputAudio };
  const figures = { type: 'tokens', input_tokens: usage.input, input_token_details: details };
  return {
    text: ANSWER_TEXT,
    usage: { ...figures, output_tokens: usage.output, total_tokens: usage.input + usage.output },
  };
}

/** What stands for an MP3: its first bytes and silence. */
export function speech(body: JsonObject): string {
  requireString(body, 'model');
  requireString(body, 'input');
  requireString(body, 'voice');
  return `ID3${'\u0000'.repeat(4096)}`;
}

export function anthropicCount(body: JsonObject): object {
  requireString(body, 'model');
  requireArray(body, 'messages');
  return { input_tokens: USAGE.plain.input };
}

export function geminiCount(body: JsonObject): object {
  if (!Array.isArray(body['contents']) && !isObject(body['generateContentRequest'])) {
    throw new FakeError(400, 'contents is not specified');
  }
  return {
    totalTokens: USAGE.plain.input,
    promptTokensDetails: [{ modality: 'TEXT', tokenCount: USAGE.plain.input }],
  };
}

export function geminiEmbed(body: JsonObject, batch: boolean): object {
  if (!batch)
    return { embedding: { values: VECTOR }, usageMetadata: { promptTokenCount: USAGE.plain.input } };
  return { embeddings: requireArray(body, 'requests').map(() => ({ values: VECTOR })) };
}

/** The models that the fake says it has. */
export const MODEL_IDS: Readonly<Record<UpstreamDialect, readonly string[]>> = {
  openai: ['gpt-fake', 'gpt-fake-mini', 'text-embedding-fake'],
  anthropic: ['claude-fake', 'claude-fake-mini'],
  google: ['gemini-fake', 'gemini-fake-mini'],
};

export function modelsList(dialect: UpstreamDialect): object {
  const ids = MODEL_IDS[dialect];
  const views = ids.map((id) => modelView(dialect, id));
  if (dialect === 'google') return { models: views };
  if (dialect === 'openai') return { object: 'list', data: views };
  return { data: views, first_id: ids[0] ?? null, last_id: ids.at(-1) ?? null, has_more: false };
}

/** One model. Throws `FakeError` 404 on an id that the fake does not have. */
export function oneModel(dialect: UpstreamDialect, id: string): object {
  if (!MODEL_IDS[dialect].includes(id))
    throw new FakeError(404, `the model '${id}' does not exist`, 'model_not_found');
  return modelView(dialect, id);
}

function modelView(dialect: UpstreamDialect, id: string): object {
  if (dialect === 'openai') return { id, object: 'model', created: CREATED_SEC, owned_by: 'fake' };
  if (dialect === 'anthropic') {
    return { type: 'model', id, display_name: id, created_at: new Date(CREATED_SEC * 1000).toISOString() };
  }
  return {
    name: `models/${id}`,
    displayName: id,
    inputTokenLimit: 1_000_000,
    outputTokenLimit: 65_536,
    supportedGenerationMethods: ['generateContent', 'countTokens'],
  };
}
