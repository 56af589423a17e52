/** Text of a Chat Completions stream, filtered choice by choice. Reasoning that is shown is never touched. */
import type { AnswerEdits, TextFilter } from './editor.ts';
import { asRecord, asText, type JsonRecord } from './streams/event-json.ts';

/** What a chunk's `content` (and `text` of legacy completions) becomes. */
export interface TextEdit {
  readonly member: 'content' | 'text';
  /** As it is sent; '' where a filter keeps all of it back. */
  readonly content: unknown;
}

export class ChatText {
  readonly #make: () => TextFilter | null;
  readonly #open = new Map<number, TextFilter>();
  readonly isOn: boolean;

  constructor(edits: AnswerEdits) {
    this.#make = () => edits.text?.('text') ?? null;
    this.isOn = this.#make() !== null;
  }

  /**
   * What becomes of the text of one choice of a chunk; null if it goes on as it came. `ends`: a call
   * or the end of the choice follows, and what the filter kept back is due.
   */
  edit(
    choice: JsonRecord,
    delta: JsonRecord,
    index: number,
    { ends }: { readonly ends: boolean },
  ): TextEdit | null {
    if (!this.isOn) return null;
    const isLegacy = asText(choice['text']) !== null;
    const value = isLegacy ? choice['text'] : (delta['content'] ?? null);
    const filtered = value === null ? null : this.#filter(value, index);
    const tail = ends ? (this.finish(index) ?? '') : '';
    const content = tail === '' ? filtered : joined(filtered, tail);
    return content === value ? null : { member: isLegacy ? 'text' : 'content', content };
  }

  /** What the filter of a choice kept back, at its end; null if nothing. */
  finish(index: number): string | null {
    const tail = this.#open.get(index)?.finish() ?? '';
    this.#open.delete(index);
    return tail === '' ? null : tail;
  }

  #filter(value: unknown, index: number): unknown {
    const text = asText(value);
    if (text !== null) return text === '' ? text : this.#push(text, index);
    // Some servers send a list of parts.
    if (!Array.isArray(value)) return value;
    const parts = value.map((part: unknown) => {
      const inner = asText(asRecord(part)?.['text']);
      const filtered = inner === null ? inner : this.#push(inner, index);
      return filtered === inner ? part : { ...asRecord(part), text: filtered };
    });
    return parts.every((part, at) => part === value[at]) ? value : parts;
  }

  #push(text: string, index: number): string {
    let filter = this.#open.get(index) ?? null;
    if (filter === null) {
      filter = this.#make();
      if (filter === null) return text;
      this.#open.set(index, filter);
    }
    return filter.push(text);
  }
}

function joined(content: unknown, tail: string): unknown {
  if (Array.isArray(content)) return [...content.map((part: unknown) => part), { type: 'text', text: tail }];
  return (asText(content) ?? '') + tail;
}
