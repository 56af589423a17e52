/** `pre_request`: Aperture's protocol over real sockets, and what holds where a hook fails or lies. */
import assert from 'node:assert/strict';
import type http from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { Secret } from '../../base/secret.ts';
import type { HookFault } from './errors.ts';
import {
  type Behaviour,
  bound,
  hooksFor,
  METADATA,
  PRIVATE_TEXT,
  requestOf,
  says,
  startHook,
} from './hook-server.fixture.ts';
import { bindHooks } from './order.ts';

describe('pre_request as Aperture has it', () => {
  test('the payload has the metadata always, and the fields of "send" only', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const { hooks } = hooksFor(t);
    const everything = [
      'request_body',
      'user_message',
      'grants',
      'quotas',
      'tools',
      'response_body',
      'raw_responses',
      'estimated_cost',
    ];
    await hooks.preRequest([bound({ url: hook.url }, [])], requestOf());
    await hooks.preRequest([bound({ url: hook.url }, everything)], requestOf());
    const metadata = {
      login_name: 'alice@example.com',
      user_agent: 'claude-cli/2.0',
      url: METADATA.url,
      model: 'claude-sonnet-4-6',
      provider: 'anthropic',
      tailnet_name: 'example.ts.net',
      stable_node_id: 'nSTABLE',
      request_id: 'req_1',
      session_id: 'ses_1',
    };
    assert.deepEqual(hook.calls[0]?.json, { metadata });
    assert.deepEqual(hook.calls[1]?.json, {
      metadata: {
        ...metadata,
        grants: { 'example.com/cap/tier': [{ tier: 'gold' }] },
        quotas: { 'daily:alice': { current: 5, capacity: 10, rate: '$5.00/day' } },
      },
      request_body: { model: 'm', messages: [{ role: 'user', content: PRIVATE_TEXT }] },
      user_message: PRIVATE_TEXT,
    });
  });

  test('the body goes byte for byte: numbers beyond doubles stay as they are', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const body = Buffer.from('{"model": "m",  "n":12345678901234567890.10}');
    const { hooks } = hooksFor(t);
    await hooks.preRequest([bound({ url: hook.url })], requestOf({ body }));
    assert.ok(hook.calls[0]?.body.includes(body));
  });

  test('hooks run in order of preference, then by name; switched-off ones and other events do not', () => {
    const entries = new Map(
      [
        { id: 'b', preference: 0 },
        { id: 'a', preference: 0 },
        { id: 'late', preference: -1 },
        { id: 'first', preference: 10 },
        { id: 'off', preference: 99, disabled: true },
        { id: 'after', preference: 99 },
      ].map((entry) => [entry.id, bound({ url: 'http://h.test', ...entry }).entry]),
    );
    const uses = ['late', 'b', 'off', 'a', 'first', 'nowhere'].map((name) => ({
      name,
      events: ['pre_request'],
      send: [],
    }));
    const found = bindHooks(
      [...uses, { name: 'after', events: ['entire_request'], send: [] }],
      entries,
      'pre_request',
    );
    assert.deepEqual(
      found.bound.map(({ entry }) => entry.id),
      ['first', 'a', 'b', 'late'],
    );
    assert.deepEqual(found.missing, ['nowhere']);
  });

  test('a changed body goes to the next hook, and a block ends the chain', async (t) => {
    const first = await startHook(t, says({ action: 'modify', request_body: { model: 'm', step: 1 } }));
    const second = await startHook(t, says({ action: 'block', status_code: 451, message: 'no\nsuch thing' }));
    const third = await startHook(t, says({ action: 'allow' }));
    const { hooks } = hooksFor(t);
    const verdict = await hooks.preRequest(
      [
        bound({ id: 'one', url: first.url }),
        bound({ id: 'two', url: second.url }),
        bound({ id: 'three', url: third.url }),
      ],
      requestOf(),
    );
    assert.deepEqual(second.calls[0]?.json['request_body'], { model: 'm', step: 1 });
    assert.equal(third.calls.length, 0);
    assert.ok(verdict.action === 'block');
    assert.deepEqual([verdict.hook, verdict.status, verdict.message], ['two', 451, 'no such thing']);
    assert.deepEqual(
      verdict.calls.map(({ hook, outcome }) => `${hook} ${outcome}`),
      ['one modify', 'two block'],
    );
  });

  test('a changed body comes back as the hook wrote it; an unchanged one is the same buffer', async (t) => {
    const changing: Behaviour = (res) =>
      res.end('{"action":"modify","request_body": {"seed":12345678901234567890} }');
    const change = await startHook(t, changing);
    const allow = await startHook(t, says({ action: 'allow', unknown: 1 }));
    const { hooks } = hooksFor(t);
    const request = requestOf();
    const changed = await hooks.preRequest([bound({ url: change.url })], request);
    assert.ok(changed.action === 'allow');
    assert.equal(changed.body.toString(), '{"seed":12345678901234567890}');
    assert.deepEqual(changed.modifiedBy, ['guard']);
    const same = await hooks.preRequest([bound({ url: allow.url })], request);
    assert.ok(same.action === 'allow' && same.body === request.body);
  });

  test('a block keeps its standard words and status where the hook says none that can be used', async (t) => {
    const { hooks } = hooksFor(t);
    for (const answer of [
      { action: 'block' },
      { action: 'block', status_code: 200, message: 7 },
      { action: 'block', status_code: '451', message: ' \u0007 ' },
      { action: 'block', status_code: 99999999999 },
    ]) {
      const hook = await startHook(t, says(answer));
      const verdict = await hooks.preRequest([bound({ url: hook.url })], requestOf());
      assert.ok(verdict.action === 'block');
      assert.deepEqual([verdict.status, verdict.message], [403, 'the hook "guard" blocks this request']);
    }
  });

  test('the key is presented in the three forms of providers, and a missing one is a failure', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const apiKey = { kind: 'vault' } as const;
    const withKey = hooksFor(t, {
      secrets: { apiKey: () => new Secret('k-1'), signingKey: () => null },
    });
    for (const authorization of ['bearer', 'x-api-key', 'x-goog-api-key'] as const) {
      await withKey.hooks.preRequest([bound({ url: hook.url, apiKey, authorization })], requestOf());
    }
    const sent = hook.calls.map(({ headers }) => [
      headers.authorization,
      headers['x-api-key'],
      headers['x-goog-api-key'],
    ]);
    assert.deepEqual(sent, [
      ['Bearer k-1', undefined, undefined],
      [undefined, 'k-1', undefined],
      [undefined, undefined, 'k-1'],
    ]);
    const without = await hooksFor(t).hooks.preRequest(
      [bound({ url: hook.url, apiKey, failPolicy: 'fail_closed' })],
      requestOf(),
    );
    assert.ok(without.action === 'unavailable' && without.fault === 'hook_key_missing');
    assert.equal(hook.calls.length, 3);
  });
});

