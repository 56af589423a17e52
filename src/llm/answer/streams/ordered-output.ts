/**
 * The order of an edited stream: what passes goes out at once while nothing is held; behind a held
 * call everything waits its turn. Several calls may be held side by side.
 */
import type { AnswerEdits, RefusedCall, ToolCall, ToolVerdict } from '../editor.ts';
import { NO_BYTES } from './framing.ts';

/** A call that is whole and to be decided. */
export interface DecidedCall extends ToolCall {
  /** The call as the provider wrote it, for `RefusedCall.original`; absent where no later turn needs it. */
  readonly original?: string;
}

/** What must be known of a call from its first event on. */
export interface HeldCall {
  readonly id: string | null;
  readonly name: string;
  /** As `DecidedCall.original`, as far as it is known at the start. */
  readonly original?: string;
  /** What is sent in its place if it grows beyond the limit before it is whole. */
  readonly refuse: (text: string) => Buffer;
  /** Further calls that are kept in the same place and go with it; absent where there are none. */
  readonly others?: () => readonly { readonly id: string | null; readonly name: string }[];
}

/** A place in the stream that is kept free until its calls are decided. */
export interface HeldPlace {
  /** Adds bytes to what is held. They are copied. */
  keep(raw: Buffer): void;
  /** Whether it was filled; an open call that was beyond the limit is, and its further events are to be dropped. */
  readonly isSettled: boolean;
  /**
   * Asks the gate about calls that are whole, in order. When all are decided and everything before
   * has gone, `render` gives what is sent: `held` as it is if all are allowed and nothing else is to
   * change. Called once.
   */
  decide(
    calls: readonly DecidedCall[],
    render: (verdicts: readonly ToolVerdict[], held: Buffer) => Buffer,
  ): void;
}

/** Where a reader of a dialect puts what it read. */
export interface EditOutput {
  /** Sends bytes in their turn. */
  pass(raw: Buffer): void;
  /** Sends, in its turn, what `render` then gives: for events that depend on earlier decisions. */
  passLater(raw: Buffer, render: () => Buffer): void;
  /** Keeps a place. Null: several calls in one place, or one that is decided at once. */
  hold(open: HeldCall | null): HeldPlace;
  /** The stream cannot be governed. The first reason counts; nothing that waits is sent. Safe to show. */
  fault(reason: string): void;
}

/** Most bytes held where only text is edited and no gate sets a limit. */
const HELD_DEFAULT_MAX_BYTES = 8 << 20;
/** Instead of an empty refusing text: providers refuse empty text in a history. */
const REFUSED_TEXT = 'refused by policy';

interface Item {
  bytes: number;
  /** The bytes to send; null while they are not known. */
  take(): Buffer | null;
}

export class OrderedOutput implements EditOutput {
  readonly refused: RefusedCall[] = [];
  readonly #edits: AnswerEdits;
  readonly #heldMaxBytes: number;
  readonly #waiting: Item[] = [];
  readonly #places = new Set<Place>();
  #ready: Buffer[] = [];
  #heldBytes = 0;
  #fault: string | null = null;

  constructor(edits: AnswerEdits) {
    this.#edits = edits;
    this.#heldMaxBytes = edits.tools?.heldMaxBytes ?? HELD_DEFAULT_MAX_BYTES;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get faulted(): string | null {
    return this.#fault;
  }

