import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { CapturedBodies } from '../../shapes.ts';
import type { Database } from '../database.ts';
import { appendRequests, capturedBodies, requestRow, TEST_KEYS, withDatabase } from '../rows.fixture.ts';
import { getBodies } from './body-store.ts';

const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');

test('any bodies come back byte for byte, with their types', () => {
  withDatabase((database) => {
    let count = 0;
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 1500, size: 'max' }),
      fc.json().map(utf8),
      fc
        .array(fc.jsonValue(), { maxLength: 8 })
        .map((messages) => utf8(JSON.stringify({ messages, fill: 'x'.repeat(600) }))),
    );
    fc.assert(
      fc.property(bytes, bytes, (request, response) => {
        count += 1;
        const bodies = {
          ...capturedBodies(`req_${count}`, request, response),
          responseTruncated: count % 2 === 0,
        };
        putBodies(database, bodies);
        const stored = getBodies(database, TEST_KEYS, 'home', bodies.requestId);
        assert.deepEqual(stored?.request, Uint8Array.from(request));
        assert.deepEqual(stored.response, Uint8Array.from(response));
        assert.equal(stored.requestContentType, 'application/json');
        assert.equal(stored.responseContentType, null);
        assert.equal(stored.responseTruncated, bodies.responseTruncated);
      }),
    );
  });
});

test('one tailnet shares no item with another, and reads none of its bodies (DESIGN section 12)', () => {
  withDatabase((database) => {
    const body = utf8('the same words');
    putBodies(database, capturedBodies('req_1', body, utf8('')));
    putBodies(database, capturedBodies('req_2', body, utf8('')));
    assert.equal(countItems(database), 1);
    putBodies(database, { ...capturedBodies('req_3', body, utf8('')), tailnet: 'work' });
    assert.equal(countItems(database), 2);
    assert.equal(getBodies(database, TEST_KEYS, 'work', 'req_1'), null);
  });
});

test('no stored byte shows the text', () => {
  withDatabase((database) => {
    putBodies(database, capturedBodies('req_1', utf8('a secret prompt'), utf8('a secret answer')));
    const packs = database.prepare('SELECT sealed FROM body_packs').all();
    assert.ok(packs.length > 0);
    for (const { sealed } of packs)
      assert.ok(sealed instanceof Uint8Array && !Buffer.from(sealed).includes('secret'));
  });
});

const attacks: readonly [what: string, sql: string, code: string][] = [
  [
    'bodies put in another’s place',
    "UPDATE bodies SET (start, length) = (SELECT start, length FROM bodies WHERE request_id = 'req_2') WHERE request_id = 'req_1'",
    'store_corrupt',
  ],
  [
    'bodies moved to another tailnet',
    "UPDATE bodies SET tailnet = 'work'; UPDATE body_packs SET tailnet = 'work'",
    'crypto_open_failed',
  ],
  [
    'packs exchanged',
    'UPDATE body_packs SET sealed = (SELECT sealed FROM body_packs AS o WHERE o.id = 3 - body_packs.id)',
    'crypto_open_failed',
  ],
  ['an item that points elsewhere', 'UPDATE body_items SET start = start + 1 WHERE id = 1', 'store_corrupt'],
  ['an item beyond its pack', 'UPDATE body_items SET length = 999999 WHERE id = 1', 'store_corrupt'],
  ['a missing item', 'DELETE FROM body_items WHERE id = 1', 'store_corrupt'],
  ['a missing pack', 'DELETE FROM body_packs WHERE id = 1', 'store_corrupt'],
];
for (const [what, sql, code] of attacks) {
  test(`reading finds ${what}`, () => {
    withDatabase((database) => {
      appendRequests(database, TEST_KEYS, {
        rows: ['req_1', 'req_2'].map((id) => requestRow(id, { capture: 'full' })),
        bodies: ['req_1', 'req_2'].map((id) =>
          capturedBodies(id, utf8(`prompt of ${id}`), utf8(`answer to ${id}`)),
        ),
      });
      putBodies(database, capturedBodies('req_3', utf8('a later one'), utf8('')));
      database.exec(sql);
      const tailnet = sql.includes("'work'") ? 'work' : 'home';
      assert.throws(() => getBodies(database, TEST_KEYS, tailnet, 'req_1'), { code });
    });
  });
}

test('pieces of several principals and of more than one pack come back', () => {
  withDatabase((database) => {
    const random = (): Uint8Array => globalThis.crypto.getRandomValues(new Uint8Array(50_000));
    const all = Array.from({ length: 12 }, (_, i) => ({
      ...capturedBodies(`req_${i}`, random(), random()),
      principal: `local:${i % 3}`,
    }));
    const rows = all.map(({ requestId }) => requestRow(requestId, { capture: 'full' }));
    appendRequests(database, TEST_KEYS, { rows, bodies: all });
    for (const { requestId, request, response } of all) {
      const stored = getBodies(database, TEST_KEYS, 'home', requestId);
      assert.deepEqual([stored?.request, stored?.response], [request, response]);
    }
  });
});

