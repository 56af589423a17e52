import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isStoreError } from '../errors.ts';
import { toStoreError } from './database.ts';
import { appendRequests, capturedBodies, requestRow, TEST_KEYS, withDatabase } from './rows.fixture.ts';

const codeOf = (error: unknown): string | null => (isStoreError(error) ? error.code : null);

test('a full disk rejects the batch, leaves nothing of it, and the batch may be repeated', () => {
  withDatabase((database) => {
    const pages = Number(database.prepare('PRAGMA page_count').get()?.['page_count']);
    const random = globalThis.crypto.getRandomValues(new Uint8Array(60_000));
    const batch = {
      rows: [requestRow('req_1', { capture: 'full' })],
      bodies: [capturedBodies('req_1', random, random)],
    };
    database.exec(`PRAGMA max_page_count = ${pages + 2}`);
    let failure: unknown;
    try {
      appendRequests(database, TEST_KEYS, batch);
    } catch (error) {
      failure = toStoreError(error, 'store_write_failed');
    }
    assert.match(String(failure), /full/);
    assert.equal(codeOf(failure), 'store_write_failed');
    assert.equal(database.prepare('SELECT count(*) AS n FROM requests').get()?.['n'], 0);
    assert.equal(database.prepare('SELECT count(*) AS n FROM body_items').get()?.['n'], 0);
    database.exec('PRAGMA max_page_count = 100000');
    appendRequests(database, TEST_KEYS, batch);
    assert.equal(database.prepare('SELECT count(*) AS n FROM requests').get()?.['n'], 1);
  });
});

test('each kind of failure has its code', () => {
  withDatabase((database) => {
    const codeOfSql = (sql: string): unknown => {
      try {
        database.exec(sql);
      } catch (error) {
        return codeOf(toStoreError(error, 'store_read_failed'));
      }
      return null;
    };
    assert.equal(codeOfSql("INSERT INTO settings VALUES ('a', NULL)"), 'store_invalid_row');
    assert.equal(codeOfSql('SELECT * FROM nowhere'), 'store_read_failed');
  });
  assert.equal(codeOf(toStoreError('odd', 'store_read_failed')), 'store_read_failed');
});

test('a transaction is stored whole or not at all, also a durable one', () => {
  withDatabase((database) => {
    for (const run of [database.transaction.bind(database), database.durableTransaction.bind(database)]) {
      const insert = (): never => {
        database.exec("INSERT INTO settings VALUES ('a', 'b')");
        throw new Error('stop');
      };
      assert.throws(() => run(insert), /stop/);
      assert.equal(database.prepare('SELECT count(*) AS n FROM settings').get()?.['n'], 0);
    }
  });
});
