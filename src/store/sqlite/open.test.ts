import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { Database } from './database.ts';
import {
  auditEntry,
  capturedBodies,
  NOON,
  openTestStore,
  requestRow,
  withFolder,
  withStore,
} from './rows.fixture.ts';

const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');

test('rows and bodies cross the threads and come back; one array may serve as body and conversation', async () => {
  await withStore(async (store) => {
    const request = utf8(JSON.stringify({ messages: [{ role: 'user', content: 'hi' }] }));
    const bodies = capturedBodies('req_1', request, utf8('answer'));
    const rows = [requestRow('req_1', { capture: 'full' }), requestRow('req_2', { capture: 'metadata' })];
    const batch = {
      rows,
      bodies: [bodies, { ...bodies, requestId: 'req_2' }],
      conversations: new Map([['req_1', request]]),
    };
    await store.appendRequests(batch);
    const stored = await store.getBodies('home', 'req_1');
    assert.deepEqual(stored?.request, Uint8Array.from(request));
    assert.deepEqual(stored.response, Uint8Array.from(utf8('answer')));
    assert.match((await store.getRequest('home', 'req_1'))?.sessionId ?? '', /^ses_/);
    assert.equal(await store.getBodies('home', 'req_2'), null, 'capture `metadata` keeps no body');
    assert.equal(request.byteLength > 0, true, 'the sender keeps its bytes');
    const health = await store.health();
    assert.equal(health.requests, 2);
    assert.ok(health.bytes > 4096 && health.bodyItems > 0);
  });
});

test('a body of 20 MiB is kept byte for byte', async () => {
  await withStore(async (store) => {
    const request = new Uint8Array(20 * 1024 * 1024).map((_, i) => (i * 31) % 251);
    await store.appendRequests({
      rows: [requestRow('req_1', { capture: 'full' })],
      bodies: [capturedBodies('req_1', request, utf8(''))],
    });
    const stored = await store.getBodies('home', 'req_1');
    assert.ok(Buffer.from(stored?.request ?? []).equals(request));
  });
});

test('the file and its companions are for the owner only (mode 0600)', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'postern.db');
    await writeFile(file, '', { mode: 0o644 });
    await chmod(file, 0o644);
    const store = await openTestStore(file);
    const names = [file, `${file}-wal`, `${file}-shm`];
    const modes = await Promise.all(names.map(async (name) => (await stat(name)).mode & 0o777));
    await store.close();
    assert.deepEqual(modes, [0o600, 0o600, 0o600]);
  });
});

test('what was written is there after closing and opening', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'postern.db');
    const first = await openTestStore(file);
    await first.putSetting('claimed', 'yes');
    await first.appendAudit(auditEntry());
    await first.close();
    const second = await openTestStore(file);
    const found = [await second.getSetting('claimed'), await second.verifyAudit('home')];
    await second.close();
    assert.deepEqual(found, ['yes', { rows: 1, brokenAt: null }]);
  });
});

test('an altered audit row is found by the opened store (DESIGN section 8)', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'postern.db');
    const first = await openTestStore(file);
    for (let i = 0; i < 3; i += 1) await first.appendAudit(auditEntry());
    await first.close();
    const intruder = new Database(file, 'writer');
    intruder.exec("UPDATE audit SET reason = 'none' WHERE seq = 2");
    intruder.close();
    const second = await openTestStore(file);
    const verdict = await second.verifyAudit('home');
    await second.close();
    assert.deepEqual(verdict, { rows: 3, brokenAt: 2 });
  });
});

test('what is no database, a folder, or a newer schema is refused with its own code', async () => {
  await withFolder(async (folder) => {
    const text = join(folder, 'text.db');
    await writeFile(text, 'this is no database, but long enough to be looked at as one. '.repeat(40));
    await assert.rejects(openTestStore(text), { code: 'store_corrupt' });
    await mkdir(join(folder, 'folder.db'));
    await assert.rejects(openTestStore(join(folder, 'folder.db')), { code: 'store_open_failed' });
    await assert.rejects(openTestStore(join(folder, 'nowhere', 'x.db')), { code: 'store_open_failed' });
    const newer = join(folder, 'newer.db');
    await (await openTestStore(newer)).close();
    const intruder = new Database(newer, 'writer');
    intruder.exec("INSERT INTO schema_migrations VALUES (99, 'later', 0)");
    intruder.close();
    await assert.rejects(openTestStore(newer), { code: 'store_newer_schema' });
  });
});