test('100 turns of an agent take at most 5 % of the bytes sent, and every request comes back (DESIGN section 11)', () => {
  withDatabase((database) => {
    const session = agentSession(100);
    const before = bytesUsed(database);
    let sent = 0;
    session.forEach(({ request, response }, i) => {
      sent += request.byteLength;
      const bodies = capturedBodies(`req_${i}`, request, response);
      appendRequests(database, TEST_KEYS, {
        rows: [requestRow(bodies.requestId, { capture: 'full', sessionId: 'ses_1' })],
        bodies: [bodies],
      });
    });
    const stored = bytesUsed(database) - before;
    const share = stored / sent;
    assert.ok(sent > 15e6, `sent ${sent}`);
    assert.ok(share <= 0.05, `${stored} bytes stored for ${sent} sent: ${(share * 100).toFixed(2)} %`);
    session.forEach(({ request, response }, i) => {
      const bodies = getBodies(database, TEST_KEYS, 'home', `req_${i}`);
      assert.ok(Buffer.from(request).equals(bodies?.request ?? new Uint8Array(0)), `request ${i}`);
      assert.ok(Buffer.from(response).equals(bodies?.response ?? new Uint8Array(0)), `answer ${i}`);
    });
  });
});

function putBodies(database: Database, bodies: CapturedBodies): void {
  const { requestId, tailnet, principal } = bodies;
  const row = requestRow(requestId, { tailnet, principal, capture: 'full', sessionId: 'ses_1' });
  appendRequests(database, TEST_KEYS, { rows: [row], bodies: [bodies] });
}

function countItems(database: Database): number {
  return Number(database.prepare('SELECT count(*) AS n FROM body_items').get()?.['n']);
}

/** Whole pages, indexes and rows included. */
function bytesUsed(database: Database): number {
  const pages = Number(database.prepare('PRAGMA page_count').get()?.['page_count']);
  return (pages - Number(database.prepare('PRAGMA freelist_count').get()?.['freelist_count'])) * 4096;
}

/**
 * What Claude Code sends: 80 kB of system prompt and tools, a history that grows by a tool call and
 * its result with every turn, `cache_control` on the last messages only, a header line in the
 * system prompt that changes each time; the answer streams the new call. Words come from a seeded
 * generator, so that they compress like text and no better.
 */
function agentSession(turns: number): { request: Uint8Array; response: Uint8Array }[] {
  const words = wordSource(42);
  const system = [
    { type: 'text', text: 'x-anthropic-billing-header: cc_version=2.1; cch=00000;' },
    { type: 'text', text: words(3_000), cache_control: { type: 'ephemeral' } },
  ];
  const tools = Array.from({ length: 24 }, (_, i) => ({
    name: `Tool${i}`,
    description: words(350),
    input_schema: { type: 'object', properties: { path: { type: 'string', description: words(20) } } },
  }));
  const history: { role: string; content: Record<string, unknown>[] }[] = [
    { role: 'user', content: [{ type: 'text', text: words(120) }] },
  ];
  return Array.from({ length: turns }, (_, turn) => {
    const messages = history.map((message, i) =>
      i < history.length - 2
        ? message
        : {
            ...message,
            content: message.content.map((block) => ({ ...block, cache_control: { type: 'ephemeral' } })),
          },
    );
    const body = {
      model: 'claude-sonnet-4-5',
      messages,
      system: [
        {
          ...system[0],
          text: `x-anthropic-billing-header: cc_version=2.1; cch=${turn.toString(16).padStart(5, '0')};`,
        },
        system[1],
      ],
      tools,
      metadata: { user_id: 'user_1_session_1' },
      max_tokens: 32_000,
      stream: true,
    };
    const [thought, command, result] = [words(40), words(30), words(350)];
    history.push(
      {
        role: 'assistant',
        content: [
          { type: 'text', text: thought },
          { type: 'tool_use', id: `toolu_${turn}`, name: 'Tool3', input: { command } },
        ],
      },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: `toolu_${turn}`, content: result }] },
    );
    return { request: utf8(JSON.stringify(body)), response: utf8(eventStream(`${thought} ${command}`)) };
  });
}

function eventStream(text: string): string {
  return text
    .split(' ')
    .map(
      (word) =>
        `event: content_block_delta\ndata: ${JSON.stringify({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: word } })}\n\n`,
    )
    .join('');
}

/** Texts of words drawn from a vocabulary of 4,000, the first of them more often (as in language). */
function wordSource(seed: number): (count: number) => string {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const vocabulary = Array.from({ length: 4_000 }, () =>
    Array.from({ length: 2 + Math.floor(next() * 9) }, () =>
      String.fromCodePoint(97 + Math.floor(next() * 26)),
    ).join(''),
  );
  return (count) =>
    Array.from({ length: count }, () => vocabulary[Math.floor(next() ** 3 * vocabulary.length)]).join(' ');
}
