/**
 * A session as a tree of turns. Agents send the whole conversation again with every turn, so each
 * request is taken as the items that it shares with others: every item is read once, and a turn shows
 * only what it adds to the turn that it goes on from. That turn is the one with which it has the longest
 * beginning in common: of forks, sub-agents and retries not always the one before.
 */
import type { Random } from '../../base/random.ts';
import {
  createRequestReader,
  parseObject,
  type ReadMessage,
  type ReadRequest,
} from '../../llm/conversation/index.ts';
import type { RequestRow, Store, StoredOutline } from '../../store/shapes.ts';

/** What is read of the store. */
export type ContentStore = Pick<Store, 'getOutlines' | 'getAnswers'>;

/** Requests in one question to the store. */
const ASKED_AT_ONCE = 100;
/** Items of all turns together that one reading holds. */
const BYTES_MAX = 96 * 1024 * 1024;
/** Placeholders stand at the top, in a list there, or one level below. */
const PLACES_DEPTH = 3;

/** `unreadable`: kept, but of a format that is no conversation, or damaged, or beyond the bound of bytes. */
export type TurnContent = 'kept' | 'not_kept' | 'unreadable';

export interface Turn {
  readonly row: RequestRow;
  readonly content: TurnContent;
  /** Null unless `kept`. */
  readonly request: ReadRequest | null;
  /** Id of the turn that it goes on from; null where it begins anew. */
  readonly parent: string | null;
  /** Messages that are the parent's. */
  readonly shared: number;
  /** System and tools are the parent's. */
  readonly sameSystem: boolean;
  readonly sameTools: boolean;
}

/** The turns of one session; `rows` from the oldest on. Rejects as the store does. */
export async function readTurns(
  { store, random }: { readonly store: ContentStore; readonly random: Random },
  tailnet: string,
  rows: readonly RequestRow[],
): Promise<readonly Turn[]> {
  const { outlines, items } = await readItems(store, tailnet, rows);
  const bodies = new BodyJoiner(items, Buffer.from(random.bytes(16)).toString('hex'));
  const reader = createRequestReader();
  const tree = new TurnTree();
  return rows.map((row) => {
    const outline = outlines.get(row.id);
    if (outline === undefined) return unread(row, 'not_kept');
    const body = bodies.join(outline);
    const request = body === null ? null : reader.read(row.format, body);
    if (request === null) return unread(row, 'unreadable');
    const goesOn = request.parameters['previous_response_id'];
    return tree.add(row, request, typeof goesOn === 'string' ? goesOn : null);
  });
}

function unread(row: RequestRow, content: TurnContent): Turn {
  return { row, content, request: null, parent: null, shared: 0, sameSystem: false, sameTools: false };
}

async function readItems(
  store: ContentStore,
  tailnet: string,
  rows: readonly RequestRow[],
): Promise<{
  readonly outlines: ReadonlyMap<string, StoredOutline>;
  readonly items: ReadonlyMap<number, Uint8Array>;
}> {
  const outlines = new Map<string, StoredOutline>();
  const items = new Map<number, Uint8Array>();
  const ids = rows.filter(({ capture }) => capture === 'full').map(({ id }) => id);
  let bytes = 0;
  for (let at = 0; at < ids.length && bytes < BYTES_MAX; at += ASKED_AT_ONCE) {
    const asked = ids.slice(at, at + ASKED_AT_ONCE);
    const answer = await store.getOutlines(tailnet, asked, [...items.keys()]);
    for (const request of answer.requests) outlines.set(request.requestId, request);
    for (const item of answer.items) {
      items.set(item.id, item.bytes);
      bytes += item.bytes.byteLength;
    }
  }
  return { outlines, items };
}

type JsonRecord = Readonly<Record<string, unknown>>;

/**
 * Puts bodies together from items without parsing any item twice: an item that is a whole JSON object
 * is parsed once, and stands in the bodies of all turns as a placeholder that nobody could have written.
 */
class BodyJoiner {
  readonly #items: ReadonlyMap<number, Uint8Array>;
  /** Name of the member that makes a placeholder. */
  readonly #tag: string;
  readonly #elements = new Map<number, { readonly frame: string; readonly value: unknown }>();

  constructor(items: ReadonlyMap<number, Uint8Array>, tag: string) {
    this.#items = items;
    this.#tag = tag;
  }

