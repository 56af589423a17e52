/**
 * The outline of a request body: where its members and the elements of its conversation end, found
 * by one walk over the bytes. An agent sends the same beginning on every turn and mostly the same
 * end, so the walk can begin at the last place up to which a former body is the same, and stops
 * where the rest is the same again.
 *
 * Cuts (DESIGN section 8: what is sent again is the same item every time) fall behind each element
 * of the conversation's arrays and around other large members. Any cuts are right: the body is its
 * items in order, byte for byte; good cuts only save space.
 */
import { JsonScanError, scanJsonArray, skipJsonValue } from '../../../wire/json-scan.ts';

/** Members whose elements stay the same from turn to turn, in all formats. */
const CONVERSATION_ARRAYS: ReadonlySet<string> = new Set([
  'messages',
  'input',
  'contents',
  'system',
  'tools',
]);
/** Other members (instructions, schemas) of this size are items by themselves. */
const MEMBER_BYTES_MIN = 512;
/** More cuts than this are a sign of an odd body, and cost more than they save. */
const CUTS_MAX = 20_000;
/** Elements of a conversation that are looked at; the longest real ones have some 2,000. */
const ELEMENTS_MAX = 4_096;
/** The longest key of interest has 8 characters, which take 50 bytes if each is escaped. */
const KEY_BYTES_MAX = 64;
/** Members that a body may have; real requests have about 30. */
const MEMBERS_MAX = 4_096;

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const QUOTE = 0x22;
const COLON = 0x3a;
const COMMA = 0x2c;

/** What a stop stands in, besides the outermost object. */
const IN_OBJECT = 0;
const IN_ARRAY = 1;
/** The array is the conversation that was asked for. */
const IN_CONVERSATION = 2;

/** All lists ascend. */
export interface Outline {
  /** Offsets to cut at. */
  readonly cuts: number[];
  /** Elements of the conversation, without white space. */
  readonly starts: number[];
  readonly ends: number[];
  /** Offsets at which the walk can go on: behind a member, or behind an element. */
  readonly stops: number[];
  /** For each stop: in what it stands, and how many cuts and elements come up to it. */
  readonly places: number[];
  readonly cutCounts: number[];
  readonly elementCounts: number[];
}

/** What is asked of a walk; the same of a body and of the former one. */
export interface OutlineQuestion {
  /** The member that holds the conversation; null if the format has none. */
  readonly conversation: string | null;
  /** False: stop behind the conversation. */
  readonly isWhole: boolean;
}

/** A former body, which is the same up to its stop `upTo`, where in both a value ends. */
export interface FormerBody {
  readonly bytes: Buffer;
  readonly outline: Outline;
  readonly upTo: number;
}

export interface OutlineResult {
  readonly outline: Outline;
  /** From this offset on the body is the end of the former one; its length if it is not. */
  readonly sameFrom: number;
  /** Up to where the answer depends on the bytes: behind the conversation, or all. */
  readonly end: number;
}

/** The outline of a body; null if it is no JSON object, or an odd one. */
export function outlineOf(
  bytes: Buffer,
  question: OutlineQuestion,
  former: FormerBody | null,
): OutlineResult | null {
  try {
    return new Walk(bytes, question, former).run();
  } catch (error) {
    if (error instanceof JsonScanError) return null;
    throw error;
  }
}

class Walk {
  readonly #bytes: Buffer;
  readonly #question: OutlineQuestion;
  readonly #former: FormerBody | null;
  readonly #outline: Outline;
  /** The stop of the former body that comes next. */
  #formerStop: number;
  #sameFrom: number;
  #end: number;

  constructor(bytes: Buffer, question: OutlineQuestion, former: FormerBody | null) {
    this.#bytes = bytes;
    this.#question = question;
    this.#former = former;
    this.#outline = former === null ? EMPTY() : headOf(former.outline, former.upTo);
    this.#formerStop = former?.upTo ?? 0;
    this.#sameFrom = bytes.length;
    this.#end = bytes.length;
  }

