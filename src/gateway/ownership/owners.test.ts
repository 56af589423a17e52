import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger as QUIET } from '../../base/log.ts';
import type { OwnedObject } from '../../store/index.ts';
import { loadOwners, type OwnersStore } from './owners.ts';

function object(changes: Partial<OwnedObject> = {}): OwnedObject {
  return {
    tailnet: 'home',
    provider: 'openai',
    kind: 'file',
    objectId: 'file-1',
    principal: 'local:1',
    keyId: null,
    model: null,
    createdAt: 1,
    models: null,
    parentId: null,
    settledAt: null,
    ...changes,
  };
}

/** A store in memory; `fails` lets the next writes fail. */
function memoryStore(): OwnersStore & {
  readonly kept: Map<string, OwnedObject>;
  fails: number;
  lookups: number;
} {
  const kept = new Map<string, OwnedObject>();
  const store = {
    kept,
    fails: 0,
    lookups: 0,
    listOwnedObjects: (_tailnet: string, kinds?: readonly string[]) =>
      Promise.resolve([...kept.values()].filter(({ kind }) => kinds === undefined || kinds.includes(kind))),
    findOwnedObject: (_tailnet: string, kind: string, objectId: string) => {
      store.lookups += 1;
      return Promise.resolve(kept.get(`${kind} ${objectId}`) ?? null);
    },
    putOwnedObjects: (objects: readonly OwnedObject[]) => {
      if (store.fails > 0) {
        store.fails -= 1;
        return Promise.reject(new Error('disk full'));
      }
      const refused: OwnedObject[] = [];
      for (const put of objects) {
        const name = `${put.kind} ${put.objectId}`;
        if ((kept.get(name) ?? put).principal === put.principal) kept.set(name, put);
        else refused.push(put);
      }
      return Promise.resolve(refused);
    },
    deleteOwnedObjects: (_tailnet: string, names: readonly Pick<OwnedObject, 'kind' | 'objectId'>[]) => {
      for (const { kind, objectId } of names) kept.delete(`${kind} ${objectId}`);
      return Promise.resolve();
    },
  };
  return store;
}

test('the first maker stays the maker, also of an id that a provider repeats (DESIGN section 6)', async () => {
  const owners = await loadOwners(memoryStore(), 'home', QUIET);
  owners.learn(object());
  owners.learn(object({ principal: 'local:2' }));
  assert.equal(owners.find('local:2', 'file', 'file-1'), null);
  assert.equal(owners.ownedBy('local:2', 'file').size, 0);
  assert.deepEqual(owners.find('local:1', 'file', 'file-1'), object());
});

test('what is found out later is added for the maker and never taken away', async () => {
  const owners = await loadOwners(memoryStore(), 'home', QUIET);
  owners.learn(object({ models: ['gpt-5'] }));
  owners.learn(object({ parentId: 'batch_1' }));
  owners.learn(object({ models: ['gpt-secret'], settledAt: 5, principal: 'local:2' }));
  assert.deepEqual(
    owners.find('local:1', 'file', 'file-1'),
    object({ models: ['gpt-5'], parentId: 'batch_1' }),
  );
});

test('listed kinds are there from the start; others are looked up, by their maker only', async () => {
  const store = memoryStore();
  const first = await loadOwners(store, 'home', QUIET);
  first.learn(object());
  first.learn(object({ kind: 'response', objectId: 'resp_1' }));
  await first.flush();
  const second = await loadOwners(store, 'home', QUIET);
  assert.deepEqual(second.find('local:1', 'file', 'file-1'), object());
  assert.equal((await second.find('local:1', 'response', 'resp_1'))?.objectId, 'resp_1');
  assert.equal(await second.find('local:2', 'response', 'resp_1'), null);
  assert.equal(store.lookups, 2);
  assert.equal(second.find('local:1', 'file', 'file-2'), null, 'no look-up for a listed kind');
});

test('what is forgotten is unknown at once and after a restart, written or not', async () => {
  for (const flushes of [true, false]) {
    const store = memoryStore();
    const owners = await loadOwners(store, 'home', QUIET);
    const response = object({ kind: 'response', objectId: 'resp_1' });
    owners.learn(response);
    if (flushes) await owners.flush();
    owners.forget(response);
    assert.equal(await owners.find('local:1', 'response', 'resp_1'), null);
    await owners.flush();
    assert.equal(store.kept.size, 0);
  }
});

test('an id that a provider repeats after a restart stays its first maker’s, written or not', async () => {
  const store = memoryStore();
  const response = object({ kind: 'response', objectId: 'resp_1' });
  const first = await loadOwners(store, 'home', QUIET);
  first.learn(response);
  await first.flush();
  const second = await loadOwners(store, 'home', QUIET);
  second.learn({ ...response, principal: 'local:2' });
  for (const flushes of [false, true]) {
    if (flushes) await second.flush();
    assert.equal(await second.find('local:2', 'response', 'resp_1'), null);
    assert.deepEqual(await second.find('local:1', 'response', 'resp_1'), response);
  }
  assert.equal(store.kept.get('response resp_1')?.principal, 'local:1');
});

test('an unwritten object is its maker’s at once; with what was found out since it was written', async () => {
  const store = memoryStore();
  const owners = await loadOwners(store, 'home', QUIET);
  const response = object({ kind: 'response', objectId: 'resp_1' });
  owners.learn(response);
  assert.deepEqual(await owners.find('local:1', 'response', 'resp_1'), response);
  await owners.flush();
  owners.learn({ ...response, settledAt: 9 });
  assert.equal((await owners.find('local:1', 'response', 'resp_1'))?.settledAt, 9);
  assert.equal(await owners.find('local:2', 'response', 'resp_1'), null);
});

test('a store that fails loses no owner: it is written at the next time', async () => {
  const store = memoryStore();
  store.fails = 1;
  const owners = await loadOwners(store, 'home', QUIET);
  owners.learn(object());
  await owners.flush();
  assert.equal(store.kept.size, 0);
  assert.notEqual(owners.find('local:1', 'file', 'file-1'), null);
  await owners.flush();
  assert.equal(store.kept.size, 1);
});
