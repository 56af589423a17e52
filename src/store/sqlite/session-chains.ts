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
import { JsonScanError, scanJsonArray, scanJsonObject, type JsonMember } from '../../wire/json-scan.ts';
import type { RequestRow } from '../shapes.ts';
import { textOf } from './columns.ts';
import type { Database } from './database.ts';

/** A conversation that rests longer begins a new session. */
const SESSION_GAP_MS: UnixMs = 24 * 3_600_000;
/** Elements of a conversation that are looked at; the longest real ones have some 2,000. */
const ELEMENTS_MAX = 4_096;
/** A larger element (a picture) is hashed as it is, not read. */
const ELEMENT_PARSE_BYTES_MAX = 256 * 1024;
const CHAIN_BYTES = 16;
/** Old chains removed at a time, so that no write waits for long. */
const PRUNE_ROWS = 1_000;

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

/**
 * The session of an exchange whose caller named none, remembered for its next turn; null if its
 * format has no conversation or the body holds none. Within a transaction.
 */
export function deriveSession(
  database: Database,
  hashKey: Uint8Array,
  row: RequestRow,
  body: Uint8Array,
): string | null {
  const wanted = Object.hasOwn(CONVERSATION_MEMBER, row.format) ? CONVERSATION_MEMBER[row.format] : undefined;
  if (wanted === undefined) return null;
  const conversation = readConversation(body, wanted);
  if (conversation === null) return null;
  const chains = chainsOf(hashKey, row, conversation.elements);
  const last = chains.at(-1);
  if (last === undefined) return null;
  const session =
    sessionOfResponse(database, row, conversation.previousResponseId) ??
    sessionOfPrefix(database, chains, row.startedAt) ??
    newId('ses', { now: () => row.startedAt, monotonicMs: () => 0 }, systemRandom);
  database
    .prepare(
      `INSERT INTO session_chains (chain, session_id, at) VALUES (?, ?, ?)
       ON CONFLICT (chain) DO UPDATE SET session_id = excluded.session_id, at = max(at, excluded.at)`,
    )
    .run(last, session, row.startedAt);
  return session;
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

interface Conversation {
  /** Spans of the body. */
  readonly elements: readonly Uint8Array[];
  /** Where the provider keeps the conversation (Responses API), the answer that this one goes on from. */
  readonly previousResponseId: string | null;
}

function readConversation(body: Uint8Array, wanted: string): Conversation | null {
  try {
    const members = scanJsonObject(body);
    const member = members.find(({ key }) => key === wanted);
    if (member === undefined) return null;
    const previous = members.find(({ key }) => key === 'previous_response_id');
    return {
      elements: readElements(body, member),
      previousResponseId: previous === undefined ? null : readShortText(body, previous),
    };
  } catch (error) {
    if (error instanceof JsonScanError) return null;
    throw error;
  }
}

function readElements(body: Uint8Array, { valueStart, valueEnd }: JsonMember): Uint8Array[] {
  if (body[valueStart] !== OPEN_BRACKET) return [body.subarray(valueStart, valueEnd)];
  return scanJsonArray(body, valueStart)
    .slice(0, ELEMENTS_MAX)
    .map(({ start, end }) => body.subarray(start, end));
}

const OPEN_BRACKET = 0x5b;

/** A text of at most 200 bytes; ids of answers have about 60. */
function readShortText(body: Uint8Array, { valueStart, valueEnd }: JsonMember): string | null {
  if (valueEnd - valueStart > 200) return null;
  const value: unknown = JSON.parse(Buffer.from(body.subarray(valueStart, valueEnd)).toString('utf8'));
  return typeof value === 'string' ? value : null;
}

/** For each element, the hash over all up to it. A chain belongs to one principal and program. */
function chainsOf(hashKey: Uint8Array, row: RequestRow, elements: readonly Uint8Array[]): Uint8Array[] {
  const owner = JSON.stringify(['session-chain', row.tailnet, row.principal, row.agent, row.format]);
  let chain = keyedHash(hashKey, Buffer.from(owner, 'utf8'));
  return elements.map((element) => {
    chain = hashChainNext(hashKey, chain, normalise(element));
    return chain.subarray(0, CHAIN_BYTES);
  });
}

const IGNORED_KEYS: ReadonlySet<string> = new Set(['cache_control']);

/** The element without what does not matter; its own bytes if it cannot be read. */
function normalise(element: Uint8Array): Uint8Array {
  if (element.byteLength > ELEMENT_PARSE_BYTES_MAX) return element;
  try {
    const value: unknown = JSON.parse(Buffer.from(element).toString('utf8'));
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

function sessionOfResponse(database: Database, row: RequestRow, responseId: string | null): string | null {
  if (responseId === null) return null;
  const found = database
    .prepare(
      `SELECT session_id FROM requests WHERE tailnet = ? AND response_id = ? AND principal = ?
       AND session_id IS NOT NULL LIMIT 1`,
    )
    .get(row.tailnet, responseId, row.principal);
  return found === undefined ? null : textOf(found, 'session_id');
}

function sessionOfPrefix(database: Database, chains: readonly Uint8Array[], at: UnixMs): string | null {
  const statement = database.prepare('SELECT session_id FROM session_chains WHERE chain = ? AND at >= ?');
  for (let i = chains.length - 1; i >= 0; i -= 1) {
    const found = statement.get(chains[i] ?? null, at - SESSION_GAP_MS);
    if (found !== undefined) return textOf(found, 'session_id');
  }
  return null;
}
