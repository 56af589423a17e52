import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appendAudit, AUDIT_CHECK_START, AUDIT_SLICE_ROWS, listAudit, verifyAuditSlice } from './audit.ts';
import type { Database } from './database.ts';
import { auditEntry, NOON, TEST_KEYS, withDatabase } from './rows.fixture.ts';

const KEY = TEST_KEYS.auditKey;

function verifyAudit(database: Database, key: Uint8Array, tailnet: string) {
  let check = AUDIT_CHECK_START;
  while (!check.isDone) check = verifyAuditSlice(database, key, tailnet, check);
  return { rows: check.rows, brokenAt: check.brokenAt };
}

function withRows(count: number, check: (database: Database) => void): void {
  withDatabase((database) => {
    for (let i = 1; i <= count; i += 1)
      appendAudit(database, KEY, auditEntry({ at: NOON + i, target: `tok_${i}` }));
    check(database);
  });
}

test('rows are chained from 1 on, newest listed first, and verify', () => {
  withRows(5, (database) => {
    assert.deepEqual(verifyAudit(database, KEY, 'home'), { rows: 5, brokenAt: null });
    const page = listAudit(database, 'home', {}, { limit: 2 });
    assert.deepEqual(
      page.items.map(({ seq }) => seq),
      [5, 4],
    );
    const next = listAudit(database, 'home', {}, { limit: 10, cursor: page.nextCursor ?? '' });
    assert.deepEqual(
      next.items.map(({ seq }) => seq),
      [3, 2, 1],
    );
    assert.equal(next.nextCursor, null);
    assert.deepEqual(next.items[0]?.facts, { name: 'ci' });
    assert.deepEqual(verifyAudit(database, KEY, 'work'), { rows: 0, brokenAt: null });
  });
});

test('filters by actor, action and time', () => {
  withDatabase((database) => {
    appendAudit(database, KEY, auditEntry());
    appendAudit(
      database,
      KEY,
      auditEntry({ actor: 'operator', door: 'operator', action: 'config.save', at: NOON + 10 }),
    );
    for (const filter of [{ actor: 'operator' }, { action: 'config.save' }, { from: NOON + 1 }]) {
      assert.deepEqual(
        listAudit(database, 'home', filter, { limit: 9 }).items.map(({ seq }) => seq),
        [2],
        JSON.stringify(filter),
      );
    }
    assert.deepEqual(
      listAudit(database, 'home', { to: NOON + 10 }, { limit: 9 }).items.map(({ seq }) => seq),
      [1],
    );
  });
});

const attacks: readonly [what: string, sql: string, brokenAt: number][] = [
  ['a changed field', "UPDATE audit SET actor = 'nobody' WHERE seq = 3", 3],
  ['a changed fact', `UPDATE audit SET facts = '{"name":"cd"}' WHERE seq = 2`, 2],
  ['a changed hash', 'UPDATE audit SET hash = zeroblob(32) WHERE seq = 4', 4],
  ['a dropped row', 'DELETE FROM audit WHERE seq = 2', 2],
  ['rows cut off at the end', 'DELETE FROM audit WHERE seq >= 4', 4],
  ['everything cut off', 'DELETE FROM audit', 1],
  [
    'a row added by hand',
    'INSERT INTO audit SELECT tailnet, 6, at, actor, actor_label, door, presence, action, target, reason, facts, hash FROM audit WHERE seq = 5',
    6,
  ],
  ['a row of another tailnet', "UPDATE audit SET tailnet = 'work' WHERE seq = 1", 1],
  ['a dropped head', 'DELETE FROM audit_heads', 6],
  ['a forged head', 'UPDATE audit_heads SET seq = 4; DELETE FROM audit WHERE seq = 5', 5],
  ['a forged checkpoint', 'UPDATE audit_checkpoints SET hash = zeroblob(32)', 1],
];
for (const [what, sql, brokenAt] of attacks) {
  test(`verification finds ${what} (DESIGN section 8)`, () => {
    withRows(5, (database) => {
      database.exec(sql);
      assert.equal(verifyAudit(database, KEY, 'home').brokenAt, brokenAt);
    });
  });
}

test('an older head that is put back over rows cut off is found by a later checkpoint', () => {
  withRows(5, (database) => {
    database.exec('CREATE TABLE kept AS SELECT * FROM audit_heads');
    appendAudit(database, KEY, auditEntry({ at: NOON + 2 * 3_600_000 }));
    database.exec('DELETE FROM audit WHERE seq = 6; INSERT OR REPLACE INTO audit_heads SELECT * FROM kept');
    assert.deepEqual(verifyAudit(database, KEY, 'home'), { rows: 5, brokenAt: 6 });
  });
});

test('a slice reads no more than its rows, and the verdict is that of the whole chain', () => {
  withDatabase((database) => {
    for (let i = 0; i <= AUDIT_SLICE_ROWS; i += 1) appendAudit(database, KEY, auditEntry());
    const first = verifyAuditSlice(database, KEY, 'home', AUDIT_CHECK_START);
    assert.deepEqual([first.rows, first.isDone], [AUDIT_SLICE_ROWS, false]);
    appendAudit(database, KEY, auditEntry());
    const last = verifyAuditSlice(database, KEY, 'home', first);
    assert.deepEqual([last.rows, last.brokenAt, last.isDone], [AUDIT_SLICE_ROWS + 2, null, true]);
    database.exec("UPDATE audit SET actor = 'nobody' WHERE seq = 7");
    assert.deepEqual(verifyAudit(database, KEY, 'home'), { rows: AUDIT_SLICE_ROWS + 2, brokenAt: 7 });
    database.exec(`DELETE FROM audit WHERE seq > ${AUDIT_SLICE_ROWS}`);
    assert.equal(verifyAuditSlice(database, KEY, 'home', first).brokenAt, AUDIT_SLICE_ROWS + 1);
  });
});

test('without the key nobody can write a row that verifies', () => {
  withRows(2, (database) => {
    const other = new Uint8Array(32);
    assert.throws(() => appendAudit(database, other, auditEntry()), { code: 'store_corrupt' });
    assert.equal(verifyAudit(database, other, 'home').brokenAt, 1);
  });
});

test('a checkpoint is signed for the first row, after 1,000 rows and after an hour', () => {
  withDatabase((database) => {
    for (let i = 0; i < 1_001; i += 1) appendAudit(database, KEY, auditEntry());
    appendAudit(database, KEY, auditEntry({ at: NOON + 3_600_000 }));
    const rows = database.prepare('SELECT seq FROM audit_checkpoints ORDER BY seq').all();
    assert.deepEqual(
      rows.map((row) => row['seq']),
      [1, 1_001, 1_002],
    );
    assert.deepEqual(verifyAudit(database, KEY, 'home'), { rows: 1_002, brokenAt: null });
  });
});

test('facts that are no JSON, or large, are refused and leave no row', () => {
  withDatabase((database) => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    for (const facts of [circular, { big: 'x'.repeat(70_000) }, { n: 1n }]) {
      assert.throws(() => appendAudit(database, KEY, auditEntry({ facts })), { code: 'store_invalid_row' });
    }
    assert.equal(verifyAudit(database, KEY, 'home').rows, 0);
  });
});
