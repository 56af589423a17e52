/**
 * Answers about objects that providers keep: files, uploads, batches, message batches, caches. They
 * hold no usage; which ids they name is what matters. Sources: OpenAI API reference (Files, Uploads,
 * Batch), Anthropic API reference (Files, Message Batches), Gemini API reference (cachedContents).
 */
import type { ObjectKind } from '../surface.ts';
import { asArray, asRecord, type Findings, type JsonRecord } from './findings.ts';
import { keyNeedle } from './byte-search.ts';
import type { FormatReader } from './format-reader.ts';

/** By `object` (OpenAI) or `type` (Anthropic). */
const KINDS: ReadonlyMap<unknown, ObjectKind> = new Map<unknown, ObjectKind>([
  ['file', 'file'],
  ['batch', 'batch'],
  ['upload', 'upload'],
  ['message_batch', 'message_batch'],
  ['conversation', 'conversation'],
  ['container', 'container'],
]);

export const providerObjects: FormatReader = {
  answerKeys: ['id', 'object', 'type', 'name', 'file', 'output_file_id', 'error_file_id', 'data', 'error'],
  usageKey: keyNeedle('usage'),
  largeEnd: null,
  event: () => {},

  answer(answer: JsonRecord, seen: Findings): void {
    readObject(answer, seen);
    for (const listed of asArray(answer['data'])) readObject(asRecord(listed), seen);
    if (answer['type'] === 'error') seen.setErrorFrom(answer['error']);
  },

  readUsage: () => null,
};

function readObject(object: JsonRecord | null, seen: Findings): void {
  if (object === null) return;
  const { id, name } = object;
  if (typeof name === 'string' && /^cachedContents\/[\w.-]+$/.test(name)) seen.addObject('cache', name);
  const kind = KINDS.get(object['object']) ?? KINDS.get(object['type']);
  if (kind === undefined || typeof id !== 'string') return;
  seen.addObject(kind, id);
  if (kind === 'batch') {
    seen.addObject('file', object['output_file_id'], id);
    seen.addObject('file', object['error_file_id'], id);
  }
  if (kind === 'upload') seen.addObject('file', asRecord(object['file'])?.['id']);
}
