/** What a killed process leaves: nothing acknowledged is lost, nothing is damaged (DESIGN section 8). */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { Database } from './database.ts';
import { openTestStore, TEST_KEYS, withFolder } from './rows.fixture.ts';
import { getBodies } from './bodies/body-store.ts';

const ROUNDS = 8;
/** A batch takes some 15 ms, most of them in SQLite. */
const KILL_STEP_MS = 3;

/** Appends without end in a child, and kills it soon after `batches` were acknowledged. Gives the ids that were acknowledged. */
function appendAndKill(file: string, round: number, batches: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL('./append-forever.fixture.ts', import.meta.url), [file, String(round)], {
      stdio: 'inherit',
    });
    const ids: string[] = [];
    child.on('message', (message) => {
      assert.ok(Array.isArray(message));
      ids.push(...message.map(String));
      if (ids.length !== batches * 20) return;
      // At another point of the write under way in each round.
      setTimeout(() => child.kill('SIGKILL'), round * KILL_STEP_MS);
    });
    child.on('error', reject);
    child.on('exit', (_, signal) =>
      signal === 'SIGKILL' ? resolve(ids) : reject(new Error('the child ended by itself')),
    );
  });
}

test('after kill -9 the database is whole and holds every acknowledged batch', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'postern.db');
    const acknowledged: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      acknowledged.push(...(await appendAndKill(file, round, 2 + (round % 3))));
    }
    const store = await openTestStore(file);
    const verdict = await store.verifyAudit('home');
    await store.close();
    assert.equal(verdict.brokenAt, null);
    const database = new Database(file, 'reader');
    assert.deepEqual(
      database
        .prepare('PRAGMA integrity_check')
        .all()
        .map((row) => row['integrity_check']),
      ['ok'],
    );
    const stored = new Set(
      database
        .prepare('SELECT id FROM requests')
        .all()
        .map((row) => row['id']),
    );
    assert.deepEqual(
      acknowledged.filter((id) => !stored.has(id)),
      [],
    );
    // Rows and bodies are one transaction: whoever has the row has its body.
    for (const id of stored) assert.ok(getBodies(database, TEST_KEYS, 'home', String(id)) !== null);
    database.close();
  });
});
