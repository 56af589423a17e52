/** Fallback, retries, circuits and weights through a whole Postern (issue "Routing"; docs/routing.md). */
import assert from 'node:assert/strict';
import net from 'node:net';
import { userInfo } from 'node:os';
import { test } from 'node:test';
import { startFakeUpstream, type FakeUpstream } from '../upstream/index.ts';
import { PROVIDER_ENV } from './fake-providers.ts';
import { startPostern, type Ending, type Postern, type Reply } from './harness.ts';

interface Pair {
  readonly one: FakeUpstream;
  readonly two: FakeUpstream;
  readonly postern: Postern;
}

interface PairOptions {
  readonly route?: Readonly<Record<string, unknown>>;
  readonly routing?: Readonly<Record<string, unknown>>;
  readonly capability?: Readonly<Record<string, unknown>>;
  readonly more?: Readonly<Record<string, unknown>>;
  /** Instead of the first fake's. */
  readonly oneUrl?: string;
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly settings?: unknown;
}

const TARGETS = ['one/gpt-fake', 'two/gpt-other'];

/** Two fake providers; the model `smart` is at both. */
async function pair(t: Ending, options: PairOptions = {}): Promise<Pair> {
  const [one, two] = await Promise.all([startFakeUpstream(), startFakeUpstream()]);
  t.after(() => Promise.all([one.close(), two.close()]));
  const provider = (baseurl: string): Record<string, unknown> => ({
    baseurl,
    apikey: 'env:FAKE_OPENAI_KEY',
    models: ['gpt-*'],
    compatibility: { openai_chat: true },
    model_cost_map: [{ match: 'gpt-*', as: 'gpt-4o' }],
    cost_basis: 'openai',
  });
  const document = {
    providers: { one: provider(options.oneUrl ?? one.url), two: provider(two.url) },
    routing: { models: { smart: { targets: TARGETS, ...options.route } }, ...options.routing },
    grants: [
      {
        src: ['(loopback)'],
        app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**', ...options.capability }] },
      },
      { src: [`local:${userInfo().uid}`], app: { 'postern.dev/cap/gateway': [{ role: 'admin' }] } },
    ],
    ...options.more,
  };
  const postern = await startPostern(t, {
    document,
    env: PROVIDER_ENV,
    flags: { allowUpstream: '127.0.0.0/8', ...options.flags },
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  });
  return { one, two, postern };
}

const CHAT = { model: 'smart', max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] };

function ask(
  postern: Postern,
  body: object = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  return postern.call('/v1/chat/completions', { body: { ...CHAT, ...body }, headers });
}

function modelsOf({ requests }: FakeUpstream): readonly unknown[] {
  return requests.map(({ body }) => (JSON.parse(body.toString()) as { model: unknown }).model);
}

for (const behaviour of [
  'status-500',
  'status-503',
  'status-529',
  'status-429',
  'reset-before-headers',
] as const) {
  for (const stream of [false, true]) {
    test(`fallback: ${behaviour} of the first target, ${stream ? 'streamed' : 'whole'}: the next one answers, once`, async (t) => {
      const { one, two, postern } = await pair(t);
      one.script(behaviour);
      const reply = await ask(postern, { stream });
      assert.equal(reply.status, 200, reply.text);
      assert.ok(reply.text.includes('Postern') || reply.text.length > 50, reply.text);
      assert.deepEqual([one.requests.length, modelsOf(two)], [1, ['gpt-other']]);
      const [row] = await postern.requests(1);
      assert.equal(row?.['provider'], 'two');
      assert.equal(row?.['model'], 'gpt-other');
      assert.equal(row?.['outcome'], 'ok');
      const decisions = (row?.['decisions'] ?? []) as { about: string; name: string }[];
      const attempts = decisions.filter(({ about }) => about === 'attempt');
      assert.equal(attempts.length, 1);
      assert.equal(attempts[0]?.name, 'one/gpt-fake');
    });
  }
}

test('fallback: a provider where nobody listens gives way to the next', async (t) => {
  const { two, postern } = await pair(t, { oneUrl: `http://127.0.0.1:${await freePort()}` });
  const reply = await ask(postern);
  assert.equal(reply.status, 200, reply.text);
  assert.equal(two.requests.length, 1);
});

test('fallback: no first byte in time gives way to the next', async (t) => {
  const { one, two, postern } = await pair(t, { settings: { timeouts: { firstByteMs: 1000 } } });
  one.script('hang-before-headers');
  const reply = await ask(postern);
  assert.equal(reply.status, 200, reply.text);
  assert.deepEqual([one.requests.length, two.requests.length], [1, 1]);
});

