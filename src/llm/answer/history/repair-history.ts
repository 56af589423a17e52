/**
 * Makes the turn after a refused call acceptable to the provider of the Responses API, which holds
 * calls and results, and reasoning and the item that follows it, to belong together.
 *
 * - `previous_response_id` or `conversation`: the provider has the call. Its refusing result is put in
 *   front of the input.
 * - Items sent back by the caller: where our message stands, the call and its refusing result are put
 *   back. The message is known by its id, or, from callers that keep no ids, by its text.
 *
 * Chat Completions need nothing of this: the caller holds the whole history, and an assistant's text in
 * place of a call is a history like any other. Every other byte of the body stays.
 */
import type { BodyFacts } from '../../request-body.ts';
import type { Format } from '../../surface.ts';
import { scanJsonArray, type JsonSpan } from '../../../wire/json-scan.ts';
import { isMarkerId } from '../openai-responses-calls.ts';
import { applyEdits, textAt, type SpanEdit } from '../streams/edit-spans.ts';
import { asArray, asRecord, asText, get, type JsonRecord } from '../streams/event-json.ts';
import { refusingOutput } from './refusing-output.ts';
import type { RefusalLedger, RefusedItem } from './refused-turn.ts';

/** A body whose history the provider accepts. */
export interface RepairedHistory {
  readonly body: Buffer;
  /**
   * What was answered here. When the request succeeds, the conversation's refused calls have their
   * results (`RefusalMemory.answered`); a response can be gone on from again and again, and keeps its entry.
   */
  readonly used: { readonly responseId: string | null; readonly conversationId: string | null };
}

/** What a request needs so that it fits the history that the provider knows; null if it fits as it is. `facts` must be of `body`. Never throws on bodies that were read. */
export function repairHistory(
  format: Format,
  body: Buffer,
  facts: BodyFacts,
  ledger: RefusalLedger,
): RepairedHistory | null {
  if (format !== 'openai_responses' || facts.kind !== 'json') return null;
  const marks = body.includes(MARKER);
  if (ledger.isEmpty && !marks) return null;
  const responseId = facts.previousResponseId;
  const conversationId = conversationOf(facts.member('conversation'));
  const owed = owedCalls(ledger, responseId, conversationId);
  const input = facts.span('input');
  const edits = new InputEdits(body, input, ledger, responseId !== null || conversationId !== null);
  const repaired = edits.make(owed, facts);
  if (repaired === null) return null;
  const isOwed = owed.length > 0;
  return {
    body: repaired,
    used: {
      responseId: isOwed ? responseId : null,
      conversationId: isOwed && responseId === null ? conversationId : null,
    },
  };
}

/** What every id of `markerId` begins with, as it stands in JSON. */
const MARKER = Buffer.from('"msg_pst_');
const ASSISTANT = Buffer.from('"assistant"');
/** A refusing text is short: longer messages are not looked at. Bytes of the item. */
const MESSAGE_MAX_BYTES = 16_384;

/** `conversation` is an id or an object with one. */
function conversationOf(value: unknown): string | null {
  return asText(value) ?? asText(get(value, 'id'));
}

/** Refused calls that the provider's own history has, without a result. */
function owedCalls(
  ledger: RefusalLedger,
  responseId: string | null,
  conversationId: string | null,
): readonly RefusedItem[] {
  if (responseId !== null) return ledger.byResponse(responseId)?.calls ?? [];
  return conversationId === null ? [] : ledger.byConversation(conversationId).flatMap(({ calls }) => calls);
}

/** An element of `input`. */
interface Element {
  readonly span: JsonSpan;
  readonly item: JsonRecord | null;
}

/** What becomes of a list: JSON texts in front, and for each element those in its place (null: itself). */
interface ListChange {
  readonly front: readonly string[];
  readonly pieces: readonly (readonly string[] | null)[];
}

/** The edits of one `input`. */
class InputEdits {
  readonly #body: Buffer;
  readonly #input: JsonSpan | null;
  readonly #ledger: RefusalLedger;
  /** The provider keeps the history: what it has must not be sent again. */
  readonly #isKept: boolean;
  readonly #restored = new Set<string>();

  constructor(body: Buffer, input: JsonSpan | null, ledger: RefusalLedger, isKept: boolean) {
    this.#body = body;
    this.#input = input;
    this.#ledger = ledger;
    this.#isKept = isKept;
  }

