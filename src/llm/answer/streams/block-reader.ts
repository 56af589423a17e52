/**
 * Governs a stream of blocks: holds calls from start to stop, lets everything else flow, and sets
 * the stop reason right at the end. A refused call becomes a text block at the same index, so that
 * no other block has to be renumbered.
 */
import type { AnswerEdits, TextFilter, ToolVerdict } from '../editor.ts';
import { STOP_AT_END, type BlockDialect, type BlockKind, type NewEvent } from './block-dialect.ts';
import { applyEdits, findSpan } from './edit-spans.ts';
import { namesGoverned, parseArguments, type JsonRecord } from './event-json.ts';
import { filterArguments, filtersArguments } from './filter-arguments.ts';
import type { Framing, StreamEvent } from './framing.ts';
import type { EditOutput, HeldPlace } from './ordered-output.ts';
import { isPlainDelta } from './plain-delta.ts';
import type { ReaderParts, StreamReader } from './stream-editor.ts';

/** Real answers have fewer than a hundred. */
const BLOCKS_MAX = 4_096;

/** With it a streamed call starts; its arguments come in deltas. */
const NO_INPUT = '{}';

interface HeldBlock {
  readonly kind: 'held';
  readonly id: string | null;
  readonly name: string;
  readonly place: HeldPlace;
  readonly start: StreamEvent;
  /** Arguments that came with the start; '' for none. */
  readonly startInput: string;
  argumentsText: string;
}

interface TextBlock {
  readonly kind: 'text';
  readonly filter: TextFilter | null;
}

/** `passing`: a call that nobody governs, or the provider's own; `other`: takes no arguments. */
type OpenBlock = HeldBlock | TextBlock | { readonly kind: 'passing' | 'other' | 'stopped' };

export class BlockReader implements StreamReader {
  readonly #dialect: BlockDialect;
  readonly #framing: Framing;
  readonly #edits: AnswerEdits;
  readonly #output: EditOutput;
  readonly #blocks = new Map<number, OpenBlock>();
  /** Beginnings of deltas that pass unread: those of the block that was started last. */
  #plain: readonly Buffer[] = [];
  /** Calls that reach the caller. */
  #calls = 0;
  #refusedCalls = 0;

  constructor(dialect: BlockDialect, { framing, edits, output }: ReaderParts) {
    this.#dialect = dialect;
    this.#framing = framing;
    this.#edits = edits;
    this.#output = output;
  }

  event(event: StreamEvent): void {
    const { data } = event;
    if (data === null || this.#isPlain(event.name, data)) {
      this.#output.pass(event.raw);
      return;
    }
    const step = this.#dialect.decode(event);
    switch (step.kind) {
      case 'start':
        this.#start(event, step.index, step.block, step.value);
        return;
      case 'text':
        if (!this.#namesGoverned(step.value)) this.#text(event, step.index, step.text);
        return;
      case 'arguments':
        this.#arguments(event, step.index, step.text);
        return;
      case 'delta':
        this.#delta(event, step.index, step.value);
        return;
      case 'stop':
        if (!this.#namesGoverned(step.value)) this.#stop(event, step.index);
        return;
      case 'end':
        this.#end(event, step.endsWithCalls, step.value);
        return;
      case 'apart':
        this.#passApart(event, step.value);
        return;
      case 'unreadable':
        this.#output.fault(step.reason);
    }
  }

  end(): void {
    for (const [index, block] of this.#blocks) {
      if (block.kind === 'text') this.#passTail(index, block.filter);
    }
  }

  #isPlain(name: string, data: Buffer): boolean {
    if (name !== '' && name !== this.#dialect.deltaName) return false;
    for (const prefix of this.#plain) {
      if (isPlainDelta(data, prefix)) return true;
    }
    return false;
  }

  #start(event: StreamEvent, index: number, block: BlockKind, value: JsonRecord): void {
    if (this.#blocks.has(index)) {
      this.#output.fault(`block ${index} of the answer begins twice`);
      return;
    }
    if (!this.#mayOpen()) return;
    this.#plain = [];
    if (block.kind === 'call') {
      this.#startCall(event, index, block, value);
    } else if (block.kind === 'text') {
      if (!this.#namesGoverned(value)) this.#startText(event, index, block.text);
    } else {
      this.#open(index, { kind: block.kind === 'server' ? 'passing' : 'other' });
      if (block.kind === 'server' || block.isKnown) this.#output.pass(event.raw);
      else this.#passApart(event, value);
    }
  }

  #startCall(
    event: StreamEvent,
    index: number,
    block: BlockKind & { readonly kind: 'call' },
    value: JsonRecord,
  ): void {
    const { id, name, input } = block;
    if (!this.#governs(name) && input === NO_INPUT && this.#namesGoverned(value)) return;
    if (!this.#governs(name) && !filtersArguments(this.#edits)) {
      this.#calls += 1;
      this.#blocks.set(index, { kind: 'passing' });
      this.#output.pass(event.raw);
      return;
    }
    const place = this.#output.hold({ id, name, refuse: (text) => this.#refusal(index, text, null) });
    const start = { raw: Buffer.from(event.raw), name: event.name, data: Buffer.from(event.data ?? '') };
    this.#blocks.set(index, {
      kind: 'held',
      id,
      name,
      place,
      start,
      startInput: input === NO_INPUT ? '' : input,
      argumentsText: '',
    });
    place.keep(event.raw);
  }

  #startText(event: StreamEvent, index: number, text: string): void {
    const filter = this.#edits.text?.('text') ?? null;
    this.#open(index, { kind: 'text', filter });
    if (filter === null || text === '') this.#output.pass(event.raw);
    else this.#passText(event, this.#dialect.startTextPath, text, filter.push(text));
  }