test('fallback: the caller’s own fault is told, not tried elsewhere', async (t) => {
  for (const behaviour of ['status-400', 'status-403', 'status-404', 'status-413'] as const) {
    await t.test(behaviour, async (t) => {
      const { one, two, postern } = await pair(t);
      one.script(behaviour);
      const reply = await ask(postern);
      assert.equal(reply.status, Number(behaviour.slice(7)));
      assert.deepEqual([one.requests.length, two.requests.length], [1, 0]);
    });
  }
});

test('fallback: where every target fails the last failure is told as it came', async (t) => {
  const { one, two, postern } = await pair(t, { routing: { retries: 1 } });
  one.script('status-500');
  two.script('status-503');
  const reply = await ask(postern);
  assert.equal(reply.status, 503, reply.text);
  assert.equal(one.requests.length + two.requests.length, 2);
});

test('retries: none after the first byte, and the caller gets one answer', async (t) => {
  const { one, two, postern } = await pair(t);
  one.script('reset-mid-stream');
  const reply = await ask(postern, { stream: true });
  assert.equal(reply.status, 200);
  assert.match(reply.text, /upstream_truncated/);
  assert.deepEqual([one.requests.length, two.requests.length], [1, 0]);
});

test('retries: 0 in the document makes none', async (t) => {
  const { one, two, postern } = await pair(t, { routing: { retries: 0 } });
  one.script('status-500');
  assert.equal((await ask(postern)).status, 500);
  assert.equal(two.requests.length, 0);
});

test('retries: alone, the same target is asked again after what Retry-After says', async (t) => {
  const { one, postern } = await pair(t, { route: { targets: ['one/gpt-fake'] } });
  one.script('status-503');
  const began = performance.now();
  const reply = await ask(postern);
  assert.equal(reply.status, 200, reply.text);
  assert.equal(one.requests.length, 2);
  assert.ok(performance.now() - began >= 2000, 'the fake said 2 s');
  const [row] = await postern.requests(1);
  const timing = row?.['timing'] as { own_us?: number } | undefined;
  assert.ok((timing?.own_us ?? 0) < 500_000, `a pause is no work of ours: ${JSON.stringify(timing)}`);
});

test('retries: a caller that leaves in the pause is not asked for again', async (t) => {
  const { one, postern } = await pair(t, { route: { targets: ['one/gpt-fake'] } });
  one.script('status-503');
  const { hostname, port } = new URL(postern.url);
  const body = JSON.stringify(CHAT);
  const socket = net.connect(Number(port), hostname);
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await one.settled(1);
  socket.destroy();
  const [row] = await postern.requests(1);
  assert.equal(row?.['outcome'], 'client_abort');
  assert.equal(one.requests.length, 1);
});

test('retries: a request with effects at the provider is not sent twice', async (t) => {
  const { one, two, postern } = await pair(t);
  one.script('status-500');
  const reply = await ask(postern, { tools: [{ type: 'mcp', server_label: 'x', server_url: 'https://x' }] });
  assert.equal(reply.status, 500, reply.text);
  assert.equal(two.requests.length, 0);
});

test('retries: a strict budget is not overrun: what may have been charged is not asked again', async (t) => {
  const { one, two, postern } = await pair(t, {
    settings: { timeouts: { firstByteMs: 1000 } },
    more: { quotas: { tokens: { unit: 'tokens', capacity: 100_000, reserve: 'bounded' } } },
    capability: { quotas: [{ bucket: 'tokens' }] },
  });
  one.script('hang-before-headers');
  const reply = await ask(postern);
  assert.equal(reply.status, 504, reply.text);
  assert.equal(two.requests.length, 0);
  // Said no before it did anything: it goes on, and one request is reserved for at a time.
  one.script('status-503');
  assert.equal((await ask(postern)).status, 200);
  assert.equal(two.requests.length, 1);
});

test('retries: an attempt that its provider may have worked on is charged by estimate beside the one that answered (design 0006, point 10)', async (t) => {
  const { one, two, postern } = await pair(t, {
    settings: { timeouts: { firstByteMs: 1000 } },
    more: { quotas: { tokens: { unit: 'tokens', capacity: 100_000, reserve: 'none' } } },
    capability: { quotas: [{ bucket: 'tokens' }] },
  });
  const messages = [{ role: 'user', content: 'x'.repeat(4_000) }];
  const left = (reply: Reply): number =>
    Number(/tokens=(\d+)/.exec(String(reply.headers['x-postern-budget-remaining']))?.[1]);
  const plain = await ask(postern, { messages });
  const before = left(await ask(postern));
  one.script('hang-before-headers');
  const reply = await ask(postern, { messages });
  assert.equal(reply.status, 200, reply.text);
  assert.equal(two.requests.length, 1);
  const row = (await postern.requests(3)).find(({ provider }) => provider === 'two');
  assert.equal(row?.['estimated'], true, JSON.stringify(row));
  const after = left(await ask(postern));
  // What such a request costs when one attempt answers it; the charge is its bytes by four.
  const usual = left(plain) - before;
  assert.ok(before - after >= usual + 1_000, `${before - after} tokens, ${usual} without the charge`);
});

