/**
 * Text of a Responses answer, filtered: deltas as they stream, and the same text again wherever an
 * event or the whole response repeats it. Reasoning is never touched: encrypted content belongs to it.
 */
import type { AnswerEdits, TextFilter } from './editor.ts';
import { asArray, asRecord, asText, type JsonRecord } from './streams/event-json.ts';

/** Blocks of text that stream at one time; an answer has a handful. */
const BLOCKS_MAX = 4_096;

/** Deltas of text, the event that repeats the whole text, and the member in which it does. */
const STREAMED: Readonly<Record<string, string>> = {
  'response.output_text': 'text',
  'response.refusal': 'refusal',
};

/** Filters the text of one answer. */
export class ResponsesText {
  readonly #make: () => TextFilter | null;
  readonly #blocks = new Map<string, TextFilter>();

  constructor(edits: AnswerEdits) {
    this.#make = () => edits.text?.('text') ?? null;
  }

  /** Whether there is anything to do. */
  get isOn(): boolean {
    return this.#make() !== null;
  }

  /** The events to send for one that was read; null to send it as it came. Throws beyond `BLOCKS_MAX`. */
  event(type: string, event: JsonRecord): JsonRecord[] | null {
    const stem = type.slice(0, type.lastIndexOf('.'));
    const member = Object.hasOwn(STREAMED, stem) ? STREAMED[stem] : undefined;
    if (member !== undefined)
      return type.endsWith('.delta') ? this.#delta(event) : this.#done(stem, member, event);
    if (type === 'response.content_part.added' || type === 'response.content_part.done')
      return changed(event, 'part', this.#part(event['part']));
    if (type === 'response.output_item.added' || type === 'response.output_item.done')
      return changed(event, 'item', this.item(event['item']));
    return null;
  }

  /** An output item with its texts filtered; the same value if nothing changed. */
  item(item: unknown): unknown {
    const record = asRecord(item);
    if (record === null || record['type'] !== 'message') return item;
    const content = asArray(record['content']);
    const filtered = content.map((part) => this.#part(part));
    return filtered.every((part, at) => part === content[at]) ? item : { ...record, content: filtered };
  }

  #delta(event: JsonRecord): JsonRecord[] | null {
    const delta = asText(event['delta']);
    if (delta === null) return null;
    const key = blockKey(event);
    let filter = this.#blocks.get(key);
    if (filter === undefined) {
      const made = this.#make();
      if (made === null) return null;
      if (this.#blocks.size >= BLOCKS_MAX) throw new Error(`more than ${BLOCKS_MAX} blocks of text`);
      filter = made;
      this.#blocks.set(key, filter);
    }
    const filtered = filter.push(delta);
    if (filtered === delta) return null;
    return filtered === '' ? [] : [{ ...event, delta: filtered, ...noLogprobs(event) }];
  }

  #done(stem: string, member: string, event: JsonRecord): JsonRecord[] | null {
    const key = blockKey(event);
    const tail = this.#blocks.get(key)?.finish() ?? '';
    this.#blocks.delete(key);
    const text = asText(event[member]);
    const filtered = text === null ? null : this.#whole(text);
    if (tail === '' && filtered === text) return null;
    const { [member]: _, ...place } = event;
    const last = { ...event, [member]: filtered, ...noLogprobs(event) };
    const rest = { ...place, type: `${stem}.delta`, delta: tail, ...noLogprobs(event) };
    return tail === '' ? [last] : [rest, last];
  }

  #part(part: unknown): unknown {
    const record = asRecord(part);
    if (record === null) return part;
    const member =
      record['type'] === 'refusal' ? 'refusal' : record['type'] === 'output_text' ? 'text' : null;
    const text = member === null ? null : asText(record[member]);
    if (member === null || text === null) return part;
    const filtered = this.#whole(text);
    return filtered === text ? part : { ...record, [member]: filtered, ...noLogprobs(record) };
  }

  #whole(text: string): string {
    const filter = text === '' ? null : this.#make();
    return filter === null ? text : filter.push(text) + filter.finish();
  }
}

/** The tokens of a text that was changed would tell what it was. */
function noLogprobs(record: JsonRecord): JsonRecord {
  return record['logprobs'] === undefined ? {} : { logprobs: [] };
}

function blockKey(event: JsonRecord): string {
  return `${String(event['output_index'])}:${String(event['content_index'])}`;
}

function changed(event: JsonRecord, member: string, value: unknown): JsonRecord[] | null {
  return value === event[member] ? null : [{ ...event, [member]: value }];
}