  #text(event: StreamEvent, index: number, text: string): void {
    const block = this.#blocks.get(index) ?? this.#startedByDelta(index);
    if (block === null) {
      this.#output.fault(`a delta of block ${index} comes before its start`);
    } else if (block.kind === 'text' && block.filter !== null) {
      const filtered = block.filter.push(text);
      if (filtered !== '' || text === '') this.#passText(event, this.#dialect.deltaTextPath, text, filtered);
    } else if (block.kind === 'held' || block.kind === 'stopped') {
      this.#output.fault(`block ${index} of the answer has text where none can be`);
    } else {
      this.#output.pass(event.raw);
    }
  }

  #arguments(event: StreamEvent, index: number, text: string): void {
    const block = this.#blocks.get(index);
    if (block?.kind === 'held') {
      if (block.place.isSettled) return;
      block.argumentsText += text;
      block.place.keep(event.raw);
    } else if (block?.kind === 'passing' || this.#edits.tools === null) {
      this.#output.pass(event.raw);
    } else {
      this.#output.fault(`block ${index} of the answer has arguments and is no open call`);
    }
  }

  #delta(event: StreamEvent, index: number, value: JsonRecord): void {
    const block = this.#blocks.get(index) ?? this.#startedByDelta(index);
    if (block === null || block.kind === 'held' || block.kind === 'stopped') {
      this.#output.fault(`block ${index} of the answer has a delta that cannot be there`);
      return;
    }
    this.#passApart(event, value);
  }

  #stop(event: StreamEvent, index: number): void {
    const block = this.#blocks.get(index);
    this.#plain = [];
    this.#blocks.set(index, { kind: 'stopped' });
    if (block === undefined && !this.#mayOpen()) return;
    if (block?.kind === 'held') {
      this.#decide(event, index, block);
      return;
    }
    if (block?.kind === 'text') this.#passTail(index, block.filter);
    this.#output.pass(event.raw);
  }

  #decide(stop: StreamEvent, index: number, block: HeldBlock): void {
    const { id, name, place, startInput } = block;
    if (place.isSettled) return;
    place.keep(stop.raw);
    if (startInput !== '' && block.argumentsText !== '') {
      this.#output.fault(`the call in block ${index} has its arguments twice`);
      return;
    }
    const written = startInput === '' ? block.argumentsText : startInput;
    const argumentsText = filterArguments(written, this.#edits);
    const stopBytes = Buffer.from(stop.raw);
    const render = (verdict: ToolVerdict | undefined, held: Buffer): Buffer => {
      if (verdict?.action === 'deny') return this.#refusal(index, verdict.text, stopBytes);
      this.#calls += 1;
      const wanted = verdict?.action === 'rewrite' ? verdict.argumentsText : argumentsText;
      if (verdict?.action !== 'rewrite' && wanted === written) return held;
      return Buffer.concat([
        this.#emptyStart(block),
        this.#encode(this.#dialect.argumentsDelta(index, wanted)),
        stopBytes,
      ]);
    };
    if (!this.#governs(name)) {
      place.decide([], (_, held) => render(undefined, held));
      return;
    }
    const asked = argumentsText === '' ? NO_INPUT : argumentsText;
    const call = { id, name, argumentsText: asked, arguments: parseArguments(asked) };
    place.decide([call], ([verdict], held) => render(verdict, held));
  }

  #end(event: StreamEvent, endsWithCalls: boolean, value: JsonRecord): void {
    if (this.#namesGoverned(value)) return;
    if (!endsWithCalls || event.data === null) {
      this.#output.pass(event.raw);
      return;
    }
    const kept = { raw: Buffer.from(event.raw), name: event.name, data: Buffer.from(event.data) };
    this.#output.passLater(kept.raw, () => {
      if (this.#refusedCalls === 0 || this.#calls > 0) return kept.raw;
      return this.#framing.replace(kept, this.#edited(kept.data, this.#dialect.stopReasonPath, STOP_AT_END));
    });
  }

  #passApart(event: StreamEvent, value: JsonRecord): void {
    if (!this.#namesGoverned(value)) this.#output.pass(event.raw);
  }

  /** Whether a value that should hold no call names a governed tool: then the stream ends. */
  #namesGoverned(value: JsonRecord): boolean {
    if (this.#edits.tools === null || !namesGoverned(value, this.#edits.tools.governs)) return false;
    this.#output.fault('an event of unknown kind names a governed tool');
    return true;
  }

  #passText(event: StreamEvent, path: readonly string[], text: string, filtered: string): void {
    if (filtered === text || event.data === null) this.#output.pass(event.raw);
    else this.#output.pass(this.#framing.replace(event, this.#edited(event.data, path, filtered)));
  }

  #passTail(index: number, filter: TextFilter | null): void {
    const tail = filter?.finish() ?? '';
    if (tail !== '') this.#output.pass(this.#encode(this.#dialect.textDelta(index, tail)));
  }

  #refusal(index: number, text: string, stop: Buffer | null): Buffer {
    this.#refusedCalls += 1;
    const events = this.#dialect.textBlock(index, text).map((event) => this.#encode(event));
    return Buffer.concat([...events, stop ?? this.#encode(this.#dialect.stop(index))]);
  }

  /** The start of a call whose arguments are in a delta. */
  #emptyStart({ start, startInput }: HeldBlock): Buffer {
    const path = this.#dialect.startInputPath;
    if (startInput === '' || path === null || start.data === null) return start.raw;
    const span = findSpan(start.data, path);
    if (span === null) return start.raw;
    return this.#framing.replace(start, applyEdits(start.data, [{ ...span, text: '{}' }]));
  }

  #edited(data: Buffer, path: readonly string[], text: string): Buffer {
    const span = findSpan(data, path);
    return span === null ? data : applyEdits(data, [{ ...span, text: JSON.stringify(text) }]);
  }

  #encode({ name, value }: NewEvent): Buffer {
    return this.#framing.encode(name, JSON.stringify(value));
  }

  /** A block that begins with its first delta, where the format has such; else null. */
  #startedByDelta(index: number): OpenBlock | null {
    if (!this.#dialect.startsImplicitly || !this.#mayOpen()) return null;
    const block: OpenBlock = { kind: 'text', filter: this.#edits.text?.('text') ?? null };
    this.#open(index, block);
    return block;
  }

  #open(index: number, block: OpenBlock): void {
    this.#blocks.set(index, block);
    const isUnfiltered = block.kind !== 'text' || block.filter === null;
    this.#plain = isUnfiltered && block.kind !== 'passing' ? this.#dialect.plainPrefixes(index) : [];
  }

  #mayOpen(): boolean {
    if (this.#blocks.size < BLOCKS_MAX) return true;
    this.#output.fault(`the answer has more than ${BLOCKS_MAX} blocks`);
    return false;
  }

  #governs(name: string): boolean {
    return this.#edits.tools?.governs(name) ?? false;
  }
}
