import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger, silentLogger } from '../base/log.ts';
import type { MemoryName, MemoryRow, MemoryStore } from '../store/index.ts';
import { openDurableMemory, type DurableMemory } from './durable-memory.ts';

const KEY = new Uint8Array(32).fill(3);
const NOW = Date.UTC(2026, 0, 5, 12);

class TestStore implements MemoryStore {
  rows = new Map<string, MemoryRow>();
  isDown = false;
  writes = 0;

  async putMemories(rows: readonly MemoryRow[]): Promise<void> {
    if (this.isDown) throw new Error('the disk is full');
    this.writes += 1;
    for (const row of rows) this.rows.set(`${row.kind} ${row.name}`, row);
  }

  async deleteMemories(_tailnet: string, names: readonly MemoryName[]): Promise<void> {
    for (const { kind, name } of names) this.rows.delete(`${kind} ${name}`);
  }

  async listMemories(_tailnet: string, kind: string): Promise<readonly MemoryRow[]> {
    return [...this.rows.values()].filter((row) => row.kind === kind);
  }

  async forgetMemories(): Promise<void> {}
}

function memoryOver(store: MemoryStore, given: { key?: Uint8Array; tailnet?: string } = {}): DurableMemory {
  const { key = KEY, tailnet = 'home' } = given;
  return openDurableMemory({ tailnet, store, key, clock: { now: () => NOW }, logger: silentLogger });
}

test('what is kept comes back in the next process, and the store reads nothing of it (DESIGN section 8)', async () => {
  const store = new TestStore();
  const first = memoryOver(store);
  first.keeping('refusal').put(['ann', 'resp_1'], { secret: 'a prompt' });
  first.keeping('refusal').put(['ann', 'resp_2'], { gone: true });
  first.keeping('refusal').delete(['ann', 'resp_2']);
  await first.close();
  assert.deepEqual(await memoryOver(store).load('refusal'), [{ secret: 'a prompt' }]);
  assert.deepEqual(await memoryOver(store).load('verdict'), []);
  const stored = JSON.stringify(
    [...store.rows.values()].map((row) => [row.name, Buffer.from(row.sealed).toString('latin1')]),
  );
  assert.doesNotMatch(stored, /ann|resp_1|prompt/);
  assert.equal(store.writes, 1, 'what is decided together is written together');
});

test('a row of another tailnet, kind, name or key is not opened, and the rest is', async () => {
  const store = new TestStore();
  const first = memoryOver(store);
  first.keeping('refusal').put(['a'], 1);
  first.keeping('verdict').put(['b'], 2);
  await first.close();
  const rows = [...store.rows.values()];
  for (const row of rows) store.rows.set(`moved ${row.name}`, { ...row, kind: 'refusal' });
  assert.deepEqual(await memoryOver(store).load('refusal'), [1, 1]);
  assert.deepEqual(await memoryOver(store, { tailnet: 'work' }).load('refusal'), []);
  assert.deepEqual(await memoryOver(store, { key: new Uint8Array(32).fill(4) }).load('refusal'), []);
});

test('a store that fails loses nothing that still fits, and the last attempt is made when it closes', async () => {
  const store = new TestStore();
  store.isDown = true;
  const lines: string[] = [];
  const logger = createLogger({
    format: 'text',
    level: 'info',
    write: (line) => lines.push(line),
    now: () => NOW,
  });
  const memory = openDurableMemory({ tailnet: 'home', store, key: KEY, clock: { now: () => NOW }, logger });
  const keeping = memory.keeping('verdict');
  keeping.put(['a'], 'old');
  await new Promise((resolve) => setImmediate(resolve));
  keeping.put(['a'], 'new');
  for (let i = 0; i < 5_000; i += 1) keeping.put([`b${i}`], i);
  store.isDown = false;
  await memory.close();
  const kept = await memoryOver(store).load('verdict');
  assert.equal(kept.length, 5_000);
  assert.ok(!kept.includes('old'));
  assert.match(lines.join('\n'), /could not be stored/);
  assert.match(lines.join('\n'), /forgotten at the next start/);
});
