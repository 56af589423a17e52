import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { question } from '../../approvals/test-approvals.ts';
import type { Caller } from '../../identity/caller.ts';
import { caller, portOf, requestRow, startTestApi, type TestApi, tokenCaller } from '../test-api.ts';

const alice = caller('local:1');
const admin = caller('local:4');

let t: TestApi;
const open: IncomingMessage[] = [];
beforeEach(async () => {
  t = await startTestApi();
  t.world.access.set('local:1', { roles: new Set(['user']) });
  t.world.access.set('local:2', { roles: new Set(['user', 'lead']), leads: ['group:red'] });
  t.world.access.set('local:4', { roles: new Set(['admin']) });
});
afterEach(async () => {
  for (const stream of open.splice(0)) stream.destroy();
  await t.close();
});

/** Opens the stream as somebody; `next` resolves with the names of events as they come. */
async function follow(
  as: Caller,
): Promise<{ response: IncomingMessage; until(text: string): Promise<string> }> {
  const front = createServer((req, res) =>
    t.api.handle(req, res, { requestId: 'req_sse', caller: as, listener: 'loopback', secure: false }),
  );
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const port = portOf(front);
  const outgoing = request({ host: '127.0.0.1', port, path: '/api/v1/events' });
  outgoing.end();
  const response = await new Promise<IncomingMessage>((resolve) => outgoing.once('response', resolve));
  open.push(response);
  front.close();
  let seen = '';
  response.setEncoding('utf8');
  response.on('error', () => {});
  response.on('data', (text: string) => {
    seen += text;
  });
  return {
    response,
    async until(text) {
      while (!seen.includes(text)) await once(response, 'data');
      return seen;
    },
  };
}

describe('live events', () => {
  test('news of an approval goes to its requester, those who may decide it, auditors and admins', async () => {
    t.world.access.set('local:3', { roles: new Set(['user', 'approver']) });
    const streams = {
      alice: await follow(alice),
      stranger: await follow(caller('local:2')),
      approver: await follow(caller('local:3')),
      admin: await follow(admin),
    };
    const asked = question({ mode: 'pending', requester: { principal: 'local:1', label: 'user-1' } });
    const answer = await t.world.approvals.ask(asked);
    assert.ok(answer.state === 'pending');
    for (const principal of ['local:1', 'local:2', 'local:3'])
      t.world.bus.publish('request.finished', requestRow(`req_end_${principal}`, principal));
    const seen = {
      alice: await streams.alice.until('req_end_local:1'),
      stranger: await streams.stranger.until('req_end_local:2'),
      approver: await streams.approver.until('req_end_local:3'),
      admin: await streams.admin.until('req_end_local:3'),
    };
    for (const who of ['alice', 'approver', 'admin'] as const) {
      assert.match(seen[who], /event: approval\.requested/, who);
      assert.ok(seen[who].includes(answer.id) && !seen[who].includes('clean the build folder'), who);
    }
    assert.doesNotMatch(seen.stranger, /approval\./);
  });

  test('each sees what they may: own requests, those of a led group, or all', async () => {
    const streams = {
      alice: await follow(alice),
      lead: await follow(caller('local:2')),
      admin: await follow(admin),
    };
    t.world.bus.publish('request.finished', requestRow('req_other', 'local:9', { groups: ['group:blue'] }));
    t.world.bus.publish('request.finished', requestRow('req_foreign', 'local:1', { tailnet: 'elsewhere' }));
    t.world.bus.publish('request.finished', requestRow('req_red', 'local:9', { groups: ['group:red'] }));
    t.world.bus.publish('config.failed', { tailnet: 'home', message: 'line 3', at: 1 });
    for (const principal of ['local:1', 'local:2'])
      t.world.bus.publish('request.finished', requestRow(`req_end_${principal}`, principal));
    const seen = {
      alice: await streams.alice.until('req_end_local:1'),
      lead: await streams.lead.until('req_end_local:2'),
      admin: await streams.admin.until('req_end_local:2'),
    };
    const ids = (text: string): string[] =>
      [...text.matchAll(/"id":"(req_\w+)/g)].map((match) => match[1] ?? '');
    assert.deepEqual(ids(seen.alice), ['req_end_local']);
    assert.deepEqual(ids(seen.lead), ['req_red', 'req_end_local']);
    assert.deepEqual(ids(seen.admin), ['req_other', 'req_red', 'req_end_local', 'req_end_local']);
    assert.ok(!seen.alice.includes('config.failed') && seen.admin.includes('config.failed'));
  });

  test('it is an event stream with the fixed headers, and an event is one line of JSON', async () => {
    const stream = await follow(alice);
    const { response } = stream;
    assert.equal(response.headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(response.headers['x-content-type-options'], 'nosniff');
    assert.equal(response.headers['x-postern-request-id'], 'req_sse');
    t.world.bus.publish('request.finished', requestRow('req_1', 'local:1', { agent: 'a\nevent: x\n\n' }));
    const text = await stream.until('req_1');
    assert.match(text, /^: live\n\nevent: request\.finished\ndata: \{[^\n]+\}\n\n$/);
  });

  test('a right that ends, ends the stream at the next event; so does the end of a token', async () => {
    const mine = await follow(alice);
    const byToken = await follow(tokenCaller('local:4', ['read'], { expiresAt: t.world.now + 1_000 }));
    t.world.access.set('local:1', { roles: new Set() });
    t.world.access.set('local:4', { roles: new Set(['auditor']) });
    t.world.now += 1_000;
    const ended = [once(mine.response, 'end'), once(byToken.response, 'end')];
    t.world.bus.publish('request.finished', requestRow('req_late', 'local:1'));
    await Promise.all(ended);
  });

  test('a reader that does not keep up is cut, and its subscription ends', async () => {
    const slow = await follow(alice);
    slow.response.pause();
    const closed = new Promise<void>((resolve) => slow.response.once('close', resolve));
    const big = requestRow('req_big', 'local:1', { userLabel: 'x'.repeat(200_000) });
    for (let i = 0; i < 200; i += 1) {
      t.world.bus.publish('request.finished', big);
      await new Promise(setImmediate);
    }
    slow.response.resume();
    await closed;
    assert.equal(slow.response.complete, false);
  });

  test('streams a principal are bounded', async () => {
    for (let i = 0; i < 16; i += 1) await follow(alice);
    const { response } = await follow(alice);
    assert.equal(response.statusCode, 429);
  });

  test('the server ends all streams when it stops', async () => {
    const { response } = await follow(alice);
    const ended = once(response, 'end');
    t.api.close();
    await ended;
  });
});
