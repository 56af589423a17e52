/** Writes batches of exchanges: rows, the sessions that they belong to, and captured bodies. */
import type { SQLInputValue } from 'node:sqlite';
import type { RequestRow } from '../shapes.ts';
import { BatchView, type PackedBatch } from './batch-transfer.ts';
import { BodyMemory, type ReadBody } from './bodies/body-memory.ts';
import { BodyWriter, type BodyKeys } from './bodies/body-store.ts';
import type { Database } from './database.ts';
import { REQUEST_CODEC } from './request-codec.ts';
import { conversationMember, SessionChains } from './session-chains.ts';

/** A row that is there already stays as it is. */
const INSERT = `INSERT INTO requests (${REQUEST_CODEC.columnList}) VALUES (${REQUEST_CODEC.placeholders})
  ON CONFLICT (id) DO NOTHING`;

function placeOf(field: keyof RequestRow): number {
  return REQUEST_CODEC.fields.findIndex(([name]) => name === field);
}

/** Where the values are that the writer looks at itself. */
const AT = {
  id: placeOf('id'),
  tailnet: placeOf('tailnet'),
  startedAt: placeOf('startedAt'),
  principal: placeOf('principal'),
  agent: placeOf('agent'),
  sessionId: placeOf('sessionId'),
  format: placeOf('format'),
  capture: placeOf('capture'),
} as const;

/** The values of one row, in the order of `REQUEST_CODEC`. */
type Values = SQLInputValue[];

/**
 * The writer of table `requests` and what belongs to it. There is one for a database, because it
 * remembers what it wrote: nobody else may remove body items or sessions meanwhile.
 */
export class RequestWriter {
  readonly #database: Database;
  readonly #keys: BodyKeys;
  readonly #chains: SessionChains;
  readonly #memory = new BodyMemory();

  constructor(database: Database, keys: BodyKeys) {
    this.#database = database;
    this.#keys = keys;
    this.#chains = new SessionChains(database, keys.bodyHashKey);
  }

  /** Writes a batch in one transaction; see `Store.appendRequests`. */
  append(packed: PackedBatch): void {
    const batch = new BatchView(packed);
    try {
      this.#database.transaction(() => this.#write(batch));
    } catch (error) {
      this.#chains.forget();
      this.#memory.forget();
      throw error;
    }
  }

  #write(batch: BatchView): void {
    const insert = this.#database.prepare(INSERT);
    const writer = new BodyWriter(this.#database, this.#keys);
    const values: Values = [];
    for (let row = 0; row < batch.rows; row += 1) {
      batch.readRow(row, values);
      const capture = values[AT.capture];
      const bodies = capture === 'full' ? batch.bodiesOf(row) : null;
      const read = bodies === null ? null : this.#read(values, bodies.request, true);
      if (values[AT.sessionId] === null && capture !== 'none') {
        const isRequest = bodies !== null && batch.isConversationTheRequest(row);
        values[AT.sessionId] = this.#sessionOf(values, batch.conversationOf(row), isRequest ? read : null);
      }
      if (insert.run(...values).changes === 0 || bodies === null || read === null) continue;
      const owner = {
        requestId: textAt(values, AT.id),
        tailnet: textAt(values, AT.tailnet),
        principal: textAt(values, AT.principal),
      };
      writer.add(owner, bodies, read);
    }
    writer.close();
    this.#chains.write(Number(values[AT.startedAt] ?? 0));
  }

  /** `known`: the conversation, if it was read as the captured request. */
  #sessionOf(values: Values, conversation: Buffer | null, known: ReadBody | null): string | null {
    const format = textAt(values, AT.format);
    if (conversation === null || conversationMember(format) === null) return null;
    const read = known ?? this.#read(values, conversation, false);
    const agent = values[AT.agent];
    const owner = {
      tailnet: textAt(values, AT.tailnet),
      principal: textAt(values, AT.principal),
      agent: typeof agent === 'string' ? agent : null,
      format,
      startedAt: Number(values[AT.startedAt] ?? 0),
    };
    return this.#chains.derive(owner, read, conversation);
  }

  #read(values: Values, bytes: Buffer, isWhole: boolean): ReadBody {
    const format = textAt(values, AT.format);
    // Bodies are compared with those of the same session, or where the caller names none, of the same program.
    const owner = JSON.stringify([
      values[AT.tailnet],
      values[AT.principal],
      values[AT.agent],
      values[AT.sessionId],
      format,
      isWhole,
    ]);
    return this.#memory.read(owner, bytes, { conversation: conversationMember(format), isWhole });
  }
}

/** A text that the schema wants; where it is missing, the insert fails. */
function textAt(values: Values, at: number): string {
  const value = values[at];
  return typeof value === 'string' ? value : '';
}
