/** Reads the parts of a Gemini response, as far as an editor must know them. */
import type { AnswerEdits } from './editor.ts';
import { asArray, asIndex, asRecord, asText, namesGoverned, type JsonRecord } from './streams/event-json.ts';

export interface CallPart {
  readonly kind: 'call';
  readonly id: string | null;
  /** Null for a further piece of a call that has begun. */
  readonly name: string | null;
  /** Undefined where the part has no whole arguments. */
  readonly args: unknown;
  readonly partialArgs: unknown;
  readonly willContinue: boolean;
  readonly hasSignature: boolean;
}

export interface TextPart {
  readonly kind: 'text';
  readonly text: string;
}

/** Thoughts, pictures, code that the provider runs. */
export type ReadPart = CallPart | TextPart | { readonly kind: 'other' };

export interface ReadCandidate {
  /** Its place in the response's list. */
  readonly at: number;
  /** The candidate that it belongs to through a stream. */
  readonly index: number;
  readonly parts: readonly ReadPart[];
  readonly isFinished: boolean;
}

export interface ReadResponse {
  readonly candidates: readonly ReadCandidate[];
  readonly modelVersion: string;
}

/** Calls and results of tools that the provider runs. */
const SERVER_PARTS: ReadonlySet<string> = new Set([
  'toolCall',
  'toolResponse',
  'executableCode',
  'codeExecutionResult',
]);

/** The response's parts; or why it cannot be governed, as text that is safe to show. */
export function readResponse(value: JsonRecord, edits: AnswerEdits): ReadResponse | string {
  const candidates: ReadCandidate[] = [];
  const unread: unknown[] = [{ ...value, candidates: undefined }];
  const indexes = new Set<number>();
  const list = value['candidates'] ?? [];
  if (!Array.isArray(list)) return 'the candidates are no list';
  for (const [at, candidate] of asArray(list).entries()) {
    const record = asRecord(candidate);
    const index = asIndex(record?.['index'] ?? at);
    const content = asRecord(record?.['content'] ?? {});
    const parts = content?.['parts'] ?? [];
    if (record === null || content === null || index === null || !Array.isArray(parts))
      return 'a candidate cannot be read';
    if (indexes.has(index)) return 'a response has two candidates of one index';
    indexes.add(index);
    const read = asArray(parts).map(readPart);
    if (!read.every((part) => part !== null)) return 'a part of the answer cannot be read';
    const finish = record['finishReason'];
    const isFinished = typeof finish === 'string' && finish !== '' && finish !== 'FINISH_REASON_UNSPECIFIED';
    candidates.push({ at, index, parts: read, isFinished });
    unread.push(
      { ...record, content: { ...content, parts: undefined } },
      ...asArray(parts).map(withoutKnown),
    );
  }
  const governs = edits.tools?.governs;
  if (governs !== undefined && namesGoverned(unread, governs))
    return 'a part of the answer of unknown kind names a governed tool';
  return { candidates, modelVersion: asText(value['modelVersion']) ?? '' };
}

function readPart(part: unknown): ReadPart | null {
  const record = asRecord(part);
  if (record === null || hasVariants(record, PART_KEYS)) return null;
  const call = record['functionCall'];
  if (call !== undefined) return readCall(record, call);
  const text = record['text'];
  if (text === undefined || record['thought'] === true) return { kind: 'other' };
  return typeof text === 'string' ? { kind: 'text', text } : null;
}

function readCall(part: JsonRecord, value: unknown): CallPart | null {
  const call = asRecord(value);
  const name = call?.['name'];
  if (call === null || hasVariants(call, CALL_KEYS) || (name !== undefined && typeof name !== 'string'))
    return null;
  return {
    kind: 'call',
    id: asText(call['id']),
    name: name === undefined || name === '' ? null : name,
    args: call['args'],
    partialArgs: call['partialArgs'],
    willContinue: call['willContinue'] === true,
    hasSignature: typeof part['thoughtSignature'] === 'string' && part['thoughtSignature'] !== '',
  };
}

const PART_KEYS: ReadonlyMap<string, string> = folded([
  'functionCall',
  'text',
  'thought',
  'thoughtSignature',
]);
const CALL_KEYS: ReadonlyMap<string, string> = folded(['id', 'name', 'args', 'partialArgs', 'willContinue']);

function folded(keys: readonly string[]): Map<string, string> {
  return new Map(keys.map((key) => [key.toLowerCase(), key]));
}

/** Whether a key is one of `keys` in another spelling, which readers of protobuf's JSON take for the same. */
function hasVariants(record: JsonRecord, keys: ReadonlyMap<string, string>): boolean {
  return Object.keys(record).some((key) => {
    const meant = keys.get(key.replaceAll('_', '').toLowerCase());
    return meant !== undefined && meant !== key;
  });
}

/** What of a part is not read as a call or known to be none. */
function withoutKnown(part: unknown): unknown {
  return Object.fromEntries(
    Object.entries(asRecord(part) ?? {}).filter(([key]) => key !== 'functionCall' && !SERVER_PARTS.has(key)),
  );
}
