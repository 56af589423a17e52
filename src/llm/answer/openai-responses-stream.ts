/**
 * The stream of a Responses answer, edited (OpenAI API reference, "Streaming events"): a governed
 * call is held from `response.output_item.added` to `response.output_item.done`, and edited again
 * where the last event repeats the whole response.
 */
import { argumentEvents, isArgumentEvent, readCallItem, streamedParts } from './openai-responses-calls.ts';
import {
  isSameCall,
  ResponsesDecisions,
  settledItem,
  type GovernedItem,
} from './openai-responses-decisions.ts';
import { callEvents, encodeSpan, refusalEvents, type HeldSpan } from './openai-responses-events.ts';
import { ResponsesText } from './openai-responses-text.ts';
import { applyEdits, findSpan, type SpanEdit } from './streams/edit-spans.ts';
import {
  asArray,
  asIndex,
  asRecord,
  asText,
  namesGoverned,
  parseEventJson,
  type JsonRecord,
} from './streams/event-json.ts';
import { NO_BYTES, type StreamEvent } from './streams/framing.ts';
import type { HeldPlace } from './streams/ordered-output.ts';
import type { ReaderParts, StreamReader } from './streams/stream-editor.ts';

/** Items of one answer; more cannot be followed. */
const ITEMS_MAX = 4_096;
/** Every event that begins, brings or ends a call says one of these, unless it hides it in an escape. */
const CALL_MARKS: readonly Buffer[] = [
  Buffer.from('_call'),
  Buffer.from('approval_request'),
  Buffer.from('\\u'),
];
const DONE = Buffer.from('[DONE]');
const FINAL_EVENTS: ReadonlySet<string> = new Set([
  'response.completed',
  'response.incomplete',
  'response.failed',
  'response.cancelled',
]);

/** An item that has begun. */
interface StreamItem {
  readonly item: JsonRecord;
  readonly isCall: boolean;
  /** Null for what passes as it comes. */
  readonly held: HeldItem | null;
  isDone: boolean;
}

interface HeldItem {
  readonly place: HeldPlace;
  readonly governed: GovernedItem;
  span: HeldSpan;
  /** The arguments as the deltas brought them, by the index of their command. */
  readonly parts: Map<number, string>;
  /** The events contradict each other: what is decided must be written anew. */
  isOdd: boolean;
}

export class ResponsesReader implements StreamReader {
  readonly #framing: ReaderParts['framing'];
  readonly #edits: ReaderParts['edits'];
  readonly #output: ReaderParts['output'];
  readonly #decisions: ResponsesDecisions;
  readonly #text: ResponsesText;
  readonly #filtersText: boolean;
  readonly #items = new Map<number, StreamItem>();
  #openCount = 0;

  constructor({ framing, edits, output }: ReaderParts) {
    this.#framing = framing;
    this.#edits = edits;
    this.#output = output;
    this.#decisions = new ResponsesDecisions(edits);
    this.#text = new ResponsesText(edits);
    this.#filtersText = this.#text.isOn;
  }