  /** Whether a call is kept whose events have not all come. */
  get hasOpenPlace(): boolean {
    return [...this.#places].some((place) => !place.isAsked);
  }

  /** The first decision that is awaited, or null. */
  get awaited(): Promise<void> | null {
    for (const place of this.#places) {
      if (place.isAsked) return place.settled;
    }
    return null;
  }

  pass(raw: Buffer): void {
    if (this.#fault !== null) return;
    if (this.#waiting.length === 0) {
      this.#send(raw);
      return;
    }
    const copy = Buffer.from(raw);
    this.#wait({ bytes: copy.length, take: () => copy });
  }

  passLater(raw: Buffer, render: () => Buffer): void {
    if (this.#fault !== null) return;
    if (this.#waiting.length === 0) this.#send(render());
    else this.#wait({ bytes: raw.length, take: render });
  }

  hold(open: HeldCall | null): HeldPlace {
    const place = new Place(this, open);
    if (this.#fault !== null) return place;
    this.#places.add(place);
    this.#wait(place);
    return place;
  }

  fault(reason: string): void {
    this.#fault ??= reason;
    this.#waiting.length = 0;
    this.#heldBytes = 0;
    for (const place of this.#places) place.drop();
    this.#places.clear();
  }

  /** What may go out now. */
  take(): Buffer {
    const [first] = this.#ready;
    if (first === undefined) return NO_BYTES;
    const sent = this.#ready.length === 1 ? first : Buffer.concat(this.#ready);
    this.#ready = [];
    return sent;
  }

  /** For places: more bytes are held. */
  grew(bytes: number): void {
    this.#heldBytes += bytes;
    this.#checkLimit();
  }

  /** For places: asks the gate; without one everything is allowed. */
  ask(call: ToolCall): ToolVerdict | Promise<ToolVerdict> {
    return this.#edits.tools?.decide(call) ?? { action: 'allow' };
  }

  /** For places: one is filled. */
  filled(place: Place, refused: readonly RefusedCall[]): void {
    this.#places.delete(place);
    this.refused.push(...refused);
    this.#drain();
  }

  #wait(item: Item): void {
    this.#waiting.push(item);
    this.#heldBytes += item.bytes;
    this.#checkLimit();
  }

  #checkLimit(): void {
    if (this.#heldBytes <= this.#heldMaxBytes) return;
    const tools = this.#edits.tools;
    if (tools === null) {
      this.fault(`a call holds back more than ${this.#heldMaxBytes} bytes`);
      return;
    }
    for (const place of this.#places) place.refuse(tools.tooLargeText);
  }

  #drain(): void {
    let count = 0;
    for (const item of this.#waiting) {
      const { bytes } = item;
      const ready = this.#render(item);
      if (ready === null) break;
      this.#heldBytes -= bytes;
      this.#send(ready);
      count += 1;
    }
    this.#waiting.splice(0, count);
  }

  #render(item: Item): Buffer | null {
    try {
      return item.take();
    } catch {
      this.fault('a decided tool call could not be written');
      return null;
    }
  }

  /** Adds a piece; one that follows the last piece in memory is joined to it without a copy. */
  #send(raw: Buffer): void {
    if (raw.length === 0) return;
    const last = this.#ready.at(-1);
    if (
      last !== undefined &&
      last.buffer === raw.buffer &&
      last.byteOffset + last.length === raw.byteOffset
    ) {
      this.#ready[this.#ready.length - 1] = Buffer.from(
        raw.buffer,
        last.byteOffset,
        last.length + raw.length,
      );
    } else {
      this.#ready.push(raw);
    }
  }
}

type Render = (verdicts: readonly ToolVerdict[], held: Buffer) => Buffer;

class Place implements HeldPlace, Item {
  bytes = 0;
  readonly #output: OrderedOutput;
  readonly #open: HeldCall | null;
  readonly #settled = Promise.withResolvers<void>();
  #kept: Buffer[] = [];
  #calls: readonly DecidedCall[] | null = null;
  #verdicts: readonly (ToolVerdict | null)[] = [];
  #render: Render | null = null;
  /** What fills the place, to be called when its turn has come. */
  #filling: (() => Buffer) | null = null;
  #dropped = false;

  constructor(output: OrderedOutput, open: HeldCall | null) {
    this.#output = output;
    this.#open = open;
  }

  get isSettled(): boolean {
    return this.#filling !== null || this.#dropped;
  }

  get isAsked(): boolean {
    return this.#calls !== null;
  }

  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  keep(raw: Buffer): void {
    if (this.isSettled) return;
    this.#kept.push(Buffer.from(raw));
    this.bytes += raw.length;
    this.#output.grew(raw.length);
  }

  decide(calls: readonly DecidedCall[], render: Render): void {
    if (this.isSettled) return;
    this.#calls = calls;
    this.#render = render;
    this.#verdicts = calls.map(() => null);
    calls.forEach((call, i) => {
      const verdict = this.#output.ask(call);
      if (!(verdict instanceof Promise)) {
        this.#set(i, verdict);
        return;
      }
      verdict.then(
        (value) => this.#decided(i, value),
        () => this.#output.fault('a decision on a tool call failed'),
      );
    });
    this.#fillIfDecided();
  }

  /** What is not decided yet is refused. */
  refuse(text: string): void {
    if (this.isSettled) return;
    const said = text === '' ? REFUSED_TEXT : text;
    if (this.#calls !== null) {
      this.#verdicts = this.#verdicts.map((verdict) => verdict ?? { action: 'deny', text: said });
      this.#fillIfDecided();
      return;
    }
    const open = this.#open;
    if (open === null) return;
    const { id, name, original } = open;
    const others = (open.others?.() ?? []).map((call) => ({ ...call, text: said }));
    this.#kept = [];
    this.#fill(
      () => open.refuse(said),
      [...others, { id, name, text: said, ...(original === undefined ? {} : { original }) }],
    );
  }

  drop(): void {
    this.#dropped = true;
    this.#kept = [];
    this.#settled.resolve();
  }

  take(): Buffer | null {
    return this.#filling === null ? null : this.#filling();
  }

  #set(i: number, verdict: ToolVerdict): void {
    const said: ToolVerdict =
      verdict.action === 'deny' && verdict.text === '' ? { action: 'deny', text: REFUSED_TEXT } : verdict;
    this.#verdicts = this.#verdicts.with(i, said);
  }

  #decided(i: number, verdict: ToolVerdict): void {
    if (this.isSettled) return;
    this.#set(i, verdict);
    this.#fillIfDecided();
  }

  #fillIfDecided(): void {
    const render = this.#render;
    const verdicts = this.#verdicts.filter((verdict) => verdict !== null);
    if (this.isSettled || render === null || verdicts.length < this.#verdicts.length) return;
    const refused = (this.#calls ?? []).flatMap(({ id, name, original }, i): RefusedCall[] => {
      const verdict = verdicts[i];
      if (verdict?.action !== 'deny') return [];
      return [{ id, name, text: verdict.text, ...(original === undefined ? {} : { original }) }];
    });
    const kept = this.#kept;
    this.#fill(() => render(verdicts, Buffer.concat(kept)), refused);
  }

  #fill(filling: () => Buffer, refused: readonly RefusedCall[]): void {
    this.#filling = filling;
    this.#settled.resolve();
    this.#output.filled(this, refused);
  }
}
