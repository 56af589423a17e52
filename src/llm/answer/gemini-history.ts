/**
 * Puts refused Gemini calls back in the history that a caller sends. The caller has our text in
 * their place, which Gemini takes as it is; but where other calls of the same step stayed, the first
 * of them bears a placeholder instead of the step's signature, and the model loses its thoughts.
 * There the original part is restored, its refusing result is put beside the others, and the
 * placeholder goes. Source: Gemini API, "Thought signatures" and "Function calling".
 *
 * Left out: steps in which every call was refused, and texts whose entry was dropped or that the
 * caller changed. They stay as they are, which Gemini accepts.
 */
import { scanJsonArray, scanJsonObject, type JsonSpan } from '../../wire/json-scan.ts';
import type { BodyFacts } from '../request-body.ts';
import type { Format } from '../surface.ts';
import type { RefusedCall } from './editor.ts';
import { SIGNATURE_PLACEHOLDER } from './gemini-calls.ts';
import {
  REFUSED_CALLS_MAX,
  REFUSED_ITEM_MAX_BYTES,
  type RefusalLedger,
  type RefusedItem,
  type RefusedTurn,
} from './history/refused-turn.ts';
import { applyEdits, findSpan, type SpanEdit } from './streams/edit-spans.ts';
import { asArray, asRecord, asText, get, parseEventJson } from './streams/event-json.ts';

/** Stands in a refusing text and names its entry in the ledger. */
const REFERENCE = /\[ref (pst-call-[\w-]{4,64})\]/g;
const REFERENCE_START = Buffer.from('[ref pst-call-');

/** A refusing text that can be found again in a history. `reference`: 4 to 64 letters, digits, `_`, `-`, not to be guessed. */
export function markRefusal(text: string, reference: string): string {
  return `${text} [ref pst-call-${reference}]`;
}

/** What to keep of refused Gemini calls; null if nothing needs to be. Larger calls are left to their placeholder. */
export function refusedGeminiTurn(refused: readonly RefusedCall[]): RefusedTurn | null {
  const calls = refused.flatMap(({ text, original }): RefusedItem[] => {
    const [match] = text.matchAll(REFERENCE);
    const markerId = match?.[1];
    if (markerId === undefined || original === undefined) return [];
    return Buffer.byteLength(original) > REFUSED_ITEM_MAX_BYTES ? [] : [{ markerId, text, item: original }];
  });
  if (calls.length === 0) return null;
  return { responseId: null, conversationId: null, calls: calls.slice(0, REFUSED_CALLS_MAX) };
}

/** The body with refused calls restored; null if it may go as it is. `facts` must be of `body`. Never throws on bodies that were read. */
export function restoreRefused(
  format: Format,
  body: Buffer,
  facts: BodyFacts,
  ledger: Pick<RefusalLedger, 'isEmpty' | 'byMarker'>,
): Buffer | null {
  const isGemini = format === 'gemini_generate_content' || format === 'google_generate_content';
  if (!isGemini || facts.kind !== 'json' || ledger.isEmpty || !body.includes(REFERENCE_START)) return null;
  const span = facts.span('contents');
  if (span === null || body[span.start] !== 0x5b) return null;
  const restored = new Set<string>();
  const contents = scanJsonArray(body, span.start).map((content) => readContent(body, content));
  const edits = contents.flatMap((content, at) => {
    const next = contents[at + 1];
    return content === null || next === null || next === undefined
      ? []
      : restoreStep(body, content, next, { ledger, restored });
  });
  return edits.length === 0 ? null : applyEdits(body, edits);
}

interface Part {
  readonly span: JsonSpan;
  readonly value: unknown;
}

interface Content {
  readonly role: string | null;
  readonly parts: readonly Part[];
}

interface Lookup {
  readonly ledger: Pick<RefusalLedger, 'byMarker'>;
  /** Entries that were used: a text that is there twice is restored once. */
  readonly restored: Set<string>;
}

