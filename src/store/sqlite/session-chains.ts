/**
 * Sessions from identical prefixes. An agent's next request begins with the conversation of its
 * last one; so each conversation leaves the hash of all its elements (a chain over them), and a
 * new one looks for the longest of its own beginnings that the same principal left within a day.
 *
 * Only keyed hashes are kept. What providers ignore is left out of them: `cache_control` marks
 * move from turn to turn, and clients rewrite a text into a list of one text to attach one. System
 * prompts and tools that stand outside the conversation are left out too, because clients change
 * them within a session.
 */
import type { UnixMs } from '../../base/clock.ts';
import { newId } from '../../base/ids.ts';
import { systemRandom } from '../../base/random.ts';
import { canonicalJson, hashChainNext, keyedHash } from '../../crypto/index.ts';
import { JsonScanError, scanJsonObject, type JsonMember } from '../../wire/json-scan.ts';
import type { RequestRow } from '../shapes.ts';
import type { ChainLink, ReadBody } from './bodies/body-memory.ts';
import type { Outline } from './bodies/outline.ts';
import { intOf, textOf } from './columns.ts';
import type { Database } from './database.ts';

/** A conversation that rests longer begins a new session. */
const SESSION_GAP_MS: UnixMs = 24 * 3_600_000;
/** A larger element (a picture) is hashed as it is, not read. */
const ELEMENT_PARSE_BYTES_MAX = 256 * 1024;
const CHAIN_BYTES = 16;
/** Old chains removed at a time, so that no write waits for long. */
const PRUNE_ROWS = 1_000;
/** Ends of conversations kept in memory. */
const ENDS_MAX = 4_096;
/** Beginnings of chains kept in memory, one for each principal, program and format. */
const ROOTS_MAX = 1_000;
/** Only after so long is the time of an end written again: a restart may cut a rest of 24 hours by as much. */
const REFRESH_MS = 5 * 60_000;

/** The member that holds the conversation, for the formats that have one. */
const CONVERSATION_MEMBER: Readonly<Record<string, string>> = {
  openai_chat: 'messages',
  openai_responses: 'input',
  anthropic_messages: 'messages',
  gemini_generate_content: 'contents',
  google_generate_content: 'contents',
  google_raw_predict: 'messages',
  bedrock_model_invoke: 'messages',
  bedrock_converse: 'messages',
};

/** The format whose provider keeps conversations, and names them by the answer to go on from. */
const STATEFUL_FORMAT = 'openai_responses';

/** The member of a format's requests that holds the conversation; null if there is none. */
export function conversationMember(format: string): string | null {
  return Object.hasOwn(CONVERSATION_MEMBER, format) ? (CONVERSATION_MEMBER[format] ?? null) : null;
}

/** Where a conversation ended when it was last sent. */
interface ChainEnd {
  readonly chain: Uint8Array;
  session: string;
  at: UnixMs;
  /** `at` as the database has it. */
  storedAt: UnixMs;
}

export type ChainOwner = Pick<RequestRow, 'tailnet' | 'principal' | 'agent' | 'format' | 'startedAt'>;

/** Finds sessions, and remembers conversations for their next turn. One for each writing thread. */
export class SessionChains {
  readonly #database: Database;
  readonly #hashKey: Uint8Array;
  /** By chain, in the order of their last use. What is in `#unwritten` is here too. */
  readonly #ends = new Map<string, ChainEnd>();
  readonly #unwritten = new Set<ChainEnd>();
  readonly #roots = new Map<string, Uint8Array>();

  constructor(database: Database, hashKey: Uint8Array) {
    this.#database = database;
    this.#hashKey = hashKey;
  }