  /** The whole body; null if nothing changes. */
  make(owed: readonly RefusedItem[], facts: BodyFacts): Buffer | null {
    const input = this.#input;
    const first = input === null ? undefined : this.#body[input.start];
    if (input === null || first !== OPEN_BRACKET) {
      if (owed.length === 0) return null;
      return applyEdits(this.#body, [wholeInput(this.#body, input, owed, facts)]);
    }
    const spans = scanJsonArray(this.#body, input.start);
    const pieces = spans
      .map((span) => this.#element(span))
      .map((element, at, all) => this.#change(element, all[at + 1]));
    const answered = new Set(spans.flatMap((span) => outputOf(this.#body, span, owed)));
    const front = owed.filter((call) => !answered.has(callIdOf(call))).flatMap((call) => outputsOf(call));
    if (front.length === 0 && pieces.every((piece) => piece === null)) return null;
    return applyEdits(this.#body, listEdits(this.#body, input, spans, { front, pieces }));
  }

  /** Reads an element only if it may be one of ours, or stand before one. */
  #element(span: JsonSpan): Element {
    const bytes = this.#body.subarray(span.start, span.end);
    const isOurs = bytes.includes(MARKER) || (bytes.length <= MESSAGE_MAX_BYTES && bytes.includes(ASSISTANT));
    const mayStandBefore = bytes.includes(REASONING) || bytes.includes(REFERENCE);
    return { span, item: isOurs || mayStandBefore ? asRecord(JSON.parse(bytes.toString('utf8'))) : null };
  }

  /** The elements that an element becomes, as JSON; null leaves it. */
  #change({ item }: Element, next: Element | undefined): readonly string[] | null {
    if (item === null) return null;
    const id = asText(item['id']);
    if (id !== null && isMarkerId(id)) return this.#restoreMarked(item, id);
    if (isReasoning(item)) return this.#isLeftAlone(next) ? [] : null;
    if (id !== null || item['role'] !== 'assistant') return null;
    const said = textOf(item);
    const call =
      said === null ? undefined : this.#ledger.byText(said).find((each) => !this.#restored.has(each.item));
    // Without ids the caller's reasoning has none either, and a call with an id would ask for it.
    return call === undefined ? null : this.#restore(call, withoutId(call.item));
  }

  #restoreMarked(item: JsonRecord, id: string): readonly string[] {
    const call = this.#ledger.byMarker(id);
    if (call !== null) {
      const reference = item['type'] === 'item_reference' ? referenceTo(call.item) : null;
      return this.#restore(call, reference ?? call.item);
    }
    // Forgotten: the text stays, as a message that the provider need not know. A reference says nothing.
    if (item['type'] === 'item_reference' || this.#isKept) return [];
    const { id: _, ...message } = item;
    return [JSON.stringify(message)];
  }

  #restore(call: RefusedItem, item: string): readonly string[] {
    if (this.#isKept || this.#restored.has(call.item)) return [];
    this.#restored.add(call.item);
    return [item, ...outputsOf(call)];
  }

  /** Whether the item after some reasoning is a message of ours whose call was forgotten. */
  #isLeftAlone(next: Element | undefined): boolean {
    const id = asText(next?.item?.['id']);
    return id !== null && isMarkerId(id) && this.#ledger.byMarker(id) === null;
  }
}

const OPEN_BRACKET = 0x5b;
const QUOTE = 0x22;
const REASONING = Buffer.from('"reasoning"');
const REFERENCE = Buffer.from('"rs_');

function isReasoning(item: JsonRecord): boolean {
  return (
    item['type'] === 'reasoning' ||
    (item['type'] === 'item_reference' && asText(item['id'])?.startsWith('rs_') === true)
  );
}

/** The text of a message with a single one. */
function textOf(message: JsonRecord): string | null {
  const content = message['content'];
  if (!Array.isArray(content)) return asText(content);
  const [only, ...others] = asArray(content);
  return others.length > 0 ? null : asText(get(only, 'text'));
}

function parsed(json: string): JsonRecord {
  return asRecord(JSON.parse(json)) ?? {};
}

function callIdOf({ item }: RefusedItem): string {
  const call = parsed(item);
  return asText(call['call_id']) ?? asText(call['id']) ?? '';
}

function outputsOf({ item, text }: RefusedItem): string[] {
  return refusingOutput(parsed(item), text).map((output) => JSON.stringify(output));
}

function withoutId(json: string): string {
  const { id: _, ...item } = parsed(json);
  return JSON.stringify(item);
}

function referenceTo(json: string): string | null {
  const id = asText(parsed(json)['id']);
  return id === null ? null : JSON.stringify({ type: 'item_reference', id });
}

/** The ids of owed calls that an element of the input answers by itself. */
function outputOf(body: Buffer, span: JsonSpan, owed: readonly RefusedItem[]): string[] {
  const bytes = body.subarray(span.start, span.end);
  const ids = owed.map(callIdOf).filter((id) => bytes.includes(JSON.stringify(id)));
  if (ids.length === 0) return [];
  const item = asRecord(JSON.parse(bytes.toString('utf8')));
  const isOutput = /_output$|^mcp_approval_response$/.test(asText(item?.['type']) ?? '');
  return isOutput ? ids.filter((id) => id === item?.['call_id'] || id === item?.['approval_request_id']) : [];
}

/** An input that is no list, or none at all, becomes one that begins with the results. */
function wholeInput(
  body: Buffer,
  input: JsonSpan | null,
  owed: readonly RefusedItem[],
  facts: BodyFacts,
): SpanEdit {
  const outputs = owed.flatMap(outputsOf);
  if (input === null) {
    const at = facts.members.at(-1)?.valueEnd ?? body.indexOf('{') + 1;
    return {
      start: at,
      end: at,
      text: `${facts.members.length > 0 ? ',' : ''}"input":[${outputs.join(',')}]`,
    };
  }
  const said = body[input.start] === QUOTE ? [`{"role":"user","content":${textAt(body, input)}}`] : [];
  return { ...input, text: `[${[...outputs, ...said].join(',')}]` };
}

/** Edits that leave alone every element that does not change, with the white space around it. */
function listEdits(
  body: Buffer,
  input: JsonSpan,
  spans: readonly JsonSpan[],
  change: ListChange,
): SpanEdit[] {
  const { front, pieces } = change;
  const start = input.start + 1;
  if (pieces.some((piece) => piece?.length === 0)) {
    // An element goes, and a comma with it: the list is written anew from its elements.
    const rest = spans.flatMap((span, at) => pieces[at] ?? [textAt(body, span)]);
    return [{ start, end: input.end - 1, text: [...front, ...rest].join(',') }];
  }
  const edits: SpanEdit[] = [];
  if (front.length > 0)
    edits.push({ start, end: start, text: front.join(',') + (spans.length > 0 ? ',' : '') });
  for (const [at, span] of spans.entries()) {
    const piece = pieces[at];
    if (piece !== null && piece !== undefined) edits.push({ ...span, text: piece.join(',') });
  }
  return edits;
}
