import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemRandom } from '../../base/random.ts';
import type { RequestRow, Store } from '../../store/shapes.ts';
import { capturedBodies, NOON, requestRow, withStore } from '../../store/sqlite/rows.fixture.ts';
import { readTurns, type Turn } from './read-session.ts';
import { findItem, searchTurns } from './search-session.ts';
import { countRepeated } from './turn-view.ts';

const text = (role: string, words: string) => ({ role, content: [{ type: 'text', text: words }] });
/** The mark that clients move to the last message of each request. */
const marked = (role: string, words: string) => ({
  role,
  content: [{ type: 'text', text: words, cache_control: { type: 'ephemeral' } }],
});
const FILL = 'word '.repeat(200);

async function keep(
  store: Store,
  requests: readonly {
    readonly messages: readonly unknown[];
    readonly more?: Partial<RequestRow>;
    readonly system?: string;
  }[],
): Promise<readonly RequestRow[]> {
  const rows = requests.map(({ more }, i) =>
    requestRow(`req_${i}`, { sessionId: 's', capture: 'full', startedAt: NOON + i, ...more }),
  );
  const bodies = requests.map(({ messages, system }, i) =>
    capturedBodies(
      `req_${i}`,
      Buffer.from(JSON.stringify({ model: 'm', system: system ?? FILL, messages, max_tokens: 5 })),
      Buffer.from('{"content":[{"type":"text","text":"fine"}]}'),
    ),
  );
  await store.appendRequests({ rows, bodies });
  return rows;
}

const read = (store: Store, rows: readonly RequestRow[]): Promise<readonly Turn[]> =>
  readTurns({ store, random: systemRandom }, 'home', rows);

describe('a session is a tree of turns, each with what it adds (DESIGN section 8)', () => {
  test('a turn goes on from the one with the longest common beginning, whatever marks of caches move', () =>
    withStore(async (store) => {
      const rows = await keep(store, [
        { messages: [marked('user', 'one')] },
        { messages: [text('user', 'one'), text('assistant', 'fine'), marked('user', 'two')] },
        // A sub-agent, of a system and beginning of its own.
        { messages: [marked('user', 'look there')], system: `other ${FILL}` },
        {
          messages: [
            text('user', 'one'),
            text('assistant', 'fine'),
            text('user', 'two'),
            text('assistant', 'fine'),
            marked('user', 'three'),
          ],
        },
        // A fork: the second turn said otherwise.
        { messages: [text('user', 'one'), text('assistant', 'fine'), marked('user', 'two, better')] },
      ]);
      const turns = await read(store, rows);
      assert.deepEqual(
        turns.map(({ parent, shared, sameSystem }) => [parent, shared, sameSystem]),
        [
          [null, 0, false],
          ['req_0', 1, true],
          [null, 0, false],
          ['req_1', 3, true],
          ['req_3', 2, true],
        ],
      );
      const answer = {
        blocks: turns[1]?.request?.messages[1]?.blocks ?? [],
        stopReason: null,
        isCut: false,
        error: null,
      };
      assert.equal(countRepeated(turns[1]?.request?.messages.slice(1) ?? [], answer), 1);
      assert.equal(countRepeated(turns[0]?.request?.messages ?? [], answer), 0);
    }));

  test('a request that names the response before it goes on from that', () =>
    withStore(async (store) => {
      const rows = [
        requestRow('req_a', {
          format: 'openai_responses',
          sessionId: 's',
          capture: 'full',
          responseId: 'resp_1',
        }),
        requestRow('req_b', {
          format: 'openai_responses',
          sessionId: 's',
          capture: 'full',
          startedAt: NOON + 1,
        }),
      ];
      const body = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
      await store.appendRequests({
        rows,
        bodies: [
          capturedBodies('req_a', body({ input: 'one' }), body({})),
          capturedBodies('req_b', body({ input: 'two', previous_response_id: 'resp_1' }), body({})),
        ],
      });
      assert.deepEqual(
        (await read(store, rows)).map(({ parent, shared }) => [parent, shared]),
        [
          [null, 0],
          ['req_a', 0],
        ],
      );
    }));

  test('what is not kept, or no conversation, is said so; texts that look like placeholders stay texts', () =>
    withStore(async (store) => {
      const rows = await keep(store, [
        { messages: [text('user', '{"deadbeef":1}'), text('user', `{"x":1},${FILL}`)] },
      ]);
      const odd = requestRow('req_odd', { capture: 'full', sessionId: 's' });
      await store.appendRequests({
        rows: [odd],
        bodies: [capturedBodies('req_odd', Buffer.from('no json'), Buffer.from(''))],
      });
      const turns = await read(store, [...rows, odd, requestRow('req_none', { capture: 'metadata' })]);
      assert.deepEqual(
        turns.map(({ content }) => content),
        ['kept', 'unreadable', 'not_kept'],
      );
      assert.equal(turns[0]?.request?.messages[0]?.blocks[0]?.text, '{"deadbeef":1}');
      assert.equal(findItem('req_0:m0.0', turns, new Map())?.text, '{"deadbeef":1}');
      for (const item of ['req_0:m9.0', 'req_0:x0.0', 'req_9:m0.0', 'm0.0', ''])
        assert.equal(findItem(item, turns, new Map()), null);
      assert.deepEqual(
        searchTurns('DEADbeef', turns, new Map()).map(({ item, number, at }) => [item, number, at]),
        [['req_0:m0.0', 1, 2]],
      );
    }));

  test('300 turns with bodies of 400 kB are read in under a second, of which nothing is read twice', () =>
    withStore(async (store) => {
      const system = 'You are an agent. '.repeat(5_000);
      const history: unknown[] = [text('user', 'begin')];
      const rows: RequestRow[] = [];
      let bytes = 0;
      for (let i = 0; i < 300; i += 1) {
        history.push(text('assistant', `step ${i}`), text('user', `result ${i} ${`line ${i} `.repeat(130)}`));
        const body = Buffer.from(JSON.stringify({ model: 'm', system, messages: history, max_tokens: 5 }));
        bytes = body.length;
        const row = requestRow(`req_${i}`, { sessionId: 's', capture: 'full', startedAt: NOON + i });
        rows.push(row);
        await store.appendRequests({
          rows: [row],
          bodies: [capturedBodies(row.id, body, Buffer.from('{}'))],
        });
      }
      assert.ok(bytes > 400_000, String(bytes));
      const begun = performance.now();
      const turns = await read(store, rows);
      const tookMs = performance.now() - begun;
      assert.deepEqual([turns[299]?.parent, turns[299]?.shared], ['req_298', 599]);
      // It takes 130 ms on two shared cores.
      assert.ok(tookMs < 1_000, `${tookMs} ms`);
    }));
});