test('retries: a request counts once, however many attempts it took', async (t) => {
  const { one, postern } = await pair(t, {
    more: { quotas: { rpm: { unit: 'requests', capacity: 2 } } },
    capability: { quotas: [{ bucket: 'rpm' }] },
  });
  one.script('status-500');
  const first = await ask(postern);
  assert.equal(first.status, 200, first.text);
  assert.equal((await ask(postern)).status, 200);
  assert.equal((await ask(postern)).status, 429);
});

test('fallback: a model that is not granted is none', async (t) => {
  const { one, two, postern } = await pair(t, { capability: { models: ['one/**'] } });
  for (let i = 0; i < 3; i += 1) one.script('status-500');
  const reply = await ask(postern);
  assert.equal(reply.status, 500, reply.text);
  assert.deepEqual([one.requests.length, two.requests.length], [3, 0]);
});

test('circuit: a target that fails in a row is passed over, and comes back', async (t) => {
  const { one, two, postern } = await pair(t, { routing: { break_after: 2, break_for: '1s' } });
  one.script('status-500');
  one.script('status-500');
  for (let i = 0; i < 2; i += 1) assert.equal((await ask(postern)).status, 200);
  assert.equal(one.requests.length, 2);
  assert.equal((await ask(postern)).status, 200);
  assert.deepEqual([one.requests.length, two.requests.length], [2, 3], 'its circuit is open');
  const health = await postern.call('/api/v1/providers/health');
  assert.equal(health.status, 200, health.text);
  assert.match(health.text, /"phase":"open"/);
  const deadline = performance.now() + 5000;
  while (one.requests.length === 2 && performance.now() < deadline) {
    assert.equal((await ask(postern)).status, 200);
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
  assert.equal(one.requests.length, 3, 'after the pause it is tried again');
  await ask(postern);
  assert.equal(one.requests.length, 4);
  assert.equal((await postern.call('/api/v1/providers/health')).text.includes('"open"'), false);
});

test('weights: targets get their shares', async (t) => {
  const targets = [
    { model: 'one/gpt-fake', weight: 3 },
    { model: 'two/gpt-other', weight: 1 },
  ];
  const { one, two, postern } = await pair(t, { route: { strategy: 'weighted', targets } });
  for (let i = 0; i < 8; i += 1) {
    const replies = await Promise.all(Array.from({ length: 25 }, () => ask(postern)));
    assert.ok(replies.every(({ status }) => status === 200));
  }
  const share = one.requests.length / (one.requests.length + two.requests.length);
  assert.ok(share > 0.6 && share < 0.9, `${share} of 200 requests went to a target with three quarters`);
});

test('sticky: a session stays at its target while that is well', async (t) => {
  const { one, two, postern } = await pair(t, { route: { strategy: 'weighted' } });
  const places = new Set<string>();
  for (let session = 0; session < 12; session += 1) {
    one.reset();
    two.reset();
    const headers = { 'x-postern-session': `session-${session}` };
    for (let i = 0; i < 4; i += 1) assert.equal((await ask(postern, {}, headers)).status, 200);
    const counts = [one.requests.length, two.requests.length];
    assert.ok(counts.includes(4), `session ${session} was split: ${counts.join(' and ')}`);
    places.add(counts.join());
  }
  assert.equal(places.size, 2, 'both targets have sessions');
});

test('regions: only targets of the route’s regions are asked, whatever fails', async (t) => {
  const { one, two, postern } = await pair(t, {
    route: {
      regions: ['eu'],
      targets: [
        { model: 'one/gpt-fake', region: 'eu' },
        { model: 'two/gpt-other', region: 'us' },
      ],
    },
  });
  for (let i = 0; i < 3; i += 1) one.script('status-500');
  assert.equal((await ask(postern)).status, 500);
  assert.deepEqual([one.requests.length, two.requests.length], [3, 0]);
});

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => {
    server.once('listening', resolve);
  });
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}
