/**
 * Deltas: agents send the whole conversation with every turn, and a hook has seen all but the last of
 * it. Where a document asks for it, a hook gets the body without the messages that it has let by
 * before, and a keyed hash that stands for them:
 *
 *   "request_body":  the body; its list of messages begins with the first new one
 *   "request_delta": { "member": "messages", "from": 12, "total": 14,
 *                      "prefix_hash": hex of messages 0..11, "hash": hex of messages 0..13,
 *                      "unchanged": { "tools": hex } }      large members that are left out as well
 *
 * `prefix_hash` equals the `hash` of an earlier call, so a hook can tell that nothing is missing. The
 * hash is a chain, `h[i + 1] = HMAC(key, h[i], message i)` over the message's bytes, and is worth
 * nothing without the key.
 *
 * Only what a hook answered with `allow` counts as seen. A turn that it blocked or changed comes
 * again, because the caller's own history still holds it as it was.
 */
import type { Clock, UnixMs } from '../../base/clock.ts';
import { keyedHash } from '../../crypto/index.ts';
import {
  type JsonMember,
  JsonScanError,
  type JsonSpan,
  scanJsonArray,
  scanJsonDocument,
} from '../../wire/json-scan.ts';
import { joined } from './json-join.ts';

export interface DeltaInfo {
  readonly member: string;
  readonly from: number;
  readonly total: number;
  readonly prefix_hash: string;
  readonly hash: string;
  readonly unchanged: Readonly<Record<string, string>>;
}

export interface DeltaPlan {
  readonly body: Buffer;
  readonly info: DeltaInfo;
  /** The hook let it by: next time it is not sent again. */
  readonly commit: () => void;
  /**
   * A body that the hook wrote in place of what it was sent, with what was left out put back; null
   * where it has no such list of messages to put it into. `changed` is a JSON object.
   */
  readonly restore: (changed: Buffer) => Buffer | null;
}

/** What of a conversation a hook has let by. */
interface Seen {
  readonly count: number;
  readonly hash: string;
  /** Hashes of large members other than the messages. */
  readonly members: ReadonlyMap<string, string>;
  readonly at: UnixMs;
}

/** Names under which formats keep a conversation. */
const LISTS = ['messages', 'input', 'contents'];
/** Members below this are sent each time. */
const MEMBER_MIN_BYTES = 1_024;
/** 128 bits, as hex. */
const HASH_HEX = 32;
const CONVERSATIONS_MAX = 10_000;
/** A hook's policy may change: after so long without a turn it sees everything again. */
const FORGET_MS = 3_600_000;

export class DeltaMemory {
  readonly #key: Uint8Array;
  readonly #clock: Clock;
  /** Used last, last. */
  readonly #seen = new Map<string, Seen>();

  constructor(key: Uint8Array, clock: Clock) {
    this.#key = key;
    this.#clock = clock;
  }