  event(event: StreamEvent): void {
    const { data, raw, name } = event;
    if (data === null || this.#isHarmless(data, name)) return this.#output.pass(raw);
    const json = parseEventJson(data);
    if (json === null) {
      if (data.equals(DONE)) return this.#output.pass(raw);
      return this.#output.fault('an event of the stream is no plain JSON object');
    }
    const type = asText(json['type']);
    if (type === null) return this.#other(event, '', json);
    if (name !== '' && name !== type && name !== 'message')
      return this.#output.fault('an event has two types');
    if (type === 'response.output_item.added') return this.#itemAdded(event, json);
    if (type === 'response.output_item.done') return this.#itemDone(event, json);
    if (json['response'] !== undefined) return this.#wholeResponse(event, type, json);
    // An error of the provider ends the answer: what was not whole is gone.
    if (type === 'error') this.#closeOpen([]);
    return this.#itemEvent(event, type, json);
  }

  end(): void {
    // Text filters end with their blocks, calls with their items: nothing is left.
  }

  /** Most of a stream: text that names no call, while no call is open. Costs three searches. */
  #isHarmless(data: Buffer, name: string): boolean {
    if (this.#filtersText || this.#openCount > 0 || name.includes('_call')) return false;
    return !CALL_MARKS.some((mark) => data.includes(mark));
  }

  #itemAdded(event: StreamEvent, json: JsonRecord): void {
    const index = asIndex(json['output_index']);
    const item = asRecord(json['item']);
    if (index === null || item === null)
      return this.#output.fault('an output item begins without index or item');
    if (this.#items.has(index)) return this.#output.fault('two output items have one index');
    const governed = this.#decisions.read(item);
    if (governed === null) {
      this.#track(index, { item, isCall: readCallItem(item) !== null, held: null, isDone: false });
      return this.#passText(event, 'response.output_item.added', json);
    }
    const held = this.#hold(governed, index, event, json);
    this.#track(index, { item, isCall: true, held, isDone: false });
    this.#openCount += 1;
  }

  #track(index: number, item: StreamItem): void {
    if (this.#items.size >= ITEMS_MAX) this.#output.fault(`more than ${ITEMS_MAX} output items`);
    else this.#items.set(index, item);
  }

  #hold(governed: GovernedItem, index: number, event: StreamEvent, json: JsonRecord): HeldItem {
    const { item, call } = governed;
    const number = asIndex(json['sequence_number']);
    const span: HeldSpan = {
      outputIndex: index,
      sequence: number === null ? null : { first: number, last: number },
      isNamed: event.name !== '',
    };
    const refuse = (text: string): Buffer => {
      governed.outcome = { action: 'refuse', text };
      return encodeSpan(this.#framing, held.span, refusalEvents(held.span, item, text));
    };
    const place = this.#output.hold({ id: call.id, name: call.name, original: JSON.stringify(item), refuse });
    const held: HeldItem = { place, governed, span, parts: new Map(), isOdd: false };
    this.#decisions.remember(governed);
    place.keep(event.raw);
    return held;
  }

  #itemDone(event: StreamEvent, json: JsonRecord): void {
    const index = asIndex(json['output_index']);
    const item = asRecord(json['item']);
    if (index === null || item === null)
      return this.#output.fault('an output item ends without index or item');
    const known = this.#items.get(index);
    const governed = this.#decisions.read(item);
    if (known?.isDone === true) return this.#output.fault('an output item ends twice');
    if (known === undefined) {
      if (governed !== null) {
        const held = this.#hold(governed, index, event, json);
        this.#track(index, { item, isCall: true, held, isDone: true });
        return this.#decide(held, governed);
      }
      return this.#passText(event, 'response.output_item.done', json);
    }
    known.isDone = true;
    if (!isSameCall(known.item, item))
      return this.#output.fault('an output item ends as another than it began');
    if (known.held === null) {
      if (governed !== null) return this.#output.fault('an output item ends as a call under a rule');
      return this.#passText(event, 'response.output_item.done', json);
    }
    this.#openCount -= 1;
    if (known.held.place.isSettled) return undefined;
    if (governed === null) return this.#output.fault('a call under a rule ends as something else');
    this.#note(known.held, event, json);
    return this.#decide(known.held, governed);
  }