  /** Null for what is no JSON object, or not all there. */
  join({ items }: StoredOutline): JsonRecord | null {
    if (items.some((id) => !this.#items.has(id))) return null;
    const frames = items.map((id) => this.#element(id).frame).join('');
    const body = this.#resolve(parseText(frames), PLACES_DEPTH);
    if (isRecord(body)) return body;
    // A cut through a text (of more than a mebibyte) can leave pieces that look like objects.
    return parseObject(Buffer.concat(items.map((id) => this.#items.get(id) ?? new Uint8Array(0))));
  }

  /** The text that stands for an item in a body, and what it stands for. */
  #element(id: number): { readonly frame: string; readonly value: unknown } {
    const known = this.#elements.get(id);
    if (known !== undefined) return known;
    const text = Buffer.from(this.#items.get(id) ?? new Uint8Array(0)).toString('utf8');
    let start = 0;
    let end = text.length;
    while (start < end && isBetween(text.charAt(start))) start += 1;
    while (end > start && isBetween(text.charAt(end - 1))) end -= 1;
    const value = text.charAt(start) === '{' ? parseText(text.slice(start, end)) : undefined;
    const frame = isRecord(value) ? `${text.slice(0, start)}{"${this.#tag}":${id}}${text.slice(end)}` : text;
    const element = { frame, value };
    this.#elements.set(id, element);
    return element;
  }

  #resolve(value: unknown, depth: number): unknown {
    if (Array.isArray(value))
      return depth === 0 ? value : value.map((part: unknown) => this.#resolve(part, depth - 1));
    if (!isRecord(value)) return value;
    const id = value[this.#tag];
    if (typeof id === 'number') return this.#elements.get(id)?.value;
    if (depth === 0) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, part]) => [name, this.#resolve(part, depth - 1)]),
    );
  }
}

/** What may stand between two elements of a list. */
function isBetween(char: string): boolean {
  return char === ',' || char === ' ' || char === '\n' || char === '\r' || char === '\t';
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface Branch {
  readonly next: Map<number, Branch>;
  /** The last turn that came by. */
  last: Turn | null;
}

/** Finds the turn that each turn goes on from. */
class TurnTree {
  readonly #root: Branch = { next: new Map(), last: null };
  readonly #numbers = new Map<string, number>();
  readonly #ofMessage = new WeakMap<ReadMessage, number>();
  readonly #byResponse = new Map<string, Turn>();

  add(row: RequestRow, request: ReadRequest, previousResponseId: string | null): Turn {
    const path = request.messages.map((message) => this.#numberOf(message));
    let branch = this.#root;
    let shared = 0;
    for (const number of path) {
      const next = branch.next.get(number);
      if (next === undefined) break;
      branch = next;
      shared += 1;
    }
    const goesOn = previousResponseId === null ? undefined : this.#byResponse.get(previousResponseId);
    const parent = shared > 0 ? branch.last : (goesOn ?? null);
    const turn: Turn = {
      row,
      content: 'kept',
      request,
      parent: parent?.row.id ?? null,
      shared,
      sameSystem: parent?.request !== null && parent !== null && sameBlocks(parent.request, request),
      sameTools: parent?.request !== null && parent !== null && sameTools(parent.request, request),
    };
    this.#walk(path, turn);
    if (row.responseId !== null) this.#byResponse.set(row.responseId, turn);
    return turn;
  }

  #walk(path: readonly number[], turn: Turn): void {
    let branch = this.#root;
    for (const number of path) {
      const next = branch.next.get(number) ?? { next: new Map(), last: null };
      branch.next.set(number, next);
      branch = next;
      branch.last = turn;
    }
  }

  /** The same number for messages that say the same, whatever marks (of caches) they bear. */
  #numberOf(message: ReadMessage): number {
    const known = this.#ofMessage.get(message);
    if (known !== undefined) return known;
    const text = JSON.stringify(message);
    const number = this.#numbers.get(text) ?? this.#numbers.size;
    this.#numbers.set(text, number);
    this.#ofMessage.set(message, number);
    return number;
  }
}

/** Notes that a client writes anew into every request (a counter, a date) make a system of its own, and are shown. */
function sameBlocks(a: ReadRequest, b: ReadRequest): boolean {
  return (
    a.system.length === b.system.length && a.system.every((block, i) => block.text === b.system[i]?.text)
  );
}

function sameTools(a: ReadRequest, b: ReadRequest): boolean {
  return (
    a.tools.length === b.tools.length &&
    a.tools.every(({ name, description }, i) => {
      const other = b.tools[i];
      return name === other?.name && description === other.description;
    })
  );
}