/** A hook that fails in some way, and what the failure is called. */
interface Lie {
  readonly name: string;
  readonly behave: Behaviour;
  readonly fault: HookFault;
}

const raw =
  (text: string, type = 'application/json'): Behaviour =>
  (res) => {
    res.writeHead(200, { 'content-type': type });
    res.end(text);
  };

const MALFORMED: readonly (readonly [name: string, text: string])[] = [
  ['nothing', ''],
  ['no JSON', 'allow'],
  ['a string', '"allow"'],
  ['null', 'null'],
  ['a list', '[{"action":"allow"}]'],
  ['no action', '{}'],
  ['an unknown action', '{"action":"permit"}'],
  ['an action in other letters', '{"Action":"allow"}'],
  ['an action that is no string', '{"action":true}'],
  ['two actions', '{"action":"allow","action":"block"}'],
  ['two answers', '{"action":"allow"}{"action":"block"}'],
  ['a change without a body', '{"action":"modify"}'],
  ['a change to a text', '{"action":"modify","request_body":"{}"}'],
  ['a change to null', '{"action":"modify","request_body":null}'],
  ['half of a change', '{"action":"modify","request_body":{"a":1}'],
  ['a wish for everything after everything', '{"action":"resend"}'],
];

const LIES: readonly Lie[] = [
  { name: 'hangs', behave: () => undefined, fault: 'hook_timeout' },
  {
    name: 'answers slowly, byte by byte',
    behave: (res) => {
      res.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => res.write(' '), 20);
      res.on('close', () => clearInterval(timer));
    },
    fault: 'hook_timeout',
  },
  { name: 'dies at once', behave: (_, __, socket) => socket.destroy(), fault: 'hook_unreachable' },
  {
    name: 'dies in the middle of its answer',
    behave: (res, _, socket) => {
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      res.write('{"action":"allow"}');
      setImmediate(() => socket.destroy());
    },
    fault: 'hook_unreachable',
  },
  {
    name: 'answers no HTTP',
    behave: (_, __, socket) => socket.end('hello\r\n\r\n'),
    fault: 'hook_answer_malformed',
  },
  {
    name: 'redirects',
    behave: (res) => {
      res.writeHead(307, { location: 'http://127.0.0.1:1/elsewhere' });
      res.end('{"action":"allow"}');
    },
    fault: 'hook_status',
  },
  { name: 'answers 500', behave: says({ action: 'allow' }, 500), fault: 'hook_status' },
  { name: 'answers 404', behave: says({ action: 'allow' }, 404), fault: 'hook_status' },
  {
    name: 'answers 10 MB',
    behave: raw(`{"action":"allow","x":"${'x'.repeat(10_000_000)}"}`),
    fault: 'hook_answer_too_large',
  },
  {
    name: 'answers with a page',
    behave: raw('{"action":"allow"}', 'text/html'),
    fault: 'hook_answer_malformed',
  },
  {
    name: 'compresses',
    behave: (res) => {
      res.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      res.end('{"action":"allow"}');
    },
    fault: 'hook_answer_malformed',
  },
  {
    name: 'answers bytes that are no UTF-8',
    behave: (res) => res.end(Buffer.from('{"action":"allow","message":"\xff"}', 'latin1')),
    fault: 'hook_answer_malformed',
  },
  ...MALFORMED.map(([name, text]): Lie => {
    return { name: `answers ${name}`, behave: raw(text), fault: 'hook_answer_malformed' };
  }),
];

