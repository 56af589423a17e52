/**
 * Who made which provider object. Ids are learned from answers, kept in memory for the request
 * path and in the store for the next start. An id that is in neither belongs to nobody and is refused.
 *
 * Kinds that can be listed are few and all in memory. Of the others (a stored response comes with
 * every request) only the latest are; older ones are looked up in the store when they are named.
 */
import { describeError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { OwnedObject, OwnedObjectName } from '../../store/index.ts';
import type { BatchLines } from './batch-lines.ts';

export interface OwnersStore {
  listOwnedObjects(tailnet: string, kinds?: readonly string[]): Promise<readonly OwnedObject[]>;
  findOwnedObject(tailnet: string, kind: string, objectId: string): Promise<OwnedObject | null>;
  /** Returns those of which another principal is the first maker; they are not kept. */
  putOwnedObjects(objects: readonly OwnedObject[]): Promise<readonly OwnedObject[]>;
  deleteOwnedObjects(tailnet: string, objects: readonly OwnedObjectName[]): Promise<void>;
}

export interface Owners {
  /** The object if this principal made it; null if it is unknown or another's. A promise only where the store is asked. */
  find(principal: string, kind: string, objectId: string): OwnedObject | null | Promise<OwnedObject | null>;
  /** All objects of a principal of one listed kind. */
  ownedBy(principal: string, kind: string): ReadonlyMap<string, OwnedObject>;
  /** The first maker stays; for the maker's own object, facts that were not known are added. */
  learn(object: OwnedObject): void;
  /** The object is gone at its provider. */
  forget(object: OwnedObject): void;
  /** What the lines of a file ask for that this process has seen; null for others. */
  linesOf(object: OwnedObjectName): BatchLines | null;
  /** Notes it, for as long as this process has room. */
  keepLines(object: OwnedObjectName, lines: BatchLines): void;
  /** Writes what is not yet stored. */
  flush(): Promise<void>;
}

/** Kinds of which providers give lists. */
export const LISTED_KINDS: readonly string[] = ['file', 'batch', 'message_batch', 'container', 'cache'];

/** 20 ms: an id is durable about when its caller has read it. */
const FLUSH_DELAY_MS = 20;
/** A store that failed is tried again after so long. */
const RETRY_DELAY_MS = 1000;
/** Objects of unlisted kinds in memory, about 300 bytes each. */
const RECENT_MAX = 100_000;

/** Input files whose lines are remembered, about 200 bytes for each model of one. */
const LINES_MAX = 10_000;

export async function loadOwners(store: OwnersStore, tailnet: string, logger: Logger): Promise<Owners> {
  const owners = new StoredOwners(store, tailnet, logger);
  await owners.load();
  return owners;
}

class StoredOwners implements Owners {
  readonly #store: OwnersStore;
  readonly #tailnet: string;
  readonly #logger: Logger;
  /** Objects of listed kinds, and by owner and kind. */
  readonly #listed = new Map<string, OwnedObject>();
  readonly #byOwner = new Map<string, Map<string, OwnedObject>>();
  /** The latest of the other kinds, oldest first. */
  readonly #recent = new Map<string, OwnedObject>();
  /** By provider and id, oldest first. */
  readonly #lines = new Map<string, BatchLines>();
  readonly #toPut = new Map<string, OwnedObject>();
  readonly #toDelete = new Map<string, OwnedObject>();
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(store: OwnersStore, tailnet: string, logger: Logger) {
    this.#store = store;
    this.#tailnet = tailnet;
    this.#logger = logger;
  }

  async load(): Promise<void> {
    for (const object of await this.#store.listOwnedObjects(this.#tailnet, LISTED_KINDS)) this.#hold(object);
  }

  find(principal: string, kind: string, objectId: string): OwnedObject | null | Promise<OwnedObject | null> {
    const name = nameOf(kind, objectId);
    const held = this.#held(name);
    const isListed = LISTED_KINDS.includes(kind);
    // What is not written yet may be an id that the store knows as another's.
    if (held !== undefined && (isListed || !this.#toPut.has(name)))
      return held.principal === principal ? held : null;
    if (isListed || this.#toDelete.has(name)) return null;
    return this.#findStored(principal, kind, objectId);
  }

  ownedBy(principal: string, kind: string): ReadonlyMap<string, OwnedObject> {
    return this.#byOwner.get(nameOf(principal, kind)) ?? new Map();
  }

  learn(object: OwnedObject): void {
    const name = nameOf(object.kind, object.objectId);
    const known = this.#held(name);
    // A provider that repeats an id must not hand it to another caller.
    if (known !== undefined && known.principal !== object.principal) return;
    const learned = known === undefined ? object : withFacts(known, object);
    if (learned === known) return;
    this.#hold(learned);
    this.#toPut.set(name, learned);
    this.#arm(FLUSH_DELAY_MS);
  }

  forget(object: OwnedObject): void {
    const name = nameOf(object.kind, object.objectId);
    this.#listed.delete(name);
    this.#recent.delete(name);
    this.#byOwner.get(nameOf(object.principal, object.kind))?.delete(object.objectId);
    this.#lines.delete(nameOf(object.provider, object.objectId));
    this.#toPut.delete(name);
    this.#toDelete.set(name, object);
    this.#arm(FLUSH_DELAY_MS);
  }

  linesOf({ provider, objectId }: OwnedObjectName): BatchLines | null {
    return this.#lines.get(nameOf(provider, objectId)) ?? null;
  }

  keepLines({ provider, objectId }: OwnedObjectName, lines: BatchLines): void {
    this.#lines.set(nameOf(provider, objectId), lines);
    for (const oldest of this.#lines.keys()) {
      if (this.#lines.size <= LINES_MAX) return;
      this.#lines.delete(oldest);
    }
  }

  flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #findStored(principal: string, kind: string, objectId: string): Promise<OwnedObject | null> {
    const unwritten = this.#toPut.get(nameOf(kind, objectId));
    const stored = await this.#store.findOwnedObject(this.#tailnet, kind, objectId);
    if ((stored ?? unwritten)?.principal !== principal) return null;
    return unwritten?.principal === principal ? unwritten : stored;
  }

  #held(name: string): OwnedObject | undefined {
    return this.#listed.get(name) ?? this.#recent.get(name) ?? this.#toPut.get(name);
  }

  #hold(object: OwnedObject): void {
    const name = nameOf(object.kind, object.objectId);
    if (!LISTED_KINDS.includes(object.kind)) {
      this.#recent.set(name, object);
      if (this.#recent.size <= RECENT_MAX) return;
      const oldest = this.#recent.keys().next();
      if (oldest.done !== true) this.#recent.delete(oldest.value);
      return;
    }
    this.#listed.set(name, object);
    const owner = nameOf(object.principal, object.kind);
    const objects = this.#byOwner.get(owner);
    if (objects === undefined) this.#byOwner.set(owner, new Map([[object.objectId, object]]));
    else objects.set(object.objectId, object);
  }

  /** A provider repeated an id that another caller's object has: the first owner stays. */
  #drop(name: string): void {
    this.#recent.delete(name);
    this.#toPut.delete(name);
  }

  #arm(delayMs: number): void {
    this.#timer ??= setTimeout(() => void this.flush(), delayMs).unref();
  }

  async #write(): Promise<void> {
    const put = this.#toPut;
    const gone = this.#toDelete;
    if (put.size === 0 && gone.size === 0) return;
    // What is being written stays findable until it is in the store.
    const written = new Map(put);
    const deleted = new Map(gone);
    try {
      const refused = written.size > 0 ? await this.#store.putOwnedObjects([...written.values()]) : [];
      for (const { kind, objectId } of refused) this.#drop(nameOf(kind, objectId));
      if (deleted.size > 0) await this.#store.deleteOwnedObjects(this.#tailnet, [...deleted.values()]);
      for (const [name, object] of written) if (put.get(name) === object) put.delete(name);
      for (const [name, object] of deleted) if (gone.get(name) === object) gone.delete(name);
    } catch (error) {
      this.#logger.error('cannot store the owners of provider objects; will try again', {
        count: put.size + gone.size,
        error: describeError(error),
      });
      this.#arm(RETRY_DELAY_MS);
    }
  }
}

function nameOf(first: string, second: string): string {
  return `${first}\n${second}`;
}

/** The known object with what the newer sight of it adds; the same object if that is nothing. */
function withFacts(known: OwnedObject, seen: OwnedObject): OwnedObject {
  const models = known.models ?? seen.models;
  const parentId = known.parentId ?? seen.parentId;
  const settledAt = known.settledAt ?? seen.settledAt;
  if (models === known.models && parentId === known.parentId && settledAt === known.settledAt) return known;
  return { ...known, models, parentId, settledAt };
}