function readContent(body: Buffer, { start, end }: JsonSpan): Content | null {
  const bytes = body.subarray(start, end);
  const value = asRecord(JSON.parse(bytes.toString('utf8')));
  const partsSpan = value === null ? null : findSpan(bytes, ['parts']);
  if (value === null || partsSpan === null || !Array.isArray(value['parts'])) return null;
  const spans = scanJsonArray(bytes, partsSpan.start);
  const parts = asArray(value['parts']).flatMap((part, at): Part[] => {
    const span = spans[at];
    return span === undefined
      ? []
      : [{ value: part, span: { start: start + span.start, end: start + span.end } }];
  });
  return { role: asText(value['role']), parts };
}

/** One answer with calls, and the results that the caller sends for them. */
function restoreStep(body: Buffer, content: Content, next: Content, lookup: Lookup): SpanEdit[] {
  const calls = content.parts.filter(({ value }) => asRecord(get(value, 'functionCall')) !== null);
  const responses = next.parts.filter(({ value }) => asRecord(get(value, 'functionResponse')) !== null);
  if (content.role !== 'model' || calls.length === 0 || calls.length !== responses.length) return [];
  const edits: SpanEdit[] = [];
  const owed: string[] = [];
  let hasRestored = false;
  let answered = 0;
  for (const part of content.parts) {
    if (calls.includes(part)) {
      if (hasRestored) edits.push(...withoutPlaceholder(body, part));
      const response = responses[answered];
      answered += 1;
      if (response !== undefined && owed.length > 0)
        edits.push({
          start: response.span.start,
          end: response.span.start,
          text: `${owed.splice(0).join(',')},`,
        });
      continue;
    }
    const pieces = splitText(part.value, lookup);
    if (pieces === null) continue;
    hasRestored = true;
    edits.push({ ...part.span, text: pieces.parts.join(',') });
    owed.push(...pieces.responses);
  }
  const last = responses.at(-1);
  if (last !== undefined && owed.length > 0)
    edits.push({ start: last.span.end, end: last.span.end, text: `,${owed.join(',')}` });
  return edits;
}

/** The parts that a text becomes, with the results of the calls among them; null if there are none. */
function splitText(
  value: unknown,
  { ledger, restored }: Lookup,
): { readonly parts: string[]; readonly responses: string[] } | null {
  let text = get(value, 'thought') === true ? null : asText(get(value, 'text'));
  if (text === null) return null;
  const parts: string[] = [];
  const responses: string[] = [];
  for (const [, marker] of text.matchAll(REFERENCE)) {
    const entry = marker === undefined || restored.has(marker) ? null : ledger.byMarker(marker);
    const at = entry === null ? -1 : text.indexOf(entry.text);
    const call =
      entry === null ? null : asRecord(parseEventJson(Buffer.from(entry.item, 'utf8'))?.['functionCall']);
    if (entry === null || at < 0 || call === null) continue;
    restored.add(entry.markerId);
    if (at > 0) parts.push(JSON.stringify({ text: text.slice(0, at) }));
    parts.push(entry.item);
    const { id, name } = call;
    const response = { ...(id === undefined ? {} : { id }), name, response: { error: entry.text } };
    responses.push(JSON.stringify({ functionResponse: response }));
    text = text.slice(at + entry.text.length);
  }
  if (responses.length === 0) return null;
  if (text !== '') parts.push(JSON.stringify({ text }));
  return { parts, responses };
}

/** Cuts the placeholder out of a call that follows one with the step's own signature. */
function withoutPlaceholder(body: Buffer, { span, value }: Part): SpanEdit[] {
  if (get(value, 'thoughtSignature') !== SIGNATURE_PLACEHOLDER) return [];
  const members = scanJsonObject(body, span.start);
  const at = members.findIndex(({ key }) => key === 'thoughtSignature');
  const member = members[at];
  if (member === undefined) return [];
  const before = members[at - 1];
  if (before !== undefined) return [{ start: before.valueEnd, end: member.valueEnd, text: '' }];
  const after = members[at + 1];
  return [{ start: member.memberStart, end: after?.memberStart ?? member.valueEnd, text: '' }];
}