  /** Keeps an event of a held call. */
  #note(held: HeldItem, event: StreamEvent, json: JsonRecord): void {
    const number = asIndex(json['sequence_number']);
    const { sequence } = held.span;
    if (number !== null && sequence !== null)
      held.span = {
        ...held.span,
        sequence: { first: sequence.first, last: Math.max(sequence.last, number) },
      };
    held.place.keep(event.raw);
  }

  /** A held call is whole. `governed` is its last reading. */
  #decide(held: HeldItem, governed: GovernedItem): void {
    const { calls, settle } = this.#decisions.question(governed);
    const { item } = governed;
    this.#decisions.remember(governed);
    const isOdd = held.isOdd || !bringsItem(held.parts, item);
    held.place.decide(calls, (verdicts, raw) => {
      governed.outcome = settle(verdicts);
      return this.#render(held, governed, isOdd ? null : raw);
    });
  }

  #render(held: HeldItem, { item, outcome }: GovernedItem, raw: Buffer | null): Buffer {
    const { span } = held;
    if (outcome?.action === 'refuse')
      return encodeSpan(this.#framing, span, refusalEvents(span, item, outcome.text));
    if (outcome?.action === 'keep' && raw !== null) return raw;
    return encodeSpan(this.#framing, span, callEvents(span, settledItem(item, outcome) ?? item));
  }

  #itemEvent(event: StreamEvent, type: string, json: JsonRecord): void {
    const known = this.#items.get(asIndex(json['output_index']) ?? -1);
    if (!isArgumentEvent(type) && known?.held == null) {
      return this.#other(event, type, json);
    }
    if (known === undefined || !known.isCall)
      return this.#output.fault('arguments come for a call that has not begun');
    const id = asText(json['item_id']);
    if (id !== null && asText(known.item['id']) !== null && id !== known.item['id'])
      return this.#output.fault('an event has the index of one item and the id of another');
    if (known.held === null) return this.#output.pass(event.raw);
    if (known.isDone) return this.#output.fault('arguments come for a call that has ended');
    if (known.held.place.isSettled) return undefined;
    this.#collect(known.held, known.item, type, json);
    return this.#note(known.held, event, json);
  }

  /** Follows what a reader of deltas would put together. */
  #collect(held: HeldItem, item: JsonRecord, type: string, json: JsonRecord): void {
    const prefix = argumentEvents(item);
    if (prefix === null || !type.startsWith(prefix)) {
      held.isOdd ||= isArgumentEvent(type);
      return;
    }
    const at = asIndex(json['command_index']) ?? 0;
    if (type === `${prefix}delta`) {
      const delta = asText(json['delta']);
      if (delta === null) held.isOdd = true;
      else held.parts.set(at, (held.parts.get(at) ?? '') + delta);
      return;
    }
    const whole = asText(json['arguments'] ?? json['input'] ?? json['diff'] ?? json['command']);
    const before = held.parts.get(at) ?? '';
    const isEnd = type === `${prefix}done`;
    if (whole === null || (isEnd && before !== '' && before !== whole)) held.isOdd = true;
    else held.parts.set(at, whole);
    if (json['name'] !== undefined && json['name'] !== item['name']) held.isOdd = true;
  }

  #wholeResponse(event: StreamEvent, type: string, json: JsonRecord): void {
    const response = asRecord(json['response']);
    if (response === null) return this.#output.fault('an event has a response that is none');
    const output = asArray(response['output']);
    if (FINAL_EVENTS.has(type)) this.#closeOpen(output);
    const settled = output.map((item) => this.#finalItem(item));
    if (settled.every((change) => change === null)) return this.#output.pass(event.raw);
    const copy: StreamEvent = {
      raw: Buffer.from(event.raw),
      name: event.name,
      data: Buffer.from(event.data ?? NO_BYTES),
    };
    return this.#output.passLater(copy.raw, () => this.#rendered(copy, settled));
  }

  /** What becomes of an item of the whole response, to be asked when its turn has come; null if nothing. */
  #finalItem(value: unknown): (() => JsonRecord | null) | null {
    const item = asRecord(value);
    if (item === null) return null;
    const governed = this.#decisions.read(item);
    if (governed === null) {
      const filtered = this.#filtersText ? asRecord(this.#text.item(item)) : item;
      return filtered === item ? null : () => filtered;
    }
    const earlier = this.#decisions.earlier(governed);
    if (earlier !== null) return () => settledItem(item, earlier.outcome);
    const { calls, settle } = this.#decisions.question(governed);
    this.#decisions.remember(governed);
    this.#output.hold(null).decide(calls, (verdicts) => {
      governed.outcome = settle(verdicts);
      return NO_BYTES;
    });
    return () => settledItem(item, governed.outcome);
  }

  #rendered(event: StreamEvent, settled: readonly ((() => JsonRecord | null) | null)[]): Buffer {
    const data = event.data ?? NO_BYTES;
    const edits: SpanEdit[] = [];
    for (const [at, change] of settled.entries()) {
      const item = change?.() ?? null;
      const span = item === null ? null : findSpan(data, ['response', 'output', at]);
      if (span !== null) edits.push({ ...span, text: JSON.stringify(item) });
    }
    return edits.length === 0 ? event.raw : this.#framing.replace(event, applyEdits(data, edits));
  }

  /** Calls whose end never came: as the response has them, or not at all. */
  #closeOpen(output: readonly unknown[]): void {
    for (const known of this.#items.values()) {
      if (known.held === null || known.isDone) continue;
      known.isDone = true;
      this.#openCount -= 1;
      if (known.held.place.isSettled) continue;
      const last = output.map(asRecord).find((item) => item !== null && isSameCall(item, known.item));
      const governed = last === undefined || last === null ? null : this.#decisions.read(last);
      if (governed === null) known.held.place.decide([], () => NO_BYTES);
      else this.#decide(known.held, governed);
    }
  }

  #passText(event: StreamEvent, type: string, json: JsonRecord): void {
    const events = this.#filtersText ? this.#text.event(type, json) : null;
    if (events === null) return this.#output.pass(event.raw);
    for (const edited of events)
      this.#output.pass(
        this.#framing.encode(event.name === '' ? '' : (asText(edited['type']) ?? ''), JSON.stringify(edited)),
      );
    return undefined;
  }

  /** Events of text, of the provider's own tools, and those that nobody knows: they may say anything but a call. */
  #other(event: StreamEvent, type: string, json: JsonRecord): void {
    const governs = (name: string): boolean => this.#edits.tools?.governs(name) === true;
    const item = asRecord(json['item']);
    if (namesGoverned(json, governs) || (item !== null && this.#decisions.read(item) !== null))
      return this.#output.fault('an unknown event names a tool under a rule');
    return this.#passText(event, type, json);
  }
}

/** Whether the pieces make up the item's arguments; no pieces are no contradiction. */
function bringsItem(parts: ReadonlyMap<number, string>, item: JsonRecord): boolean {
  if (parts.size === 0) return true;
  const whole = streamedParts(item);
  return whole !== null && [...parts].every(([at, text]) => whole[at] === text) && whole.length >= parts.size;
}
