/** The receivers of examples/hooks: who may ask, and that no decision is never an "allow". */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { askCerbos } from '../examples/hooks/cerbos/decide.ts';
import { askOpa } from '../examples/hooks/opa/decide.ts';
import { createReceiver, isSigned } from '../examples/hooks/receiver.ts';

const SECRET = 'whs_test';
const NOW_SEC = 1_700_000_000;
const PAYLOAD = {
  metadata: {
    login_name: 'alice@example.com',
    stable_node_id: 'n1',
    tailnet_name: 'example.ts.net',
    model: 'm',
    provider: 'p',
    request_id: 'r',
    session_id: 's',
  },
  tool_call: { id: null, name: 'Read', params: {} },
};

function sign(body: string, seconds = NOW_SEC): string {
  const mac = createHmac('sha256', SECRET).update(`${seconds}.${body}`).digest('hex');
  return `t=${seconds},v1=${mac}`;
}

async function listen(t: TestContext, server: http.Server): Promise<string> {
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return `http://127.0.0.1:${address.port}`;
}

/** An engine that answers everything with one text. */
function engine(t: TestContext, answer: string, status = 200): Promise<string> {
  return listen(
    t,
    http.createServer((req, res) => {
      req.resume();
      res.writeHead(status, { 'content-type': 'application/json' });
      res.end(answer);
    }),
  );
}

async function ask(url: string, event: string, headers: Record<string, string> = {}): Promise<Response> {
  const body = JSON.stringify(PAYLOAD);
  return fetch(url, {
    method: 'POST',
    headers: { 'x-postern-event': event, 'x-postern-signature': sign(body), ...headers },
    body,
  });
}

describe('receivers of hooks (examples/hooks)', () => {
  test('whoever has no valid, fresh signature is told nothing', async (t) => {
    const asked: string[] = [];
    const decide = async (event: string) => {
      asked.push(event);
      return { action: 'allow' } as const;
    };
    const url = await listen(t, createReceiver({ secret: SECRET, decide, nowSec: () => NOW_SEC }));
    const body = JSON.stringify(PAYLOAD);
    for (const signature of ['', sign(`${body} `), sign(body, NOW_SEC - 301), sign(body, NOW_SEC + 301)]) {
      assert.equal((await ask(url, 'pre_request', { 'x-postern-signature': signature })).status, 401);
    }
    assert.deepEqual(asked, []);
    assert.equal((await ask(url, 'pre_request')).status, 200);
    assert.deepEqual(asked, ['pre_request']);
    assert.equal(isSigned(sign(body), Buffer.from(body), 'other', NOW_SEC), false);
  });

  const silent: readonly (readonly [name: string, answer: string, status?: number])[] = [
    ['no result', '{}'],
    ['no JSON', 'allow'],
    ['null', 'null'],
    ['an unknown action', '{"result":{"action":"permit"}}'],
    ['an error', '{"result":{"action":"allow"}}', 500],
    ['an unknown effect', '{"results":[{"actions":{"use":"EFFECT_MAYBE","run":"EFFECT_MAYBE"}}]}'],
    ['one effect of two', '{"results":[{"actions":{"run":"EFFECT_ALLOW"}}]}'],
  ];
  for (const [name, answer, status] of silent) {
    test(`an engine that answers with ${name} gives no decision: 503`, async (t) => {
      const behind = await engine(t, answer, status);
      for (const decide of [askOpa(behind), askCerbos(behind)]) {
        const url = await listen(t, createReceiver({ secret: SECRET, decide, nowSec: () => NOW_SEC }));
        for (const event of ['pre_request', 'tool_call']) assert.equal((await ask(url, event)).status, 503);
      }
    });
  }

  test('an engine that is not there gives no decision: 503', async (t) => {
    for (const decide of [askOpa('http://127.0.0.1:1'), askCerbos('http://127.0.0.1:1')]) {
      const url = await listen(t, createReceiver({ secret: SECRET, decide, nowSec: () => NOW_SEC }));
      assert.equal((await ask(url, 'tool_call')).status, 503);
    }
  });
});