async function askLiar(t: TestContext, { behave, fault }: Lie, failPolicy: 'fail_open' | 'fail_closed') {
  const hook = await startHook(t, behave);
  const { hooks, log } = hooksFor(t);
  const timeoutMs = fault === 'hook_timeout' ? 150 : 5_000;
  const request = requestOf();
  const verdict = await hooks.preRequest([bound({ url: hook.url, failPolicy, timeoutMs })], request);
  const kept = JSON.stringify([log, hooks.stats(), verdict.action === 'allow' ? [] : verdict]);
  assert.ok(!kept.includes(PRIVATE_TEXT), 'no body in a log, a list or a verdict');
  assert.equal(verdict.calls[0]?.fault, fault);
  return { verdict, request };
}

describe('a hook that fails or lies (issue: malformed answers follow the fail policy)', () => {
  for (const lie of LIES) {
    test(`${lie.name}: fail_open lets by, fail_closed is a 503`, async (t) => {
      const open = await askLiar(t, lie, 'fail_open');
      assert.ok(open.verdict.action === 'allow' && open.verdict.body === open.request.body);
      const { verdict } = await askLiar(t, lie, 'fail_closed');
      assert.ok(verdict.action === 'unavailable');
      assert.deepEqual([verdict.status, verdict.fault], [503, lie.fault]);
    });
  }

  test('an address that the operator did not allow is never called', async (t) => {
    const { hooks } = hooksFor(t);
    const verdict = await hooks.preRequest(
      [bound({ url: 'http://169.254.169.254/latest', failPolicy: 'fail_closed' })],
      requestOf(),
    );
    assert.ok(verdict.action === 'unavailable' && verdict.fault === 'hook_unreachable');
  });

  test('a form cannot be shown to a hook that wants the body: the fail policy decides', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const { hooks } = hooksFor(t);
    const form = requestOf({ isJson: false, body: Buffer.from('--x\r\n') });
    const closed = await hooks.preRequest([bound({ url: hook.url, failPolicy: 'fail_closed' })], form);
    assert.ok(closed.action === 'unavailable' && closed.fault === 'hook_request_unsendable');
    const withoutBody = [bound({ url: hook.url, failPolicy: 'fail_closed' }, ['user_message'])];
    assert.equal((await hooks.preRequest(withoutBody, form)).action, 'allow');
    const change = await startHook(t, says({ action: 'modify', request_body: {} }));
    const changed = await hooks.preRequest([bound({ url: change.url, failPolicy: 'fail_closed' }, [])], form);
    assert.ok(changed.action === 'unavailable' && changed.fault === 'hook_answer_malformed');
  });

  test('facts that cannot be had let nothing by where a hook must agree', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const { hooks } = hooksFor(t);
    const broken = requestOf({
      quotas: () => {
        throw new Error(PRIVATE_TEXT);
      },
    });
    const asked = [bound({ url: hook.url, failPolicy: 'fail_closed' }, ['quotas'])];
    assert.equal((await hooks.preRequest(asked, broken)).action, 'unavailable');
    assert.equal(hook.calls.length, 0);
  });

  test('a caller who leaves is let by nowhere, whatever the policy, and opens no circuit', async (t) => {
    const leaving = new AbortController();
    const hook = await startHook(t, () => leaving.abort());
    const { hooks } = hooksFor(t);
    const verdict = await hooks.preRequest(
      [bound({ url: hook.url, breakAfter: 1 })],
      requestOf({ signal: leaving.signal }),
    );
    assert.ok(verdict.action === 'unavailable' && verdict.fault === 'hook_aborted');
    assert.equal(hooks.stats().hooks[0]?.circuit, 'closed');
  });

  test('a connection that the hook let go meanwhile is not a failure', async (t) => {
    const behave: Behaviour = (res, call, socket, index) => {
      if (index === 1) socket.destroy();
      else says({ action: 'allow' })(res, call, socket, index);
    };
    const hook = await startHook(t, behave);
    const { hooks } = hooksFor(t);
    const closed = [bound({ url: hook.url, failPolicy: 'fail_closed' })];
    assert.equal((await hooks.preRequest(closed, requestOf())).action, 'allow');
    // A turn of the loop, in which the connection becomes free again.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await hooks.preRequest(closed, requestOf())).action, 'allow');
    assert.equal(hook.calls.length, 3);
  });

  test('text/plain and no type at all are taken for JSON: servers write it for programs that say nothing', async (t) => {
    const { hooks } = hooksFor(t);
    for (const type of [undefined, 'text/plain; charset=utf-8', 'application/problem+json']) {
      const hook = await startHook(t, (res) => {
        if (type !== undefined) res.setHeader('content-type', type);
        res.end('{"action":"block"}');
      });
      assert.equal((await hooks.preRequest([bound({ url: hook.url })], requestOf())).action, 'block');
    }
  });
});

