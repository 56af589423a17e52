/** Budgets for people: seen, refilled, asked for and alerted about; a model granted by an approval (DESIGN section 7). */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { startFakeUpstream } from '../upstream/index.ts';
import { claim, type PresenceHeaders, saveDocument, showPresence } from './administration.ts';
import { eventually, openAnswer } from './ask.ts';
import { documentFor, PROVIDER_ENV } from './fake-providers.ts';
import { startPostern, type Ending, type Postern, type PosternOptions, type Reply } from './harness.ts';

const ADMIN_TOKEN = 'break-glass-token-of-this-test-0123456789';
/** Somebody else than whoever asks. */
const OPERATOR = { authorization: `Bearer ${ADMIN_TOKEN}` };
const SECRET = 'what-signs-the-alerts';
const CHAT = { model: 'gpt-fake', max_tokens: 5, messages: [{ role: 'user', content: 'hello' }] };

interface Alert {
  readonly event: string;
  readonly signed: boolean;
  readonly data: Record<string, unknown>;
}

/** Takes alerts, and looks at their signatures as a receiver should. */
async function startReceiver(
  t: Ending,
): Promise<{ readonly url: string; readonly alerts: readonly Alert[] }> {
  const alerts: Alert[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const [, at = '', mac = ''] =
        /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(req.headers['x-postern-signature'])) ?? [];
      const wanted = createHmac('sha256', SECRET).update(`${at}.${body}`).digest('hex');
      const { event, data } = JSON.parse(body) as { event: string; data: Record<string, unknown> };
      alerts.push({ event, data, signed: mac === wanted && Math.abs(Date.now() / 1_000 - Number(at)) < 60 });
      res.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`,
    alerts,
  };
}

interface Person {
  call(path: string, body?: unknown, method?: string): Promise<Reply>;
  /** Status of one small request to the model. */
  chat(model?: string): Promise<number>;
}

const presences = new WeakMap<Postern, Promise<PresenceHeaders>>();

/** Of whoever runs the tests, an admin; shown once for each Postern. */
function presenceOf(postern: Postern): Promise<PresenceHeaders> {
  const shown = presences.get(postern) ?? showPresence(postern);
  presences.set(postern, shown);
  return shown;
}

/** Somebody with a token of their own; the operator did not make it, or they could not decide about its questions. */
async function person(postern: Postern, owner: string): Promise<Person> {
  const minted = await postern.call('/api/v1/tokens', {
    body: { name: 'a test', owner, scopes: ['use', 'read'] },
    headers: await presenceOf(postern),
  });
  assert.equal(minted.status, 201, minted.text);
  const headers = { 'x-postern-authorization': `Bearer ${String(minted.json()['token'])}` };
  const call: Person['call'] = (path, body, method) =>
    postern.call(path, { headers, body, ...(method === undefined ? {} : { method }) });
  return {
    call,
    chat: async (model = 'gpt-fake') => (await call('/v1/chat/completions', { ...CHAT, model })).status,
  };
}

const operator = (postern: Postern, path: string, body?: unknown, method?: string): Promise<Reply> =>
  postern.call(path, { headers: OPERATOR, body, ...(method === undefined ? {} : { method }) });

/** Two requests for each user, and never more. */
async function startScene(
  t: Ending,
  more: Record<string, unknown> = {},
): Promise<{ postern: Postern; options: PosternOptions }> {
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const document = documentFor(upstream.url, {
    more: { quotas: { 'requests:<user>': { unit: 'requests', capacity: 2, warn_at: [0.5], ...more } } },
  });
  const cap = { role: 'user', models: '**', quotas: [{ bucket: 'requests:<user>' }] };
  (document['grants'] as object[]).push({
    src: ['service:alice', 'service:bob'],
    app: { 'postern.dev/cap/gateway': [cap] },
  });
  const options: PosternOptions = {
    document,
    env: { ...PROVIDER_ENV, POSTERN_ADMIN_TOKEN: ADMIN_TOKEN },
    flags: { allowUpstream: '127.0.0.0/8' },
  };
  return { postern: await startPostern(t, options), options };
}

const items = (reply: Reply): Record<string, unknown>[] => {
  assert.equal(reply.status, 200, reply.text);
  return reply.json()['items'] as Record<string, unknown>[];
};

test('budgets: everybody sees theirs, auditors and admins all, and an admin refills, on record', async (t) => {
  const { postern } = await startScene(t);
  const alice = await person(postern, 'service:alice');
  const bob = await person(postern, 'service:bob');
  const [full] = items(await alice.call('/api/v1/budgets'));
  assert.deepEqual([full?.['remaining'], full?.['capacity'], full?.['warned']], [2, 2, []]);
  const bucket = String(full?.['bucket']);
  assert.match(bucket, /^requests:.*alice/);
  assert.deepEqual([await alice.chat(), await alice.chat(), await alice.chat()], [200, 200, 429]);
  const [spent] = items(await alice.call('/api/v1/budgets'));
  assert.deepEqual([spent?.['remaining'], spent?.['warned']], [0, [0.5]]);
  assert.deepEqual(
    items(await bob.call('/api/v1/budgets')).map(({ remaining }) => remaining),
    [2],
    'not those of others',
  );
  assert.equal((await bob.call('/api/v1/budgets?of=all')).json()['code'], 'not_yours');
  assert.equal((await bob.call('/api/v1/budgets?group=group:x')).json()['code'], 'not_yours');
  assert.deepEqual(
    items(await operator(postern, '/api/v1/budgets')).map((one) => one['bucket']),
    [bucket],
  );
  const shape = await bob.call('/api/quotas');
  assert.match(shape.text, /^\[\{"bucket":"requests:[^"]*bob","balance":"2","capacity":"2","rate":null,/);

  const refill = { bucket, amount: 1, reason: 'a release' };
  assert.equal((await alice.call('/api/v1/budgets/refill', refill)).status, 403);
  assert.equal(
    (await operator(postern, '/api/v1/budgets/refill', { ...refill, bucket: 'none' })).status,
    404,
  );
  assert.equal((await operator(postern, '/api/v1/budgets/refill', { ...refill, amount: '$1' })).status, 400);
  const refilled = await operator(postern, '/api/v1/budgets/refill', refill);
  assert.equal(items(refilled)[0]?.['remaining'], 1);
  assert.deepEqual([await alice.chat(), await alice.chat()], [200, 429]);
  const aperture = await operator(postern, '/api/quotas/refill', { bucket, amount: '2' });
  assert.equal(aperture.status, 200, aperture.text);
  assert.deepEqual([await alice.chat(), await alice.chat(), await alice.chat()], [200, 200, 429]);
  const audit = items(await operator(postern, '/api/v1/audit?action=budget.refill'));
  assert.deepEqual(
    audit.map(({ actor, target, reason }) => [actor, target, reason]),
    [
      ['operator', bucket, null],
      ['operator', bucket, 'a release'],
    ],
  );
});

test('asking for more: approved by another it refills once, over restarts, and is on record', async (t) => {
  const { postern: first, options } = await startScene(t);
  const alice = await person(first, 'service:alice');
  const bob = await person(first, 'service:bob');
  const bucket = String(items(await alice.call('/api/v1/budgets'))[0]?.['bucket']);
  for (let i = 0; i < 2; i += 1) assert.equal(await alice.chat(), 200);
  const question = { kind: 'budget', bucket, amount: 1, reason: 'a deadline' };
  assert.equal((await bob.call('/api/v1/approvals', question)).status, 404, "another's bucket");
  assert.equal((await alice.call('/api/v1/approvals', { ...question, amount: 3 })).status, 400);
  const asked = await alice.call('/api/v1/approvals', question);
  assert.equal(asked.status, 202, asked.text);
  const { unit, amount_text: amountText } = asked.json();
  assert.deepEqual([unit, amountText], ['requests', '1 request']);
  const id = String(asked.json()['id']);
  const decision = `/api/v1/approvals/${id}/decision`;
  assert.equal((await alice.call(decision, { verdict: 'approve' })).status, 403);
  assert.equal(await alice.chat(), 429, 'asking gives nothing');
  await first.stop();

  const second = await startPostern(t, { ...options, stateDir: first.stateDir });
  const again = await person(second, 'service:alice');
  const forTime = await operator(second, decision, { verdict: 'approve', scope: 'time' });
  assert.equal(forTime.status, 400, forTime.text);
  assert.equal((await operator(second, decision, { verdict: 'approve' })).status, 200);
  await eventually(async () => {
    const { state } = (await operator(second, `/api/v1/approvals/${id}`)).json();
    return state === 'used' ? true : null;
  }, 'the refill');
  assert.deepEqual([await again.chat(), await again.chat()], [200, 429]);
  await second.stop();

  const third = await startPostern(t, { ...options, stateDir: first.stateDir });
  assert.equal(await (await person(third, 'service:alice')).chat(), 429, 'not refilled again');
  const [entry] = items(await operator(third, '/api/v1/audit?action=budget.refill'));
  assert.deepEqual(Object(entry?.['facts'])['approval'], id);
  assert.deepEqual(Object(entry?.['facts'])['asked_by'], 'service:alice');
});

test('alerts: each crossing once, signed, live for those whose budget it is, and in the log', async (t) => {
  const receiver = await startReceiver(t);
  const { postern } = await startScene(t, { notify: [{ webhook: receiver.url, secret: 'ops' }] });
  const added = await operator(postern, '/api/v1/keys', { provider: 'notify:ops', secret: SECRET });
  assert.equal(added.status, 201, added.text);
  const alice = await person(postern, 'service:alice');
  const live = await openAnswer(postern.url, { path: '/api/v1/events', headers: OPERATOR });
  t.after(() => live.body.destroy());
  let seen = '';
  live.body.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk));
  for (const status of [200, 200, 429, 429, 429]) assert.equal(await alice.chat(), status);
  await eventually(() => (receiver.alerts.length >= 2 ? true : null), 'the alerts');
  assert.equal(receiver.alerts.length, 2);
  assert.deepEqual(
    new Map(receiver.alerts.map(({ event, signed }) => [event, signed])),
    new Map([
      ['budget.exhausted', true],
      ['budget.warned', true],
    ]),
  );
  assert.match(String(receiver.alerts[0]?.data['bucket']), /alice/);
  await eventually(() => (seen.includes('event: budget.exhausted') ? true : null), 'the event');
  assert.ok(seen.includes('event: budget.warned'));
  assert.ok(postern.logLines.some((line) => line.includes('is used up') && line.includes('alice')));
});

test('a model that was asked for: granted for a time, seen, revocable, and gone by itself', async (t) => {
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const document = documentFor(upstream.url);
  (document['grants'] as object[]).push({
    src: ['service:alice'],
    app: { 'postern.dev/cap/gateway': [{ role: 'user', models: 'openai/gpt-fake' }] },
  });
  const providers = document['providers'] as Record<string, { apikey: string }>;
  for (const provider of Object.values(providers))
    provider.apikey = PROVIDER_ENV[provider.apikey.replace('env:', '')] ?? '';
  const postern = await startPostern(t, {
    env: { POSTERN_ADMIN_TOKEN: ADMIN_TOKEN },
    flags: { allowUpstream: '127.0.0.0/8' },
  });
  await claim(postern);
  const saved = await saveDocument(postern, await presenceOf(postern), document);
  assert.equal(saved.status, 200, saved.text);
  const alice = await person(postern, 'service:alice');
  const ask = (model: string): Promise<Reply> =>
    alice.call('/api/v1/approvals', { kind: 'model', model, reason: 'a trial' });
  const grants = async (): Promise<Record<string, unknown>[]> =>
    items(await operator(postern, '/api/v1/admins')).filter(({ approval }) => approval !== null);

  assert.equal(await alice.chat('gpt-other'), 404);
  for (const pattern of ['openai/*', '**', 'gpt-other', 'openai/gpt-[a]'])
    assert.equal((await ask(pattern)).status, 400, pattern);
  const id = String((await ask('openai/gpt-other')).json()['id']);
  const decide = (of: string, body: object): Promise<Reply> =>
    operator(postern, `/api/v1/approvals/${of}/decision`, { verdict: 'approve', ...body });
  assert.equal((await decide(id, { scope: 'once' })).status, 400);
  assert.equal((await decide(id, {})).status, 200);
  await eventually(async () => ((await alice.chat('gpt-other')) === 200 ? true : null), 'the grant');
  assert.equal(await alice.chat('gpt-third'), 404, 'that model and no other');
  const [grant] = await grants();
  assert.deepEqual(
    [grant?.['principal'], grant?.['models'], grant?.['approval']],
    ['service:alice', ['openai/gpt-other'], id],
  );
  const removed = await operator(
    postern,
    `/api/v1/admins/${encodeURIComponent('service:alice')}?role=user&approval=${id}`,
    undefined,
    'DELETE',
  );
  assert.equal(removed.status, 204, removed.text);
  assert.equal(await alice.chat('gpt-other'), 404);

  const short = String((await ask('openai/gpt-other')).json()['id']);
  assert.notEqual(short, id);
  assert.equal((await decide(short, { scope: 'time', duration_sec: 1 })).status, 200);
  await eventually(async () => ((await alice.chat('gpt-other')) === 200 ? true : null), 'the grant');
  await eventually(async () => ((await alice.chat('gpt-other')) === 404 ? true : null), 'its end');
  assert.deepEqual(await grants(), []);
});

test('a model cannot be granted where a file owns the document: the approver is told what to write', async (t) => {
  const { postern } = await startScene(t);
  const alice = await person(postern, 'service:alice');
  const asked = await alice.call('/api/v1/approvals', {
    kind: 'model',
    model: 'openai/gpt-other',
    reason: 'a trial',
  });
  const refused = await operator(postern, `/api/v1/approvals/${String(asked.json()['id'])}/decision`, {
    verdict: 'approve',
  });
  assert.equal(refused.status, 409, refused.text);
  assert.equal(refused.json()['code'], 'config_is_file');
  assert.match(refused.text, /openai\/gpt-other/);
});
