import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Database } from './database.ts';
import { migrate, MIGRATIONS } from './migrate.ts';
import { REQUEST_CODEC } from './request-codec.ts';
import { listRequests } from './request-queries.ts';
import { NOON, requestRow } from './rows.fixture.ts';

const extra = { version: 1000, name: 'later', sql: 'CREATE TABLE later (a INTEGER) STRICT' };

function withEmpty(check: (database: Database) => void): void {
  const database = new Database(':memory:', 'writer');
  try {
    check(database);
  } finally {
    database.close();
  }
}

test('steps are applied once, in order, and noted', () => {
  withEmpty((database) => {
    migrate(database, NOON);
    migrate(database, NOON + 1, [...MIGRATIONS, extra]);
    migrate(database, NOON + 2, [...MIGRATIONS, extra]);
    const rows = database.prepare('SELECT version, applied_at FROM schema_migrations ORDER BY version').all();
    assert.deepEqual(
      rows.map((row) => [row['version'], row['applied_at']]),
      [...MIGRATIONS.map(({ version }) => [version, NOON]), [1000, NOON + 1]],
    );
  });
});

test('versions are numbered from 1 without gaps', () => {
  assert.deepEqual(
    MIGRATIONS.map(({ version }) => version),
    MIGRATIONS.map((_, i) => i + 1),
  );
});

test('a database of a newer Postern is refused, with what to do', () => {
  withEmpty((database) => {
    migrate(database, NOON, [...MIGRATIONS, extra]);
    assert.throws(() => migrate(database, NOON), {
      code: 'store_newer_schema',
      message: /schema 1000.*start a newer Postern/,
    });
  });
});

test('a step that fails leaves the database as it was before it', () => {
  withEmpty((database) => {
    const broken = {
      version: 1000,
      name: 'broken',
      sql: 'CREATE TABLE half (a INTEGER) STRICT; CREATE TABLE half (a INTEGER) STRICT',
    };
    assert.throws(() => migrate(database, NOON, [...MIGRATIONS, broken]));
    assert.equal(
      database.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'half'").get()?.['n'],
      0,
    );
    migrate(database, NOON);
  });
});

test('a database of the first version keeps its rows and answers as a new one does', () => {
  withEmpty((database) => {
    migrate(database, NOON, MIGRATIONS.slice(0, 1));
    const row = requestRow('req_1', { outcome: 'refused', format: 'openai_responses', responseId: 'resp_1' });
    // Columns that later steps add are left to their defaults.
    const first = new Set(
      database
        .prepare('SELECT name FROM pragma_table_info(?)')
        .all('requests')
        .map(({ name }) => name),
    );
    const columns = REQUEST_CODEC.columnList.split(', ');
    const kept = columns.map((name, at) => [name, at] as const).filter(([name]) => first.has(name));
    const values = REQUEST_CODEC.toValues(row);
    database
      .prepare(
        `INSERT INTO requests (${kept.map(([name]) => name).join(', ')}) VALUES (${kept.map(() => '?').join(', ')})`,
      )
      .run(...kept.map(([, at]) => values[at] ?? null));
    migrate(database, NOON);
    const filter = { tailnet: 'home', outcome: 'refused' } as const;
    assert.deepEqual(listRequests(database, filter, { limit: 5 }).items, [row]);
  });
});
