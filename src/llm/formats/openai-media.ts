/**
 * OpenAI Images, speech and transcription. Sources: OpenAI API reference, "Create image",
 * "Create speech" (`stream_format: sse`), "Create transcription". Answers that are pictures or
 * sound carry no usage of their own.
 */
import type { SseEvent } from '../../wire/sse.ts';
import type { Usage } from '../usage.ts';
import { keyNeedle } from './byte-search.ts';
import { eventType, parseEvent } from './event-type.ts';
import { asCount, asRecord, get, textLength, usageOf, type Findings, type JsonRecord } from './findings.ts';
import type { FormatReader } from './format-reader.ts';
import { KeyScan } from './key-scan.ts';

const USAGE = keyNeedle('usage');
const KEYS = new KeyScan({ watched: ['usage', 'error'], counted: ['delta'] });
/** Last events of the three kinds of stream. */
const FINAL_EVENTS: ReadonlySet<string> = new Set([
  'image_generation.completed',
  'image_edit.completed',
  'speech.audio.done',
  'transcript.text.done',
]);

/** Which kind of output the output tokens of a route are. */
type MediaKind = 'image' | 'speech' | 'transcription';

export const openaiImages: FormatReader = mediaReader('image');
export const openaiSpeech: FormatReader = mediaReader('speech');
export const openaiTranscription: FormatReader = mediaReader('transcription');

function mediaReader(kind: MediaKind): FormatReader {
  return {
    answerKeys: ['usage', 'text', 'error', 'model'],
    usageKey: USAGE,
    largeEnd: /"(?:image_generation|image_edit)\.completed"/,

    event(event: SseEvent, seen: Findings): void {
      const type = eventType(event);
      const { found: matters, chars } = KEYS.scan(event.data);
      if (type === 'transcript.text.delta') seen.outputChars += chars;
      if (FINAL_EVENTS.has(type)) seen.complete = true;
      if (!matters) return;
      const found = parseEvent(event);
      seen.addUsage(found?.['usage']);
      seen.setErrorFrom(found?.['error']);
    },

    answer(answer: JsonRecord, seen: Findings): void {
      seen.setIdentity(null, answer['model']);
      seen.addUsage(answer['usage']);
      seen.setErrorFrom(answer['error']);
      seen.outputChars += textLength(answer['text']);
    },

    readUsage: (usage) => readMediaUsage(usage, kind),
  };
}

function readMediaUsage(usage: JsonRecord, kind: MediaKind): Usage | null {
  const input = asRecord(usage['input_tokens_details']) ?? asRecord(usage['input_token_details']);
  const output = asRecord(usage['output_tokens_details']) ?? asRecord(usage['output_token_details']);
  const outputTokens = asCount(usage['output_tokens']);
  return usageOf({
    inputTokens: asCount(usage['input_tokens']),
    cacheReadTokens: asCount(input?.['cached_tokens']),
    outputTokens,
    inputAudioTokens: asCount(input?.['audio_tokens']),
    inputImageTokens: asCount(input?.['image_tokens']),
    // The reference: output tokens of an image answer are image tokens, those of speech audio.
    outputImageTokens: asCount(output?.['image_tokens']) ?? (kind === 'image' ? outputTokens : undefined),
    outputAudioTokens: asCount(output?.['audio_tokens']) ?? (kind === 'speech' ? outputTokens : undefined),
    inputAudioSeconds: usage['type'] === 'duration' ? asSeconds(get(usage, 'seconds')) : undefined,
  });
}

function asSeconds(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value < 1e9 ? Math.ceil(value) : undefined;
}