  /**
   * The session of an exchange whose caller named none; null if its format has no conversation or
   * the body holds none. `body` was read with `conversationMember`; `bytes` are all of it. Within a
   * transaction that ends with `write`.
   */
  derive(owner: ChainOwner, body: ReadBody, bytes: Buffer): string | null {
    if (body.outline === null) return null;
    this.#extend(owner, body, body.outline);
    const last = body.chain.at(-1);
    if (last === undefined) return null;
    const session =
      sessionOfResponse(this.#database, owner, bytes) ??
      this.#sessionOfPrefix(body.chain, owner.startedAt) ??
      newId('ses', { now: () => owner.startedAt, monotonicMs: () => 0 }, systemRandom);
    this.#note(last, session, owner.startedAt);
    return session;
  }

  /** Writes what `derive` learnt since, and forgets some of the ends that no new turn can find any more. */
  write(now: UnixMs): void {
    const statement = this.#database.prepare(
      `INSERT INTO session_chains (chain, session_id, at) VALUES (?, ?, ?)
       ON CONFLICT (chain) DO UPDATE SET session_id = excluded.session_id, at = max(at, excluded.at)`,
    );
    for (const end of this.#unwritten) {
      statement.run(end.chain, end.session, end.at);
      end.storedAt = end.at;
    }
    this.#unwritten.clear();
    shrink(this.#ends, ENDS_MAX);
    pruneChains(this.#database, now);
  }

  /** After a transaction that was rolled back. */
  forget(): void {
    this.#ends.clear();
    this.#unwritten.clear();
  }

  /** Adds the links that are missing: for each element, the hash over all up to it. */
  #extend(owner: ChainOwner, { bytes, chain }: ReadBody, { starts, ends }: Outline): void {
    let hash = chain.at(-1)?.hash ?? this.#rootOf(owner);
    for (let i = chain.length; i < starts.length; i += 1) {
      hash = hashChainNext(this.#hashKey, hash, normalise(bytes.subarray(starts[i], ends[i])));
      chain.push({ hash, key: Buffer.from(hash).toString('latin1', 0, CHAIN_BYTES) });
    }
  }

  /** A chain belongs to one principal and program. */
  #rootOf({ tailnet, principal, agent, format }: ChainOwner): Uint8Array {
    const name = JSON.stringify(['session-chain', tailnet, principal, agent, format]);
    const known = this.#roots.get(name);
    if (known !== undefined) return known;
    const root = keyedHash(this.#hashKey, Buffer.from(name, 'utf8'));
    this.#roots.set(name, root);
    shrink(this.#roots, ROOTS_MAX);
    return root;
  }

  #sessionOfPrefix(chain: readonly ChainLink[], at: UnixMs): string | null {
    for (let i = chain.length - 1; i >= 0; i -= 1) {
      const link = chain[i];
      const end = link === undefined ? null : this.#endAt(link);
      if (end !== null && end.at >= at - SESSION_GAP_MS) return end.session;
    }
    return null;
  }

  #endAt({ hash, key }: ChainLink): ChainEnd | null {
    const known = this.#ends.get(key);
    if (known !== undefined) return known;
    const chain = hash.subarray(0, CHAIN_BYTES);
    const row = this.#database
      .prepare('SELECT session_id, at FROM session_chains WHERE chain = ?')
      .get(chain);
    if (row === undefined) return null;
    const at = intOf(row, 'at');
    const end = { chain, session: textOf(row, 'session_id'), at, storedAt: at };
    this.#ends.set(key, end);
    return end;
  }

  #note({ hash, key }: ChainLink, session: string, at: UnixMs): void {
    const known = this.#ends.get(key);
    const end = known ?? { chain: hash.subarray(0, CHAIN_BYTES), session, at, storedAt: -Infinity };
    if (end.session !== session) end.storedAt = -Infinity;
    end.session = session;
    end.at = Math.max(end.at, at);
    this.#ends.delete(key);
    this.#ends.set(key, end);
    if (end.at - end.storedAt >= REFRESH_MS) this.#unwritten.add(end);
  }
}

/** Forgets some of the chains that no new turn can find any more. */
export function pruneChains(database: Database, now: UnixMs): void {
  database
    .prepare(
      `DELETE FROM session_chains WHERE chain IN
       (SELECT chain FROM session_chains WHERE at < ? ORDER BY at LIMIT ${PRUNE_ROWS})`,
    )
    .run(now - SESSION_GAP_MS);
}

/** Drops the oldest beyond `sizeMax`. */
function shrink(map: Map<string, unknown>, sizeMax: number): void {
  for (const key of map.keys()) {
    if (map.size <= sizeMax) return;
    map.delete(key);
  }
}

const IGNORED_KEYS: ReadonlySet<string> = new Set(['cache_control']);

/** The element without what does not matter; its own bytes if it cannot be read. */
function normalise(element: Buffer): Uint8Array {
  if (element.byteLength > ELEMENT_PARSE_BYTES_MAX) return element;
  try {
    const value: unknown = JSON.parse(element.toString('utf8'));
    return Buffer.from(canonicalJson(withContentList(value), IGNORED_KEYS), 'utf8');
  } catch {
    // Nested too deep; any stable bytes will do.
    return element;
  }
}

/** `content: "hi"` and `content: [{ type: "text", text: "hi" }]` mean the same. */
function withContentList(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('content' in value)) return value;
  const { content } = value;
  return typeof content === 'string' ? { ...value, content: [{ type: 'text', text: content }] } : value;
}

/** The session of the stored answer that a request goes on from (Responses API). */
function sessionOfResponse(database: Database, owner: ChainOwner, bytes: Buffer): string | null {
  if (owner.format !== STATEFUL_FORMAT || !bytes.includes('"previous_response_id"')) return null;
  const responseId = previousResponseId(bytes);
  if (responseId === null) return null;
  const found = database
    .prepare(
      `SELECT session_id FROM requests WHERE tailnet = ? AND response_id = ? AND principal = ?
       AND response_id IS NOT NULL AND format = '${STATEFUL_FORMAT}' AND session_id IS NOT NULL LIMIT 1`,
    )
    .get(owner.tailnet, responseId, owner.principal);
  return found === undefined ? null : textOf(found, 'session_id');
}

function previousResponseId(bytes: Buffer): string | null {
  try {
    const member = scanJsonObject(bytes).find(({ key }) => key === 'previous_response_id');
    return member === undefined ? null : readShortText(bytes, member);
  } catch (error) {
    if (error instanceof JsonScanError) return null;
    throw error;
  }
}

/** A text of at most 200 bytes; ids of answers have about 60. */
function readShortText(bytes: Buffer, { valueStart, valueEnd }: JsonMember): string | null {
  if (valueEnd - valueStart > 200) return null;
  const value: unknown = JSON.parse(bytes.toString('utf8', valueStart, valueEnd));
  return typeof value === 'string' ? value : null;
}
