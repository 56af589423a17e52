import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MemoryBounds, MemoryRow } from '../memory-shapes.ts';
import { NOON, withStore } from './rows.fixture.ts';

const ALL: MemoryBounds = { before: 0, rowsMax: 1_000, bytesMax: 1_000_000 };

function row(name: string, given: Partial<MemoryRow> = {}): MemoryRow {
  return { tailnet: 'home', kind: 'refusal', name, sealed: Buffer.alloc(10, name), at: NOON, ...given };
}

function names(rows: readonly MemoryRow[]): readonly string[] {
  return rows.map(({ name }) => name);
}

test('memories are listed by tailnet and kind, oldest first; one that is written again is the newest', () =>
  withStore(async (store) => {
    await store.putMemories([
      row('a'),
      row('b'),
      row('c', { kind: 'verdict' }),
      row('d', { tailnet: 'work' }),
    ]);
    await store.putMemories([row('a', { sealed: Buffer.from('new') })]);
    const rows = await store.listMemories('home', 'refusal', ALL);
    assert.deepEqual(names(rows), ['b', 'a']);
    assert.equal(Buffer.from(rows[1]?.sealed ?? []).toString(), 'new');
    await store.deleteMemories('home', [{ kind: 'refusal', name: 'b' }]);
    assert.deepEqual(names(await store.listMemories('home', 'refusal', ALL)), ['a']);
    assert.deepEqual(names(await store.listMemories('work', 'refusal', ALL)), ['d']);
  }));

test('what is outside of age, count or bytes is not listed, and dropped when forgotten', () =>
  withStore(async (store) => {
    await store.putMemories([row('old', { at: NOON - 5 }), row('b'), row('c'), row('d')]);
    const bounds: readonly (readonly [MemoryBounds, readonly string[]])[] = [
      [{ ...ALL, before: NOON }, ['b', 'c', 'd']],
      [{ ...ALL, rowsMax: 2 }, ['c', 'd']],
      [{ ...ALL, bytesMax: 29 }, ['c', 'd']],
      [{ ...ALL, bytesMax: 9 }, []],
    ];
    for (const [bound, left] of bounds)
      assert.deepEqual(names(await store.listMemories('home', 'refusal', bound)), left);
    await store.forgetMemories('home', 'refusal', { ...ALL, rowsMax: 2 });
    assert.deepEqual(names(await store.listMemories('home', 'refusal', ALL)), ['c', 'd']);
  }));
