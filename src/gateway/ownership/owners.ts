/**
 * Who made which provider object. Ids are learned from answers, kept in memory for the request
 * path and in the store for the next start. An id that is not here belongs to nobody and is refused.
 */
import type { Logger } from '../../base/log.ts';
import type { OwnedObject } from '../../store/index.ts';

export interface OwnersStore {
  listOwnedObjects(tailnet: string): Promise<readonly OwnedObject[]>;
  putOwnedObjects(objects: readonly OwnedObject[]): Promise<void>;
}

export interface Owners {
  /** The object if this principal made it; null if it is unknown or another's. */
  find(principal: string, kind: string, objectId: string): OwnedObject | null;
  /** All objects of a principal of one kind, for filtering lists. */
  ownedIds(principal: string, kind: string): ReadonlySet<string>;
  learn(object: OwnedObject): void;
  /** Writes what is not yet stored. */
  flush(): Promise<void>;
}

/** 20 ms: an id is durable about when its caller has read it. */
const FLUSH_DELAY_MS = 20;

export async function loadOwners(store: OwnersStore, tailnet: string, logger: Logger): Promise<Owners> {
  const byId = new Map<string, OwnedObject>();
  const byOwner = new Map<string, Set<string>>();
  let pending: OwnedObject[] = [];
  let timer: NodeJS.Timeout | null = null;

  const index = (object: OwnedObject): void => {
    byId.set(`${object.kind}\n${object.objectId}`, object);
    const key = `${object.principal}\n${object.kind}`;
    const ids = byOwner.get(key);
    if (ids === undefined) byOwner.set(key, new Set([object.objectId]));
    else ids.add(object.objectId);
  };

  const flush = async (): Promise<void> => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const batch = pending;
    if (batch.length === 0) return;
    pending = [];
    try {
      await store.putOwnedObjects(batch);
    } catch (error) {
      pending = [...batch, ...pending];
      logger.error('cannot store the owners of provider objects; will try again', { count: pending.length, error: String(error) });
      timer ??= setTimeout(() => void flush(), 1000).unref();
    }
  };

  for (const object of await store.listOwnedObjects(tailnet)) index(object);
  return {
    find(principal, kind, objectId) {
      const object = byId.get(`${kind}\n${objectId}`);
      return object !== undefined && object.principal === principal ? object : null;
    },
    ownedIds: (principal, kind) => byOwner.get(`${principal}\n${kind}`) ?? new Set(),
    learn(object) {
      const known = byId.get(`${object.kind}\n${object.objectId}`);
      // The first maker stays: a provider that repeats an id must not hand it to another caller.
      if (known !== undefined) return;
      index(object);
      pending.push(object);
      timer ??= setTimeout(() => void flush(), FLUSH_DELAY_MS).unref();
    },
    flush,
  };
}
