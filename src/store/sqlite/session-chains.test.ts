import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { RequestRow } from '../shapes.ts';
import type { Database } from './database.ts';
import { getRequest } from './request-queries.ts';
import { appendRequests, NOON, requestRow, TEST_KEYS, withDatabase } from './rows.fixture.ts';
import { pruneChains } from './session-chains.ts';

const HOUR_MS = 3_600_000;
const user = (content: unknown): object => ({ role: 'user', content });
const assistant = (content: unknown): object => ({ role: 'assistant', content });

/** Appends an exchange with this conversation and gives the session that it got. */
function sessionOf(
  database: Database,
  body: object | Uint8Array,
  given: Partial<RequestRow> = {},
): string | null {
  const id = `req_${Number(database.prepare('SELECT count(*) AS n FROM requests').get()?.['n'])}`;
  const row = requestRow(id, given);
  const conversation = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body), 'utf8');
  appendRequests(database, TEST_KEYS, {
    rows: [row],
    bodies: [],
    conversations: new Map([[id, conversation]]),
  });
  return getRequest(database, row.tailnet, id)?.sessionId ?? null;
}

test('a conversation that goes on is the same session, another one is not (DESIGN section 8)', () => {
  withDatabase((database) => {
    const first = sessionOf(database, { messages: [user('fix the bug')] });
    assert.match(first ?? '', /^ses_[0-9a-z]{26}$/);
    const second = sessionOf(database, {
      messages: [user('fix the bug'), assistant('done'), user('thanks')],
    });
    assert.equal(second, first);
    assert.notEqual(sessionOf(database, { messages: [user('another thing')] }), first);
    // Going back to the first turn and on from there is still this session.
    assert.equal(sessionOf(database, { messages: [user('fix the bug'), assistant('no')] }), first);
  });
});

test('what providers ignore does not part a session: marks, system prompt, text or list of text, white space', () => {
  withDatabase((database) => {
    const first = sessionOf(database, { system: 'day 1', messages: [user('hello')] });
    const marked = [{ type: 'text', text: 'hello', cache_control: { type: 'ephemeral' } }];
    const second = { system: 'day 2', messages: [user(marked), assistant('hi'), user('go on')] };
    assert.equal(sessionOf(database, second), first);
    assert.equal(sessionOf(database, Buffer.from(JSON.stringify(second, null, 2), 'utf8')), first);
  });
});

test('a session belongs to one principal, program, format and tailnet', () => {
  withDatabase((database) => {
    const body = { messages: [user('hello')] };
    const first = sessionOf(database, body);
    for (const other of [
      { principal: 'local:1001' },
      { agent: 'codex' },
      { format: 'openai_chat' },
      { tailnet: 'work' },
    ]) {
      assert.notEqual(sessionOf(database, body, other), first, JSON.stringify(other));
    }
    assert.equal(sessionOf(database, body), first);
  });
});

test('after 24 hours of rest a new session begins, and the old chain is forgotten', () => {
  withDatabase((database) => {
    const body = { messages: [user('hello')] };
    const first = sessionOf(database, body);
    assert.equal(sessionOf(database, body, { startedAt: NOON + 23 * HOUR_MS }), first);
    const later = sessionOf(database, body, { startedAt: NOON + 48 * HOUR_MS });
    assert.notEqual(later, first);
    sessionOf(database, { messages: [user('b')] }, { startedAt: NOON + 100 * HOUR_MS });
    pruneChains(database, NOON + 100 * HOUR_MS);
    assert.equal(database.prepare('SELECT count(*) AS n FROM session_chains').get()?.['n'], 1);
  });
});

test('every format with a conversation has sessions, others have none', () => {
  withDatabase((database) => {
    const bodies = {
      openai_chat: { messages: [user('a')] },
      openai_responses: { input: 'a' },
      gemini_generate_content: { contents: [{ role: 'user', parts: [{ text: 'a' }] }] },
      google_raw_predict: { messages: [user('a')] },
      bedrock_converse: { messages: [user([{ text: 'a' }])] },
      bedrock_model_invoke: { messages: [user('a')] },
    };
    for (const [format, body] of Object.entries(bodies))
      assert.match(sessionOf(database, body, { format }) ?? '', /^ses_/, format);
    assert.equal(sessionOf(database, { input: ['a', 'b'] }, { format: 'openai_embeddings' }), null);
    assert.equal(sessionOf(database, { messages: [] }), null);
    assert.equal(sessionOf(database, { model: 'm' }), null);
  });
});

test('a stored response that is gone on from gives its session (Responses API, previous_response_id)', () => {
  withDatabase((database) => {
    const format = 'openai_responses';
    const first = sessionOf(database, { input: 'a' }, { format, responseId: 'resp_1' });
    assert.equal(sessionOf(database, { previous_response_id: 'resp_1', input: 'b' }, { format }), first);
    const other = sessionOf(
      database,
      { previous_response_id: 'resp_1', input: 'c' },
      { format, principal: 'local:7' },
    );
    assert.notEqual(other, first);
  });
});

test('a label is kept as it is, and capture `none` leaves no hash', () => {
  withDatabase((database) => {
    assert.equal(sessionOf(database, { messages: [user('a')] }, { sessionId: 'mine' }), 'mine');
    assert.equal(sessionOf(database, { messages: [user('a')] }, { capture: 'none' }), null);
    assert.equal(database.prepare('SELECT count(*) AS n FROM session_chains').get()?.['n'], 0);
  });
});

test('no body can make the derivation fail', () => {
  withDatabase((database) => {
    const odd = [
      `{"messages":[${'['.repeat(400)}${']'.repeat(400)}]}`,
      '{"messages":[1,"x",null,{}]}',
      '{"messages":{}}',
      '',
    ];
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(...odd).map((text) => Buffer.from(text, 'utf8')),
      fc
        .jsonValue()
        .map((messages) => Buffer.from(JSON.stringify({ messages, previous_response_id: messages }), 'utf8')),
    );
    fc.assert(
      fc.property(body, (bytes) => {
        const session = sessionOf(database, bytes);
        assert.ok(session === null || session.startsWith('ses_'));
      }),
    );
  });
});
