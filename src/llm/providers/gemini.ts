/**
 * The Gemini API (https://ai.google.dev/api): `/v1beta/models/{model}:{action}`, the key in
 * `x-goog-api-key`, and OpenAI's chat format under `/v1beta/openai`. Paths of Vertex's express mode
 * are brought into this form.
 */
import type { Format } from '../surface.ts';
import type { UpstreamInput, UpstreamRequest } from './contract.ts';
import type { Header } from './headers.ts';
import { credentialHeader, googleKeyHeader, only, outgoingHeaders } from './headers.ts';
import {
  encodeGoogleModel,
  requestTarget,
  unsupportedFormat,
  withoutEnding,
  withoutVersion,
} from './paths.ts';

const MODEL_FORMATS: ReadonlySet<Format> = new Set<Format>([
  'gemini_generate_content',
  'gemini_count_tokens',
  'gemini_embed_content',
  'google_generate_content',
]);

/** What https://ai.google.dev/gemini-api/docs/openai lists. */
const OPENAI_FORMATS: ReadonlySet<Format> = new Set<Format>([
  'openai_chat',
  'openai_embeddings',
  'openai_images',
]);

export function prepareGemini(input: UpstreamInput): UpstreamRequest {
  const { baseUrl } = input.provider;
  return {
    origin: baseUrl.origin,
    path: requestTarget(geminiPath(input), baseUrl.query ?? '', input.query),
    headers: outgoingHeaders(input, { set: only(geminiKey(input)) }),
    body: input.body,
  };
}

function geminiPath(input: UpstreamInput): string {
  const root = withoutEnding(
    input.provider.baseUrl.pathPrefix,
    '/v1beta/openai',
    '/openai',
    '/v1beta',
    '/v1',
  );
  const { format, action } = input.match;
  if (MODEL_FORMATS.has(format)) {
    const version = format !== 'google_generate_content' && input.path.startsWith('/v1/') ? 'v1' : 'v1beta';
    return `${root}/${version}/${resource(input.model)}:${action}`;
  }
  if (format === 'gemini_caches') return `${root}${input.path}`;
  if (OPENAI_FORMATS.has(format)) return `${root}/v1beta/openai${withoutVersion(input.path)}`;
  return unsupportedFormat(input);
}

/** `models/x`; a tuned model's id names its collection. */
function resource(model: string): string {
  if (model.startsWith('tunedModels/')) return `tunedModels/${encodeGoogleModel(model.slice(12))}`;
  return `models/${encodeGoogleModel(model.startsWith('models/') ? model.slice(7) : model)}`;
}

/** The OpenAI routes want the same key as a bearer token. */
function geminiKey(input: UpstreamInput): Header | null {
  const header = input.match.dialect === 'openai' ? credentialHeader(input) : googleKeyHeader(input);
  if (header === null || input.match.dialect !== 'openai' || header[0] !== 'x-goog-api-key') return header;
  return ['authorization', `Bearer ${header[1]}`];
}