test('a bad row is refused as such, a batch with it leaves nothing, and the store goes on', async () => {
  await withStore(async (store) => {
    const rows = [requestRow('req_1'), requestRow('req_2', { status: Number.NaN })];
    await assert.rejects(store.appendRequests({ rows, bodies: [] }), { code: 'store_invalid_row' });
    await assert.rejects(store.appendAudit(auditEntry({ facts: { call: () => 1 } })), {
      code: 'store_invalid_row',
    });
    await store.appendRequests({ rows: [requestRow('req_1')], bodies: [] });
    assert.equal((await store.listRequests({ tailnet: 'home' }, { limit: 9 })).items.length, 1);
  });
});

test('a database thread that dies fails what was under way, and the next call starts it anew', async () => {
  const threads: Worker[] = [];
  const note = (thread: Worker): void => void threads.push(thread);
  process.on('worker', note);
  try {
    await withStore(async (store) => {
      await store.putSetting('a', '1');
      const underWay = store.appendRequests({ rows: [requestRow('req_1')], bodies: [] });
      const failed = assert.rejects(underWay, { code: 'store_worker_failed' });
      await threads[0]?.terminate();
      await failed;
      await Promise.all([store.putSetting('b', '2'), store.putSetting('c', '3')]);
      assert.deepEqual(
        [await store.getSetting('a'), await store.getSetting('b'), await store.getSetting('c')],
        ['1', '2', '3'],
      );
      assert.equal(threads.length, 3, 'a writer, a reader, and one new writer');
    });
  } finally {
    process.off('worker', note);
  }
});

test('a closed store says so', async () => {
  await withStore(async (store) => {
    await store.close();
    await assert.rejects(store.getSetting('a'), { code: 'store_closed' });
    await assert.rejects(store.putSetting('a', 'b'), { code: 'store_closed' });
  });
});

test('a long query does not delay an append', async () => {
  await withStore(async (store) => {
    const rows = Array.from({ length: 500 }, (_, i) =>
      requestRow(`req_${i}`, { startedAt: NOON + i * 900_000 }),
    );
    await store.appendRequests({ rows, bodies: [] });
    const order: string[] = [];
    const queries = Array.from({ length: 20 }, () =>
      store.queryUsage({ tailnet: 'home' }, ['user', 'hour'], 'Europe/Zurich'),
    );
    const reading = Promise.all(queries).then(() => order.push('read'));
    const writing = store
      .appendRequests({ rows: [requestRow('req_new')], bodies: [] })
      .then(() => order.push('written'));
    await Promise.all([reading, writing]);
    assert.deepEqual(order, ['written', 'read']);
  });
});

test(
  'on Linux only the writing thread gives way to others',
  { skip: process.platform !== 'linux' },
  async () => {
    await withStore(async () => {
      const niceness = new Map<string, string | undefined>();
      for (const task of await readdir('/proc/self/task')) {
        const text = await readFile(`/proc/self/task/${task}/stat`, 'utf8').catch(() => '');
        const end = text.lastIndexOf(')');
        // proc(5): after the name, the state is field 3 and the nice value field 19.
        niceness.set(`${task} ${text.slice(text.indexOf('(') + 1, end)}`, text.slice(end + 2).split(' ')[16]);
      }
      const own = niceness.get(`${process.pid} node-MainThread`) ?? [...niceness.values()][0];
      for (const [name, nice] of niceness) {
        if (name.endsWith('store-writer')) assert.notEqual(nice, own, name);
        if (name.endsWith('store-reader')) assert.equal(nice, own, name);
      }
      assert.ok([...niceness.keys()].some((name) => name.endsWith('store-writer')));
    });
  },
);