  run(): OutlineResult {
    const result = (): OutlineResult => ({
      outline: this.#outline,
      sameFrom: this.#sameFrom,
      end: this.#end,
    });
    let at: number;
    if (this.#former === null) {
      at = this.#skipSpace(0);
      if (this.#bytes[at] !== OPEN_BRACE) throw odd('expected an object', at);
      at = this.#skipSpace(at + 1);
      if (this.#bytes[at] === CLOSE_BRACE) {
        this.#finish(at + 1);
        return result();
      }
      at = this.#member(at);
    } else {
      at = this.#outline.stops.at(-1) ?? 0;
      const place = this.#outline.places.at(-1) ?? IN_OBJECT;
      if (place !== IN_OBJECT) at = this.#elements(at, place);
    }
    for (let members = 0; at !== DONE; members += 1) {
      at = this.#skipSpace(at);
      if (this.#bytes[at] === CLOSE_BRACE) {
        this.#finish(at + 1);
        break;
      }
      if (this.#bytes[at] !== COMMA || members > MEMBERS_MAX) throw odd('expected "," or "}"', at);
      at = this.#member(this.#skipSpace(at + 1));
    }
    return result();
  }

  /** Reads the member at `at`; gives the offset behind it, or `DONE`. */
  #member(at: number): number {
    if (this.#bytes[at] !== QUOTE) throw odd('expected a key in double quotes', at);
    const keyEnd = skipJsonValue(this.#bytes, at);
    const key = keyOf(this.#bytes, at, keyEnd);
    const colon = this.#skipSpace(keyEnd);
    if (this.#bytes[colon] !== COLON) throw odd('expected ":"', colon);
    const start = this.#skipSpace(colon + 1);
    const isConversation = key === this.#question.conversation && this.#outline.starts.length === 0;
    if (CONVERSATION_ARRAYS.has(key) && this.#bytes[start] === OPEN_BRACKET) {
      const first = this.#skipSpace(start + 1);
      // Arrays of strings or token numbers (embeddings) are not cut.
      if (this.#bytes[first] === OPEN_BRACE) {
        this.#outline.cuts.push(first);
        const place = isConversation ? IN_CONVERSATION : IN_ARRAY;
        const next = this.#element(first, place);
        return next === DONE ? DONE : this.#elements(next, place);
      }
    }
    const end = skipJsonValue(this.#bytes, start);
    if (isConversation) this.#noteOther(start, end);
    if (end - start >= MEMBER_BYTES_MIN) this.#outline.cuts.push(start, end);
    return isConversation && !this.#question.isWhole ? this.#finish(end) : this.#stop(end, IN_OBJECT);
  }

  /** Reads on behind an element at `at`; gives the offset behind the array, or `DONE`. */
  #elements(at: number, place: number): number {
    for (let next = at; next !== DONE;) {
      const mark = this.#skipSpace(next);
      if (this.#bytes[mark] === CLOSE_BRACKET) {
        const isLast = place === IN_CONVERSATION && !this.#question.isWhole;
        return isLast ? this.#finish(mark + 1) : this.#stop(mark + 1, IN_OBJECT);
      }
      if (this.#bytes[mark] !== COMMA) throw odd('expected "," or "]"', mark);
      next = this.#element(this.#skipSpace(mark + 1), place);
    }
    return DONE;
  }

  #element(start: number, place: number): number {
    const { cuts, starts, ends } = this.#outline;
    const end = skipJsonValue(this.#bytes, start);
    if (cuts.length >= CUTS_MAX) throw odd('too many elements', start);
    // The comma belongs to the element behind it, so that a longer array begins with the same items.
    cuts.push(end);
    if (place === IN_CONVERSATION && starts.length < ELEMENTS_MAX) {
      starts.push(start);
      ends.push(end);
    }
    return this.#stop(end, place);
  }

  /** A conversation that is no array of objects: a text, or an array of texts. */
  #noteOther(start: number, end: number): void {
    const { starts, ends } = this.#outline;
    if (this.#bytes[start] !== OPEN_BRACKET) {
      starts.push(start);
      ends.push(end);
      return;
    }
    for (const element of scanJsonArray(this.#bytes, start).slice(0, ELEMENTS_MAX)) {
      starts.push(element.start);
      ends.push(element.end);
    }
  }

  /** Of a body that is cut into items, what follows its end is part of it too. */
  #finish(end: number): number {
    if (!this.#question.isWhole) this.#end = end;
    return DONE;
  }

  /** Notes a stop; `DONE` if from here on the body is as the former one. */
  #stop(at: number, place: number): number {
    const { stops, places, cutCounts, elementCounts, cuts, starts } = this.#outline;
    stops.push(at);
    places.push(place);
    cutCounts.push(cuts.length);
    elementCounts.push(starts.length);
    return this.#former !== null && this.#question.isWhole && this.#joins(this.#former, at, place)
      ? DONE
      : at;
  }

  #joins({ bytes, outline }: FormerBody, at: number, place: number): boolean {
    const shift = this.#bytes.length - bytes.length;
    const { stops, places } = outline;
    while ((stops[this.#formerStop] ?? Infinity) < at - shift) this.#formerStop += 1;
    const index = this.#formerStop;
    if (stops[index] !== at - shift || places[index] !== place) return false;
    if (!this.#countsAlike(outline, index)) return false;
    if (this.#bytes.compare(bytes, at - shift, bytes.length, at, this.#bytes.length) !== 0) return false;
    this.#sameFrom = at;
    this.#appendTail(outline, index, shift);
    return true;
  }

  /** Whether a walk from here would find what it found there: the limits and the first conversation are the same. */
  #countsAlike({ cuts, starts, cutCounts, elementCounts }: Outline, stop: number): boolean {
    const formerElements = elementCounts[stop] ?? 0;
    const elements = this.#outline.starts.length;
    return (
      elements > 0 === formerElements > 0 &&
      this.#outline.cuts.length + cuts.length - (cutCounts[stop] ?? 0) < CUTS_MAX &&
      Math.max(starts.length, elements + starts.length - formerElements) < ELEMENTS_MAX
    );
  }

  #appendTail(from: Outline, stop: number, shift: number): void {
    const to = this.#outline;
    const cutShift = to.cuts.length - (from.cutCounts[stop] ?? 0);
    const elementShift = to.starts.length - (from.elementCounts[stop] ?? 0);
    append(to.cuts, from.cuts, from.cutCounts[stop] ?? 0, shift);
    append(to.starts, from.starts, from.elementCounts[stop] ?? 0, shift);
    append(to.ends, from.ends, from.elementCounts[stop] ?? 0, shift);
    append(to.stops, from.stops, stop + 1, shift);
    append(to.places, from.places, stop + 1, 0);
    append(to.cutCounts, from.cutCounts, stop + 1, cutShift);
    append(to.elementCounts, from.elementCounts, stop + 1, elementShift);
  }

  #skipSpace(start: number): number {
    let at = start;
    let byte = this.#bytes[at];
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) {
      at += 1;
      byte = this.#bytes[at];
    }
    return at;
  }
}

/** Offset of a walk that is at its end. */
const DONE = -1;

const EMPTY = (): Outline => ({
  cuts: [],
  starts: [],
  ends: [],
  stops: [],
  places: [],
  cutCounts: [],
  elementCounts: [],
});

/** What an outline holds up to and with one of its stops. */
function headOf(outline: Outline, stop: number): Outline {
  const elements = outline.elementCounts[stop] ?? 0;
  return {
    cuts: outline.cuts.slice(0, outline.cutCounts[stop]),
    starts: outline.starts.slice(0, elements),
    ends: outline.ends.slice(0, elements),
    stops: outline.stops.slice(0, stop + 1),
    places: outline.places.slice(0, stop + 1),
    cutCounts: outline.cutCounts.slice(0, stop + 1),
    elementCounts: outline.elementCounts.slice(0, stop + 1),
  };
}

function append(to: number[], from: readonly number[], start: number, shift: number): void {
  for (let i = start; i < from.length; i += 1) to.push((from[i] ?? 0) + shift);
}

/** The key whose quotes are at `start` and before `end`; '' for one that is too long to be of interest. */
function keyOf(bytes: Buffer, start: number, end: number): string {
  if (end - start > KEY_BYTES_MAX) return '';
  const key = bytes.toString('latin1', start + 1, end - 1);
  return key.includes('\\') ? String(JSON.parse(bytes.toString('utf8', start, end))) : key;
}

function odd(message: string, offset: number): JsonScanError {
  return new JsonScanError('json_invalid', message, offset);
}
