/**
 * What deciding remembers beyond a restart: sealed, in the store, written after the answer and never waited
 * for. A process that is killed loses what was remembered within its last few milliseconds.
 */
import type { Clock } from '../base/clock.ts';
import { describeError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { deriveKey, hmacSha256, open, seal } from '../crypto/index.ts';
import type { Keeping } from '../gateway/index.ts';
import type { MemoryBounds, MemoryStore } from '../store/index.ts';

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;

/** How long and how much of each kind is kept. Providers keep responses for 30 days. */
const KINDS = {
  refusal: { forMs: 30 * DAY_MS, rowsMax: 20_000, bytesMax: 32 * MIB },
  verdict: { forMs: 30 * DAY_MS, rowsMax: 20_000, bytesMax: 16 * MIB },
  placeholder: { forMs: 30 * DAY_MS, rowsMax: 20_000, bytesMax: 8 * MIB },
  dead_letter: { forMs: 7 * DAY_MS, rowsMax: 200, bytesMax: 16 * MIB },
} as const;

export type MemoryKind = keyof typeof KINDS;

/** Rows of one write. */
const BATCH_MAX = 200;
/** Changes that wait for a store that does not answer; beyond them the oldest are lost, and that is said. */
const WAITING_MAX = 5_000;
/** 1 s between attempts at a store that fails. */
const RETRY_MS = 1_000;
/** Writes of a kind after which what is out of its bounds is dropped. */
const FORGET_EVERY = 1_000;

export interface DurableMemoryOptions {
  readonly tailnet: string;
  readonly store: MemoryStore;
  /** At least 32 bytes, the same at every start. */
  readonly key: Uint8Array;
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Logger;
}

export interface DurableMemory {
  keeping(kind: MemoryKind): Keeping;
  /** What was kept, oldest first; what cannot be opened any more is left out. Rejects as the store does. */
  load(kind: MemoryKind): Promise<readonly unknown[]>;
  /** Writes what waits, once. */
  close(): Promise<void>;
}

interface Change {
  readonly kind: MemoryKind;
  readonly name: string;
  /** JSON; null deletes. */
  readonly text: string | null;
}

export function openDurableMemory(options: DurableMemoryOptions): DurableMemory {
  const memory = new StoredMemory(options);
  return {
    keeping: (kind) => ({
      put: (name, value) => memory.change({ kind, name: memory.nameOf(name), text: JSON.stringify(value) }),
      delete: (name) => memory.change({ kind, name: memory.nameOf(name), text: null }),
    }),
    load: (kind) => memory.load(kind),
    close: () => memory.close(),
  };
}

class StoredMemory {
  readonly #options: DurableMemoryOptions;
  readonly #sealKey: Uint8Array;
  readonly #nameKey: Uint8Array;
  /** By kind and name, the latest change of each, oldest first. */
  #waiting = new Map<string, Change>();
  readonly #written = new Map<MemoryKind, number>();
  #flushing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;

  constructor(options: DurableMemoryOptions) {
    this.#options = options;
    this.#sealKey = deriveKey(options.key, 'postern/memory-seal/1');
    this.#nameKey = deriveKey(options.key, 'postern/memory-name/1');
  }

  /** Names hold callers and ids of providers: the store learns neither. */
  nameOf(name: readonly string[]): string {
    return Buffer.from(hmacSha256(this.#nameKey, Buffer.from(JSON.stringify(name)))).toString('base64url');
  }

  change(change: Change): void {
    const key = `${change.kind} ${change.name}`;
    this.#waiting.delete(key);
    this.#waiting.set(key, change);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > WAITING_MAX && oldest !== undefined) {
      this.#waiting.delete(oldest);
      this.#options.logger.error(
        'the store is too slow: what was decided about a call is forgotten at the next start',
        {},
      );
    }
    if (this.#retry === null) this.#flushing ??= this.#flush();
  }

  async load(kind: MemoryKind): Promise<readonly unknown[]> {
    const { store, tailnet, logger } = this.#options;
    const bounds = this.#boundsOf(kind);
    await store.forgetMemories(tailnet, kind, bounds);
    const rows = await store.listMemories(tailnet, kind, bounds);
    let unread = 0;
    const values = rows.flatMap(({ name, sealed }) => {
      try {
        const text = Buffer.from(open(this.#sealKey, sealed, contextOf(tailnet, kind, name))).toString(
          'utf8',
        );
        return [JSON.parse(text) as unknown];
      } catch {
        unread += 1;
        return [];
      }
    });
    if (unread > 0)
      logger.warn('what an earlier process remembered cannot be opened: was the master key changed?', {
        kind,
        rows: unread,
      });
    return values;
  }

  async close(): Promise<void> {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    await (this.#flushing ?? this.#flush());
    if (this.#retry !== null) clearTimeout(this.#retry);
  }

  async #flush(): Promise<void> {
    // What else is decided in this turn of the loop goes into the same write.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, BATCH_MAX);
      for (const [key] of batch) this.#waiting.delete(key);
      try {
        await this.#write(batch.map(([, change]) => change));
      } catch (error) {
        this.#options.logger.warn('what was decided could not be stored; it is tried again', {
          error: describeError(error),
        });
        this.#waiting = new Map([...batch, ...this.#waiting]);
        this.#retry = setTimeout(() => {
          this.#retry = null;
          this.#flushing ??= this.#flush();
        }, RETRY_MS).unref();
        break;
      }
    }
    this.#flushing = null;
  }

  async #write(changes: readonly Change[]): Promise<void> {
    const { store, tailnet, clock } = this.#options;
    const at = clock.now();
    const rows = changes.flatMap(({ kind, name, text }) =>
      text === null
        ? []
        : [
            {
              tailnet,
              kind,
              name,
              at,
              sealed: seal(this.#sealKey, Buffer.from(text), contextOf(tailnet, kind, name)),
            },
          ],
    );
    const gone = changes.filter(({ text }) => text === null);
    if (rows.length > 0) await store.putMemories(rows);
    if (gone.length > 0) await store.deleteMemories(tailnet, gone);
    for (const { kind } of rows) await this.#count(kind);
  }

  async #count(kind: MemoryKind): Promise<void> {
    const written = (this.#written.get(kind) ?? 0) + 1;
    this.#written.set(kind, written % FORGET_EVERY);
    if (written === FORGET_EVERY)
      await this.#options.store.forgetMemories(this.#options.tailnet, kind, this.#boundsOf(kind));
  }

  #boundsOf(kind: MemoryKind): MemoryBounds {
    const { forMs, rowsMax, bytesMax } = KINDS[kind];
    return { before: this.#options.clock.now() - forMs, rowsMax, bytesMax };
  }
}

function contextOf(tailnet: string, kind: string, name: string): string {
  return JSON.stringify(['memory', tailnet, kind, name]);
}
