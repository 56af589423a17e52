import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ControlRecordRow } from '../control-shapes.ts';
import { withStore } from './rows.fixture.ts';

function row(name: string, given: Partial<ControlRecordRow> = {}): ControlRecordRow {
  return { tailnet: 'home', kind: 'node', name, body: `{"n":"${name}"}`, ...given };
}

test('records of the coordination server are replaced by name, and one of another tailnet stays', () =>
  withStore(async (store) => {
    await store.writeControlRecords([row('1'), row('2'), row('1', { tailnet: 'work' })], []);
    await store.writeControlRecords([row('2', { body: '{}' })], [row('1')]);
    assert.deepEqual(
      (await store.listControlRecords()).map((record) => ({ ...record })),
      [row('2', { body: '{}' }), row('1', { tailnet: 'work' })],
    );
  }));

test('a write that fails in part leaves nothing of itself', () =>
  withStore(async (store) => {
    const broken = { ...row('2'), body: null } as unknown as ControlRecordRow;
    await assert.rejects(store.writeControlRecords([row('1'), broken], []));
    assert.deepEqual(await store.listControlRecords(), []);
  }));
