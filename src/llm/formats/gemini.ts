/**
 * Gemini `generateContent` and its stream, on the Gemini API and on Vertex AI. Source: Gemini API
 * reference, `GenerateContentResponse` and `UsageMetadata`. Every event of a stream is a whole
 * response; `usageMetadata` is cumulative, so later counts replace earlier ones. There is no end
 * event: a stream has ended where a candidate has a `finishReason` or the prompt was blocked.
 */
import type { SseEvent } from '../../wire/sse.ts';
import type { Usage } from '../usage.ts';
import { keyNeedle } from './byte-search.ts';
import { parseEvent } from './event-type.ts';
import {
  asArray,
  asCount,
  asRecord,
  get,
  sumCounts,
  textLength,
  usageOf,
  type Findings,
  type JsonRecord,
} from './findings.ts';
import type { FormatReader } from './format-reader.ts';
import { KeyScan } from './key-scan.ts';

const KEYS = new KeyScan({
  watched: ['usageMetadata', 'finishReason', 'functionCall', 'promptFeedback', 'error', 'groundingMetadata'],
  counted: ['text'],
});

export const gemini: FormatReader = {
  answerKeys: [
    'responseId',
    'modelVersion',
    'candidates',
    'promptFeedback',
    'usageMetadata',
    'metadata',
    'error',
  ],
  usageKey: keyNeedle('usageMetadata'),
  largeEnd: /"finishReason"\s*:\s*"[A-Z]/,

  event(event: SseEvent, seen: Findings): void {
    const { found, chars } = KEYS.scan(event.data);
    const response = found || !seen.hasIdentity ? parseEvent(event) : null;
    if (response === null) seen.outputChars += chars;
    else gemini.answer(response, seen);
  },

  answer(response: JsonRecord, seen: Findings): void {
    seen.setIdentity(response['responseId'], response['modelVersion']);
    seen.setErrorFrom(response['error']);
    seen.addUsage(response['usageMetadata']);
    const blocked = get(response['promptFeedback'], 'blockReason');
    if (blocked !== undefined) {
      seen.complete = true;
      seen.setStopReason(blocked);
    }
    for (const candidate of asArray(response['candidates'])) readCandidate(candidate, seen);
  },

  readUsage: readGeminiUsage,
};

function readCandidate(candidate: unknown, seen: Findings): void {
  const finish = get(candidate, 'finishReason');
  if (typeof finish === 'string' && finish !== '' && finish !== 'FINISH_REASON_UNSPECIFIED') {
    seen.complete = true;
    seen.setStopReason(finish);
  }
  for (const part of asArray(get(get(candidate, 'content'), 'parts'))) {
    seen.outputChars += textLength(get(part, 'text'));
    const call = asRecord(get(part, 'functionCall'));
    if (call === null) continue;
    seen.addToolCall(call['name']);
    seen.outputChars += JSON.stringify(call['args'] ?? {}).length;
  }
  const searches = asArray(get(get(candidate, 'groundingMetadata'), 'webSearchQueries')).length;
  if (searches > 0) seen.addUsage({ webSearches: searches });
}

/** `promptTokenCount` includes cached ones; `candidatesTokenCount` does not include thoughts. */
function readGeminiUsage(usage: JsonRecord): Usage | null {
  const thoughts = asCount(usage['thoughtsTokenCount']);
  const input = usage['promptTokensDetails'];
  const output = usage['candidatesTokensDetails'] ?? usage['responseTokensDetails'];
  return usageOf({
    inputTokens: sumCounts(asCount(usage['promptTokenCount']), asCount(usage['toolUsePromptTokenCount'])),
    cacheReadTokens: asCount(usage['cachedContentTokenCount']),
    outputTokens: sumCounts(
      asCount(usage['candidatesTokenCount']) ?? asCount(usage['responseTokenCount']),
      thoughts,
    ),
    reasoningTokens: thoughts,
    inputAudioTokens: modality(input, 'AUDIO'),
    outputAudioTokens: modality(output, 'AUDIO'),
    inputImageTokens: modality(input, 'IMAGE'),
    outputImageTokens: modality(output, 'IMAGE'),
    webSearches: asCount(usage['webSearches']),
  });
}

function modality(details: unknown, name: string): number | undefined {
  const found = asArray(details).filter((detail) => get(detail, 'modality') === name);
  return sumCounts(...found.map((detail) => asCount(get(detail, 'tokenCount'))));
}

/** `embedContent`: usage only, never the vectors. */
export const geminiEmbeddings: FormatReader = { ...gemini, answerKeys: ['usageMetadata', 'error'] };

/** `countTokens`: a count, which uses nothing. */
export const geminiCountTokens: FormatReader = { ...gemini, answerKeys: ['error'], readUsage: () => null };