  /**
   * What to send of a body; null where it has no list of messages, so that it goes whole.
   * `conversation` names hook, event, caller, session and model; `everything` ignores what was seen.
   */
  plan(conversation: string, body: Buffer, everything: boolean): DeltaPlan | null {
    const read = readBody(body);
    if (read === null) return null;
    const { members, list, items } = read;
    const hashes = this.#chain(body, list.key, items);
    const large = new Map(
      members
        .filter((one) => one !== list && one.valueEnd - one.valueStart >= MEMBER_MIN_BYTES)
        .map((one) => [one.key, this.#hash(one.key, body.subarray(one.valueStart, one.valueEnd))]),
    );
    const seen = everything ? null : this.#recall(conversation);
    const isPrefix = seen !== null && hashes[seen.count] === seen.hash;
    const from = isPrefix ? seen.count : 0;
    const unchanged = [...large].filter(([name, hash]) => isPrefix && seen.members.get(name) === hash);
    const left = new Set(unchanged.map(([name]) => name));
    const hash = hashes.at(-1) ?? '';
    return {
      body: assemble(body, members, list, { items: slices(body, items.slice(from)), left }),
      info: {
        member: list.key,
        from,
        total: items.length,
        prefix_hash: hashes[from] ?? '',
        hash,
        unchanged: Object.fromEntries(unchanged),
      },
      commit: () => this.#remember(conversation, { count: items.length, hash, members: large }),
      restore: (changed) =>
        restore(changed, list.key, slices(body, items.slice(0, from)), {
          body,
          members: members.filter((one) => left.has(one.key)),
        }),
    };
  }

  /** Hashes of the first 0, 1, 2 … items. */
  #chain(body: Buffer, name: string, items: readonly JsonSpan[]): string[] {
    let link = keyedHash(this.#key, Buffer.from(name));
    const hashes = [toHex(link)];
    for (const item of items) {
      link = keyedHash(this.#key, link, body.subarray(item.start, item.end));
      hashes.push(toHex(link));
    }
    return hashes;
  }

  #hash(name: string, bytes: Uint8Array): string {
    return toHex(keyedHash(this.#key, Buffer.from('member'), Buffer.from(name), bytes));
  }

  #recall(conversation: string): Seen | null {
    const seen = this.#seen.get(conversation);
    if (seen === undefined) return null;
    if (this.#clock.now() - seen.at < FORGET_MS) return seen;
    this.#seen.delete(conversation);
    return null;
  }

  #remember(conversation: string, seen: Omit<Seen, 'at'>): void {
    this.#seen.delete(conversation);
    this.#seen.set(conversation, { ...seen, at: this.#clock.now() });
    if (this.#seen.size <= CONVERSATIONS_MAX) return;
    const [oldest] = this.#seen.keys();
    if (oldest !== undefined) this.#seen.delete(oldest);
  }
}

interface ReadBody {
  readonly members: readonly JsonMember[];
  readonly list: JsonMember;
  readonly items: readonly JsonSpan[];
}

/** Null for what is no object with one list of messages under distinct keys. */
function readBody(body: Buffer): ReadBody | null {
  try {
    const members = scanJsonDocument(body);
    if (new Set(members.map(({ key }) => key)).size !== members.length) return null;
    const list = members.find(({ key, valueStart }) => LISTS.includes(key) && body[valueStart] === 0x5b);
    return list === undefined ? null : { members, list, items: scanJsonArray(body, list.valueStart) };
  } catch (error) {
    if (error instanceof JsonScanError) return null;
    throw error;
  }
}

interface Kept {
  readonly items: readonly Buffer[];
  /** Members that are left out. */
  readonly left: ReadonlySet<string>;
}

/** The object with another list, and without some members; every other byte of a value as it was. */
function assemble(body: Buffer, members: readonly JsonMember[], list: JsonMember, kept: Kept): Buffer {
  const parts = members
    .filter(({ key }) => !kept.left.has(key))
    .map((one) =>
      one === list
        ? Buffer.concat([Buffer.from(`${JSON.stringify(one.key)}:`), joined('[', kept.items, ']')])
        : body.subarray(one.memberStart, one.valueEnd),
    );
  return joined('{', parts, '}');
}

function restore(
  changed: Buffer,
  name: string,
  prefix: readonly Buffer[],
  leftOut: { readonly body: Buffer; readonly members: readonly JsonMember[] },
): Buffer | null {
  const isWhole = prefix.length === 0 && leftOut.members.length === 0;
  if (isWhole) return changed;
  const read = readBody(changed);
  if (read === null || read.list.key !== name) return null;
  const { members, list, items } = read;
  const whole = assemble(changed, members, list, {
    items: [...prefix, ...slices(changed, items)],
    left: new Set(),
  });
  const own = new Set(members.map(({ key }) => key));
  const back = leftOut.members
    .filter(({ key }) => !own.has(key))
    .map((one) => leftOut.body.subarray(one.memberStart, one.valueEnd));
  // The object has at least the list, so what is put back follows a member.
  return back.length === 0 ? whole : joined('', [whole.subarray(0, -1), ...back], '}');
}

function slices(body: Buffer, spans: readonly JsonSpan[]): Buffer[] {
  return spans.map(({ start, end }) => body.subarray(start, end));
}

function toHex(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex').slice(0, HASH_HEX);
}