describe('monitor mode', () => {
  test('a hook is called and recorded, and neither its block nor its silence changes anything', async (t) => {
    const block = await startHook(t, says({ action: 'block' }));
    const hang = await startHook(t, () => undefined);
    const { hooks } = hooksFor(t);
    const request = requestOf();
    const verdict = await hooks.preRequest(
      [
        bound({ id: 'watch', url: block.url, mode: 'monitor', failPolicy: 'fail_closed' }),
        bound({ id: 'hang', url: hang.url, mode: 'monitor', failPolicy: 'fail_closed', timeoutMs: 200 }),
      ],
      request,
    );
    assert.ok(verdict.action === 'allow' && verdict.body === request.body);
    assert.deepEqual(
      verdict.calls.map(({ outcome, monitor }) => [outcome, monitor]),
      [
        ['started', true],
        ['started', true],
      ],
    );
    await block.called(1);
    const settled = (): boolean => hooks.stats().hooks.every(({ recent }) => recent.length === 1);
    while (!settled()) await new Promise((resolve) => setTimeout(resolve, 5));
    const outcomes = hooks.stats().hooks.map(({ hook, outcomes: counts }) => [hook, counts]);
    assert.deepEqual(outcomes, [
      ['watch', { block: 1 }],
      ['hang', { failed: 1 }],
    ]);
  });
});

