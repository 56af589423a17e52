/**
 * Meters for every format and framing: server-sent events, AWS event streams, streamed JSON
 * arrays and whole JSON answers. The result is the same however the bytes are cut, and no bytes
 * make a meter throw.
 */
import type { Meter } from '../meter.ts';
import type { Format } from '../surface.ts';
import { anthropicCountTokens, anthropicMessages } from './anthropic-messages.ts';
import { bedrockConverse, bedrockInvoke, type FrameReader } from './bedrock.ts';
import { BatchResultsMeter } from './batch-results.ts';
import type { FormatReader } from './format-reader.ts';
import { FrameMeter } from './frame-meter.ts';
import { gemini, geminiCountTokens, geminiEmbeddings } from './gemini.ts';
import { JsonArrayMeter, JsonMeter } from './json-meter.ts';
import { openaiChat, openaiVectors } from './openai-chat.ts';
import { openaiImages, openaiSpeech, openaiTranscription } from './openai-media.ts';
import { openaiResponses } from './openai-responses.ts';
import { OpaqueMeter } from './opaque-meter.ts';
import { providerObjects } from './provider-objects.ts';
import { SseMeter } from './sse-meter.ts';

export interface MeterOptions {
  /** The request asked for a stream. Used where the content type does not tell. */
  readonly streamed: boolean;
  /** Of the provider's answer. */
  readonly contentType: string | null;
  /** The answer is the results of a batch, whatever its content type says. */
  readonly isBatchResults?: boolean;
}

const READERS: { readonly [Name in Format]?: FormatReader } = {
  openai_chat: openaiChat,
  openai_completions: openaiChat,
  openai_responses: openaiResponses,
  openai_embeddings: openaiVectors,
  openai_images: openaiImages,
  openai_audio_speech: openaiSpeech,
  openai_audio_transcription: openaiTranscription,
  openai_moderations: openaiVectors,
  openai_objects: openaiResponses,
  openai_files: providerObjects,
  openai_batches: providerObjects,
  anthropic_files: providerObjects,
  anthropic_batches: providerObjects,
  gemini_caches: providerObjects,
  anthropic_messages: anthropicMessages,
  anthropic_count_tokens: anthropicCountTokens,
  gemini_generate_content: gemini,
  gemini_count_tokens: geminiCountTokens,
  gemini_embed_content: geminiEmbeddings,
  google_generate_content: gemini,
  google_raw_predict: anthropicMessages,
  bedrock_model_invoke: bedrockInvoke,
  bedrock_converse: bedrockConverse,
};

const FRAME_READERS: { readonly [Name in Format]?: FrameReader } = {
  bedrock_model_invoke: bedrockInvoke,
  bedrock_converse: bedrockConverse,
};

/** Formats whose stream without `alt=sse` is a JSON array. */
const ARRAY_STREAMS: ReadonlySet<Format> = new Set<Format>([
  'gemini_generate_content',
  'google_generate_content',
]);

/**
 * A meter for one answer. Formats without usage (model lists) and answers that
 * are neither JSON nor a known stream (sound, pictures) get one that finds nothing.
 */
export function createMeter(format: Format, options: MeterOptions): Meter {
  if (options.isBatchResults === true) return new BatchResultsMeter();
  const reader = READERS[format];
  if (reader === undefined) return new OpaqueMeter();
  const type = mediaType(options.contentType);
  if (type === 'text/event-stream') return new SseMeter(reader);
  const frameReader = FRAME_READERS[format];
  if (type === 'application/vnd.amazon.eventstream') {
    return frameReader === undefined ? new OpaqueMeter() : new FrameMeter(frameReader);
  }
  const isJson = type === 'application/json' || type.endsWith('+json');
  if (isJson && options.streamed && ARRAY_STREAMS.has(format)) return new JsonArrayMeter(reader);
  if (isJson) return new JsonMeter(reader);
  if (type !== '' && type !== 'text/plain' && type !== 'application/octet-stream') return new OpaqueMeter();
  if (format === 'openai_audio_speech' || type === 'text/plain') return new OpaqueMeter();
  if (!options.streamed) return new JsonMeter(reader);
  return frameReader === undefined ? new SseMeter(reader) : new FrameMeter(frameReader);
}

function mediaType(contentType: string | null): string {
  // As nearly all answers write it.
  if (contentType === 'application/json' || contentType === 'text/event-stream') return contentType;
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
