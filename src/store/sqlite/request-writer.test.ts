import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { RequestRow } from '../shapes.ts';
import { getBodies } from './bodies/body-store.ts';
import type { Database } from './database.ts';
import { getRequest } from './request-queries.ts';
import { NOON, TEST_KEYS, appendRequests, capturedBodies, requestRow, withDatabase } from './rows.fixture.ts';

const FILL = 'x'.repeat(1000);

function conversation(turns: number): Buffer {
  const messages = Array.from({ length: turns }, (_, i) => ({ role: 'user', content: `${i} ${FILL}` }));
  return Buffer.from(JSON.stringify({ model: 'm', messages, tools: [{ name: FILL }] }), 'utf8');
}

function append(database: Database, given: Partial<RequestRow> & { id: string }, body: Buffer): void {
  const row = requestRow(given.id, { capture: 'full', ...given });
  const { tailnet, principal } = row;
  const bodies = { ...capturedBodies(given.id, body, Buffer.from('answer')), tailnet, principal };
  appendRequests(database, TEST_KEYS, {
    rows: [row],
    bodies: [bodies],
    conversations: new Map([[given.id, body]]),
  });
}

const count = (database: Database, table: string): number =>
  Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']);

test('what a failed batch learnt is not used by the next one (DESIGN section 8)', () => {
  withDatabase((database) => {
    const body = conversation(4);
    const conversations = new Map([['req_1', body]]);
    const bad = requestRow('req_2', { status: Number.NaN });
    const bodies = [capturedBodies('req_1', body, Buffer.from('a'))];
    const rows = [requestRow('req_1', { capture: 'full' }), bad];
    assert.throws(() => appendRequests(database, TEST_KEYS, { rows, bodies, conversations }));
    append(database, { id: 'req_3' }, body);
    assert.ok(body.equals(getBodies(database, TEST_KEYS, 'home', 'req_3')?.request ?? Buffer.alloc(0)));
    assert.equal(count(database, 'session_chains'), 1);
  });
});

test('the end of a conversation that was rolled back is written when it comes again', () => {
  withDatabase((database) => {
    const body = conversation(2);
    database.exec(`INSERT INTO session_chains VALUES (x'00', 'ses_old', 0);
      CREATE TRIGGER no_pruning BEFORE DELETE ON session_chains BEGIN SELECT raise(ABORT, 'no'); END`);
    assert.throws(() => append(database, { id: 'req_1' }, body));
    assert.equal(count(database, 'session_chains'), 1);
    database.exec('DROP TRIGGER no_pruning');
    append(database, { id: 'req_1' }, body);
    const [end, ...rest] = database.prepare('SELECT session_id, at FROM session_chains').all();
    assert.deepEqual([end?.['at'], rest.length], [NOON, 0]);
    assert.equal(getRequest(database, 'home', 'req_1')?.sessionId, end?.['session_id']);
  });
});

test('bodies that were edited anywhere between two turns come back byte for byte', () => {
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.nat(2500),
    insert: fc.string(),
  });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 5 }), (edits) => {
      withDatabase((database) => {
        let text = conversation(4).toString('utf8');
        const sent: Buffer[] = edits.map(({ at, remove, insert }) => {
          const from = Math.floor(at * text.length);
          text = text.slice(0, from) + insert + text.slice(from + remove) || conversation(5).toString('utf8');
          return Buffer.from(text, 'utf8');
        });
        sent.unshift(conversation(4));
        sent.forEach((body, i) => append(database, { id: `req_${i}` }, body));
        sent.forEach((body, i) => {
          const stored = getBodies(database, TEST_KEYS, 'home', `req_${i}`);
          assert.ok(body.equals(stored?.request ?? Buffer.alloc(0)), `turn ${i}`);
        });
      });
    }),
    { numRuns: 60 },
  );
});

test('turns of a conversation give one session, one item each, and come back byte for byte', () => {
  withDatabase((database) => {
    for (let turns = 1; turns <= 20; turns += 1)
      append(database, { id: `req_${turns}` }, conversation(turns));
    const sessions = new Set<string | null>();
    for (let turns = 1; turns <= 20; turns += 1) {
      sessions.add(getRequest(database, 'home', `req_${turns}`)?.sessionId ?? null);
      const stored = getBodies(database, TEST_KEYS, 'home', `req_${turns}`);
      assert.ok(conversation(turns).equals(stored?.request ?? Buffer.alloc(0)), `turn ${turns}`);
      assert.equal(Buffer.from(stored?.response ?? []).toString(), 'answer');
    }
    assert.equal(sessions.size, 1);
    // 20 messages, the head, what stands between the arrays, the tool and the end.
    assert.ok(count(database, 'body_items') <= 25, String(count(database, 'body_items')));
  });
});

test('the same body of another tailnet or principal is stored and joined for itself (DESIGN section 12)', () => {
  withDatabase((database) => {
    const owners = [{}, { tailnet: 'work' }, { principal: 'local:7' }];
    owners.forEach((owner, i) => append(database, { id: `req_${i}`, ...owner }, conversation(3)));
    const sessions = owners.map(
      (owner, i) => getRequest(database, 'tailnet' in owner ? 'work' : 'home', `req_${i}`)?.sessionId,
    );
    assert.equal(new Set(sessions).size, 3);
    const shared = database.prepare('SELECT count(*) AS n FROM body_packs').get()?.['n'];
    assert.equal(shared, 3);
    assert.equal(getBodies(database, TEST_KEYS, 'home', 'req_1'), null);
    assert.ok(getBodies(database, TEST_KEYS, 'work', 'req_1') !== null);
  });
});

test('a conversation that is sent again soon writes its end once, and after five minutes anew', () => {
  withDatabase((database) => {
    const endedAt = (): unknown => database.prepare('SELECT at FROM session_chains').get()?.['at'];
    append(database, { id: 'req_1' }, conversation(3));
    append(database, { id: 'req_2', startedAt: NOON + 60_000 }, conversation(3));
    assert.equal(endedAt(), NOON);
    append(database, { id: 'req_3', startedAt: NOON + 300_000 }, conversation(3));
    assert.equal(endedAt(), NOON + 300_000);
  });
});

test('a labelled conversation whose body is captured keeps its label', () => {
  withDatabase((database) => {
    append(database, { id: 'req_1', sessionId: 'mine' }, conversation(3));
    assert.equal(getRequest(database, 'home', 'req_1')?.sessionId, 'mine');
    assert.equal(count(database, 'session_chains'), 0);
  });
});
