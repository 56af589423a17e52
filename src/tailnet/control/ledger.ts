/**
 * The way to the store: changed records gather here, and one transaction writes all that have. Whoever
 * answers a device waits for `durable`, so that nothing is promised that a killed process forgets.
 */
import type { ControlStore, StoredRecord, StoredRecordName } from './ports.ts';
import type { RecordKind, RecordKinds } from './records.ts';

interface Change extends StoredRecordName {
  /** Null: deleted. */
  readonly record: object | null;
}

export class Ledger {
  readonly #store: ControlStore;
  readonly #onChange: (kind: RecordKind, tailnet: string, name: string) => void;
  #dirty = new Map<string, Change>();
  #running: Promise<void> | null = null;

  /** `onChange` is told of every record at once, long before it is durable; must not throw. */
  constructor(store: ControlStore, onChange: (kind: RecordKind, tailnet: string, name: string) => void) {
    this.#store = store;
    this.#onChange = onChange;
  }

  put<Kind extends RecordKind>(
    kind: Kind,
    tailnet: string,
    name: string | number,
    record: RecordKinds[Kind],
  ): void {
    this.#change(kind, { kind, tailnet, name: String(name), record });
  }

  delete(kind: RecordKind, tailnet: string, name: string | number): void {
    this.#change(kind, { kind, tailnet, name: String(name), record: null });
  }

  #change(kind: RecordKind, change: Change): void {
    this.#dirty.set(`${change.tailnet}\n${change.kind}\n${change.name}`, change);
    this.#onChange(kind, change.tailnet, change.name);
  }

  get isClean(): boolean {
    return this.#dirty.size === 0 && this.#running === null;
  }

  /**
   * Resolves when all that was changed before this call is in the store. Rejects if the store failed; what
   * was not written stays and goes with the next call.
   */
  async durable(): Promise<void> {
    /* A change that another caller's write took along may have failed with it: then it is dirty again. */
    while (this.#running !== null) await this.#running.catch(() => undefined);
    if (this.#dirty.size === 0) return;
    this.#running = this.#write().finally(() => {
      this.#running = null;
    });
    await this.#running;
  }

  async #write(): Promise<void> {
    const changes = this.#dirty;
    this.#dirty = new Map();
    const puts: StoredRecord[] = [];
    const deletes: StoredRecordName[] = [];
    for (const { tailnet, kind, name, record } of changes.values()) {
      if (record === null) deletes.push({ tailnet, kind, name });
      else puts.push({ tailnet, kind, name, body: JSON.stringify(record) });
    }
    try {
      await this.#store.writeControlRecords(puts, deletes);
    } catch (error) {
      for (const [key, change] of changes) if (!this.#dirty.has(key)) this.#dirty.set(key, change);
      throw error;
    }
  }
}