describe('bounds', () => {
  test('what is only watched is dropped where there is no place at once', async (t) => {
    const hook = await startHook(t, () => undefined);
    const { hooks } = hooksFor(t);
    const watched = [bound({ url: hook.url, mode: 'monitor', maxConcurrent: 1, timeoutMs: 100 })];
    for (let i = 0; i < 3; i += 1) await hooks.preRequest(watched, requestOf());
    await hook.called(1);
    assert.deepEqual(hooks.stats().hooks[0]?.faults, { hook_busy: 2 });
    assert.equal(hooks.stats().hooks[0]?.waiting, 0);
  });

  test('an id of any characters makes no header of its own', async (t) => {
    const hook = await startHook(t, says({ action: 'block' }));
    const { hooks } = hooksFor(t);
    const odd = bound({ id: 'grün\r\nx-evil: 1 \ud800', url: hook.url });
    assert.equal((await hooks.preRequest([odd], requestOf())).action, 'block');
    assert.equal(hook.calls[0]?.headers['x-evil'], undefined);
  });

  test('no more calls at a time than "max_concurrent"; who waits too long has failed', async (t) => {
    const held: http.ServerResponse[] = [];
    const hook = await startHook(t, (res) => held.push(res));
    const { hooks } = hooksFor(t);
    const one = { url: hook.url, maxConcurrent: 1, failPolicy: 'fail_closed' } as const;
    const first = hooks.preRequest([bound({ ...one })], requestOf());
    await hook.called(1);
    const late = await hooks.preRequest([bound({ ...one, timeoutMs: 60 })], requestOf());
    assert.ok(late.action === 'unavailable' && late.fault === 'hook_timeout');
    const leaving = new AbortController();
    const left = hooks.preRequest([bound({ ...one })], requestOf({ signal: leaving.signal }));
    leaving.abort();
    assert.equal((await left).action, 'unavailable');
    const next = hooks.preRequest([bound({ ...one })], requestOf());
    assert.equal(hooks.stats().hooks[0]?.waiting, 1);
    assert.equal(hook.calls.length, 1);
    held[0]?.end('{"action":"allow"}');
    assert.equal((await first).action, 'allow');
    await hook.called(2);
    held[1]?.end('{"action":"allow"}');
    assert.equal((await next).action, 'allow');
    assert.equal(hooks.stats().hooks[0]?.running, 0);
  });

  test('an answer over "max_response_bytes" is a failure', async (t) => {
    const hook = await startHook(t, says({ action: 'allow', padding: 'x'.repeat(100) }));
    const { hooks } = hooksFor(t);
    const small = bound({ url: hook.url, maxResponseBytes: 64, failPolicy: 'fail_closed' });
    const verdict = await hooks.preRequest([small], requestOf());
    assert.ok(verdict.action === 'unavailable' && verdict.fault === 'hook_answer_too_large');
  });

  test('latency and outcomes are counted for each hook, newest call first', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const { hooks } = hooksFor(t);
    for (let i = 0; i < 60; i += 1) await hooks.preRequest([bound({ url: hook.url })], requestOf());
    const [view] = hooks.stats().hooks;
    assert.deepEqual(view?.outcomes, { allow: 60 });
    assert.equal(view?.recent.length, 50);
    assert.equal(view?.latency.buckets.at(-1)?.count, 60);
    assert.ok((view?.latency.p50 ?? -1) > 0 && (view?.latency.p99 ?? 0) >= (view?.latency.p50 ?? 0));
  });
});
