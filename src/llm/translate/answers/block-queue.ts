/**
 * Puts the blocks of an answer in order. Providers may tell of several calls at once; the writers
 * take one block after another. The first open block streams, later ones are held until it ends:
 * where the format says so, or where a call's arguments are whole.
 */
import type { ToolNames } from '../tool-names.ts';
import {
  parseObject,
  type AnswerBlock,
  type AnswerEnd,
  type AnswerError,
  type AnswerHead,
  type AnswerSink,
  type AnswerStream,
  type CallAnswer,
  type TextAnswer,
  type ThinkingAnswer,
} from './answer.ts';

/** Characters of one answer; the longest that models write is below 1 MiB. */
const ANSWER_MAX_CHARS = 16 * 1024 * 1024;
const BLOCKS_MAX = 1_024;
/** Longer arguments are not looked at for whether they are whole: their call ends when the format says so. */
const WHOLE_CHECK_MAX_CHARS = 256 * 1024;

export interface BlockQueueOptions {
  readonly names: ToolNames;
  /** Of the provider that answers, for its opaque bytes. */
  readonly origin: string;
  readonly newId: (prefix: string) => string;
  /** Prefixes of made-up ids: `msg`, `toolu`. */
  readonly answerIdPrefix: string;
  readonly callIdPrefix: string;
  /** Makes a provider's id of a call fit the caller's format. */
  readonly callId: (id: string) => string;
}

interface OpenBlock {
  readonly block: AnswerBlock;
  readonly key: string | null;
  begun: boolean;
  ended: boolean;
}

/** The sink between a reader and a writer. Ignores everything after the end. */
export class BlockQueue implements AnswerSink {
  readonly #options: BlockQueueOptions;
  readonly #stream: AnswerStream;
  readonly #done: AnswerBlock[] = [];
  /** The first one is being written; the others wait. */
  readonly #open: OpenBlock[] = [];
  readonly #keys = new Set<string>();
  #count = 0;
  #chars = 0;
  #id: string | null = null;
  #isOver = false;
  #fault: string | null = null;

  constructor(stream: AnswerStream, options: BlockQueueOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Why the answer was ended by us; else null. */
  get fault(): string | null {
    return this.#fault;
  }

  start(head: AnswerHead): void {
    if (this.#id !== null || this.#isOver) return;
    this.#id = head.id ?? this.#options.newId(this.#options.answerIdPrefix);
    this.#stream.start(this.#id);
  }

  text(kind: 'text' | 'refusal' | 'thinking', text: string): void {
    if (text === '' || !this.#take(text)) return;
    const last = this.#open.at(-1);
    const block = last !== undefined && !last.ended && last.block.kind === kind ? last : this.#openText(kind);
    if (block !== null) this.#append(block, text);
  }

  opaque(data: string): void {
    if (!this.#take(data)) return;
    const last = this.#open.at(-1);
    const holder = last?.block.kind === 'thinking' && !last.ended ? last : this.#openText('thinking');
    if (holder?.block.kind === 'thinking') holder.block.opaque = { origin: this.#options.origin, data };
  }

  endText(): void {
    const last = this.#open.at(-1);
    if (last === undefined || last.block.kind === 'call') return;
    last.ended = true;
    this.#advance();
  }

  openCall(key: string, id: string | null, name: string): void {
    if (!this.#take(name)) return;
    if (this.#keys.has(key)) return;
    this.#keys.add(key);
    const { names, callId, newId, callIdPrefix } = this.#options;
    const block: CallAnswer = {
      kind: 'call',
      index: this.#count,
      id: id === null || id === '' ? newId(callIdPrefix) : callId(id),
      tool: names.find(name),
      text: '',
    };
    this.#push(block, key);
  }

  callArguments(key: string, text: string): void {
    if (text === '' || !this.#take(text)) return;
    const found = this.#open.find((open) => open.key === key);
    if (found !== undefined && !found.ended) this.#append(found, text);
    else if (text.trim() !== '') this.abort('the provider went on with a tool call that had ended');
  }

  endCall(key: string): void {
    const found = this.#open.find((open) => open.key === key);
    if (found === undefined) return;
    found.ended = true;
    this.#advance();
  }

  end(end: AnswerEnd): void {
    if (this.#isOver) return;
    this.start({ id: null });
    for (const open of this.#open) open.ended = true;
    this.#advance();
    this.#isOver = true;
    // Some servers say `stop` for an answer with calls; agents go by the reason.
    const hasCalls = this.#done.some((block) => block.kind === 'call');
    const reason = hasCalls && end.reason === 'stop' ? 'calls' : end.reason;
    this.#stream.end({ id: this.#id ?? '', blocks: this.#done, end: { ...end, reason } });
  }

  fail(error: AnswerError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stream.fail(error);
  }

  /** Ends the answer with an error of ours. */
  abort(why: string): void {
    if (this.#isOver) return;
    this.#fault = why;
    this.fail({ status: 502, message: why, code: null });
  }

  /** Counts what an event brings; false once the answer is over. */
  #take(text: string): boolean {
    if (this.#isOver) return false;
    this.start({ id: null });
    this.#chars += text.length;
    if (this.#chars <= ANSWER_MAX_CHARS && this.#count < BLOCKS_MAX) return true;
    this.abort(`the provider's answer is longer than ${ANSWER_MAX_CHARS} characters or ${BLOCKS_MAX} blocks`);
    return false;
  }

  #openText(kind: 'text' | 'refusal' | 'thinking'): OpenBlock {
    const index = this.#count;
    const block: TextAnswer | ThinkingAnswer =
      kind === 'thinking' ? { kind, index, text: '', opaque: null } : { kind, index, text: '' };
    return this.#push(block, null);
  }

  #push(block: AnswerBlock, key: string | null): OpenBlock {
    this.#count += 1;
    const open: OpenBlock = { block, key, begun: false, ended: false };
    for (const earlier of this.#open) {
      if (!earlier.ended) earlier.ended = earlier.block.kind !== 'call' || isWhole(earlier.block.text);
    }
    this.#open.push(open);
    this.#advance();
    return open;
  }

  #append(open: OpenBlock, text: string): void {
    open.block.text += text;
    if (this.#open[0] === open) this.#stream.delta(open.block, text);
  }

  #begin(open: OpenBlock): void {
    if (open.begun) return;
    open.begun = true;
    this.#stream.open(open.block);
    if (open.block.text !== '') this.#stream.delta(open.block, open.block.text);
  }

  /** Closes what has ended at the front, and begins what comes after it. */
  #advance(): void {
    for (;;) {
      const first = this.#open[0];
      if (first === undefined) return;
      this.#begin(first);
      if (!first.ended) return;
      this.#stream.close(first.block);
      this.#done.push(first.block);
      this.#open.shift();
    }
  }
}

/** Whether a call's arguments can have come to their end. */
function isWhole(text: string): boolean {
  return text.length <= WHOLE_CHECK_MAX_CHARS && text.trimEnd().endsWith('}') && parseObject(text) !== null;
}
