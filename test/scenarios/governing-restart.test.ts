/**
 * Deciding over restarts and jumps of the clock: after a crash nothing is spent twice, run twice or
 * lost (issue 3, "Proof").
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPostern as startProcess, type PosternProcess } from '../postern-process.ts';
import { startFakeUpstream, USAGE } from '../upstream/index.ts';
import { ask, eventually } from './ask.ts';
import { documentFor, PROVIDER_ENV } from './fake-providers.ts';
import { startPostern, type Postern } from './harness.ts';
import {
  approve,
  approvals,
  askModel,
  callsIn,
  mintToken,
  OPERATOR,
  pendingOne,
  startHeldScene,
  stateOf,
} from './held-calls.ts';

const CHAT = { model: 'gpt-fake', max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] };
const CALLERS = 500;

/** Asks as often as is said, all at once; the statuses of those that were answered. */
async function manyAsk(url: string, count: number): Promise<readonly number[]> {
  const asked = Array.from({ length: count }, () =>
    ask(url, { path: '/v1/chat/completions', body: CHAT }).then(
      ({ status }) => status,
      () => 0,
    ),
  );
  return Promise.all(asked);
}

test('budgets: 500 callers, a kill in their middle and a restart spend no more than the bucket holds', async (t) => {
  const capacity = 60;
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-budget-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const document = documentFor(upstream.url, {
    more: {
      quotas: {
        calls: { unit: 'requests', capacity, window: 'month' },
        tokens: { unit: 'tokens', capacity: 100_000, window: 'month', reserve: 'worst' },
      },
    },
    capability: { quotas: [{ bucket: 'calls' }, { bucket: 'tokens' }] },
  });
  const start = (): Promise<PosternProcess> => startProcess({ document, env: PROVIDER_ENV, stateDir });

  const first = await start();
  const statuses = manyAsk(first.url, CALLERS);
  // In the middle: some have been served, and more are on their way.
  await eventually(() => (upstream.requests.length >= 10 ? true : null), 'requests arrive');
  process.kill(first.pid, 'SIGKILL');
  await first.exited();
  const before = await statuses;
  const served = upstream.requests.length;
  assert.ok(served >= 10 && served <= capacity, `${served} arrived before the kill`);
  assert.ok(before.every((status) => status === 200 || status === 429 || status === 0));

  const second = await start();
  t.after(() => second.stop());
  const after = await manyAsk(second.url, CALLERS);
  assert.ok(
    after.every((status) => status === 200 || status === 429),
    JSON.stringify(after),
  );
  const total = upstream.requests.length;
  assert.ok(total <= capacity, `${total} of ${capacity} reached the provider in both runs`);
  const tokens = total * (USAGE.plain.input + USAGE.plain.output);
  assert.ok(tokens <= 100_000);
  assert.equal((await manyAsk(second.url, 1))[0], 429, 'what the crash cost stays spent');
});

test('budgets: a clock that jumps gives nothing back, only time that passes does', async (t) => {
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-clock-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const TWO_DAYS_MS = 48 * 3_600_000;
  const noon = Date.UTC(2026, 2, 10, 12);
  let wallMs = noon - Date.now();
  let passedMs = 0;
  const clock = {
    now: () => Date.now() + wallMs + passedMs,
    monotonicMs: () => performance.now() + passedMs,
  };
  const options = {
    document: documentFor(upstream.url, {
      more: {
        quotas: {
          day: { unit: 'requests', capacity: 3, window: 'day' },
          rate: { unit: 'requests', capacity: 3, rate: '1/hour' },
        },
      },
      capability: { quotas: [{ bucket: 'day' }, { bucket: 'rate' }] },
    }),
    env: PROVIDER_ENV,
    flags: { allowUpstream: '127.0.0.0/8' },
    stateDir,
    clock,
  };
  const first = await startPostern(t, options);
  const statusesOf = async (postern: Postern, count: number): Promise<readonly number[]> => {
    const statuses: number[] = [];
    for (let i = 0; i < count; i += 1)
      statuses.push((await postern.call('/v1/chat/completions', { body: CHAT })).status);
    return statuses;
  };
  assert.deepEqual(await statusesOf(first, 4), [200, 200, 200, 429]);
  for (const jump of [-TWO_DAYS_MS, TWO_DAYS_MS, 0]) {
    wallMs = noon + jump - Date.now();
    assert.deepEqual(await statusesOf(first, 1), [429], `a jump of ${jump} ms`);
  }
  passedMs = TWO_DAYS_MS;
  assert.deepEqual(await statusesOf(first, 4), [200, 200, 200, 429]);
  await first.stop();
  // A machine that starts with a clock of the past: what was spent later is spent.
  wallMs -= TWO_DAYS_MS;
  const second = await startPostern(t, options);
  assert.deepEqual(await statusesOf(second, 1), [429]);
  await second.stop();
  wallMs += 2 * TWO_DAYS_MS;
  assert.deepEqual(await statusesOf(await startPostern(t, options), 4), [200, 200, 200, 429]);
});

test('approvals: a restart loses no question and runs nothing twice', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-held-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const scene = await startHeldScene(t, { stateDir });
  const { script } = scene;
  const pending = await askModel(scene, { stream: false });
  const pendingId = /apr_[0-9a-z]+/.exec(pending.text)?.[0] ?? assert.fail(pending.text);
  script.arguments = ['{"command":"held"}'];
  const held = askModel(scene).catch(() => null);
  const heldId = await eventually(
    async () => (await approvals(scene.postern, 'pending')).find(({ id }) => id !== pendingId)?.id ?? null,
    'the held call asks',
  );
  await scene.postern.stop();
  const cut = await held;
  assert.equal(cut === null ? 0 : callsIn(cut), 0, 'what was held when it stopped did not pass');

  const postern = await startPostern(t, scene.options);
  const again = { ...scene, postern };
  assert.equal(await stateOf(postern, pendingId), 'pending');
  await approve(postern, pendingId);
  script.arguments = ['{"command":"ls","timeout":5}'];
  const retries = await Promise.all(Array.from({ length: 10 }, () => askModel(again, { stream: false })));
  assert.equal(
    retries.reduce((sum, answer) => sum + callsIn(answer), 0),
    1,
    'of ten at once one passes',
  );

  script.arguments = ['{"command":"held"}'];
  const heldAgain = askModel(again);
  const question = await eventually(
    async () => (await approvals(postern, 'pending')).find(({ held: isHeld }) => isHeld === true) ?? null,
    'the client that comes back asks again',
  );
  if (heldId === question.id) assert.equal(await stateOf(postern, heldId), 'pending');
  await approve(postern, question.id);
  assert.equal(callsIn(await heldAgain), 1);
});

test('approvals: approved but not used before a crash is used once after it', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-approved-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const scene = await startHeldScene(t, { stateDir });
  await askModel(scene, { stream: false });
  await approve(scene.postern, (await pendingOne(scene.postern)).id);
  await scene.postern.stop();
  const postern = await startPostern(t, scene.options);
  const again = { ...scene, postern };
  const answers = [await askModel(again, { stream: false }), await askModel(again, { stream: false })];
  assert.deepEqual(answers.map(callsIn), [1, 0]);
  const agent = await mintToken(postern, OPERATOR, { owner: 'service:agent', scopes: ['use'] });
  assert.equal(callsIn(await askModel(again, { stream: false, headers: agent.headers })), 0);
});

test('tools: a refused call of a stored response stays refused over a restart, and the conversation goes on', async (t) => {
  const upstream = await startFakeUpstream({ pairing: true });
  t.after(() => upstream.close());
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-stored-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const options = {
    document: documentFor(upstream.url, { more: { tools: [{ tools: ['weather'], action: 'deny' }] } }),
    env: PROVIDER_ENV,
    flags: { allowUpstream: '127.0.0.0/8' },
    stateDir,
  };
  const tools = [{ type: 'function', name: 'weather', parameters: { type: 'object' } }];
  const first = await startPostern(t, options);
  const made = await first.call('/v1/responses', {
    body: { model: 'gpt-fake--tool-call', input: 'x', tools },
  });
  assert.equal(made.status, 200, made.text);
  const id = String(made.json()['id']);
  await first.stop();
  const second = await startPostern(t, options);
  const shown = await second.call(`/v1/responses/${id}`);
  assert.doesNotMatch(shown.text, /function_call/);
  const streamed = await second.call(`/v1/responses/${id}?stream=true`);
  assert.doesNotMatch(streamed.text, /function_call/);
  const next = await second.call('/v1/responses', {
    body: { model: 'gpt-fake', input: 'go on', previous_response_id: id, tools },
  });
  assert.equal(next.status, 200, next.text);
});

test('tools: the turn right after a restart brings the results of calls that were refused before it (issue 3, Proof)', async (t) => {
  const upstream = await startFakeUpstream({ pairing: true });
  t.after(() => upstream.close());
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-turns-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const options = {
    document: documentFor(upstream.url, { more: { tools: [{ tools: ['weather'], action: 'deny' }] } }),
    env: PROVIDER_ENV,
    flags: { allowUpstream: '127.0.0.0/8' },
    stateDir,
  };
  const tools = [{ type: 'function', name: 'weather', parameters: { type: 'object' } }];
  for (const stream of [false, true]) {
    const first = await startPostern(t, options);
    const made = await first.call('/v1/responses', {
      body: { model: 'gpt-fake--tool-call', input: 'x', tools, stream },
    });
    assert.equal(made.status, 200, made.text);
    const id = /"(resp_[^"]+)"/.exec(made.text)?.[1] ?? assert.fail(made.text);
    await first.stop();
    const second = await startPostern(t, options);
    const next = await second.call('/v1/responses', {
      body: { model: 'gpt-fake', input: 'go on', previous_response_id: id, tools, stream },
    });
    assert.equal(next.status, 200, next.text);
    const sent = upstream.requests.at(-1)?.body.toString() ?? '';
    assert.match(sent, /function_call_output/);
    await second.stop();
  }
});

test('approvals: a call that was approved once and stored reads the same after a restart, and runs no second time', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-replay-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const scene = await startHeldScene(t, { stateDir });
  const tools = [{ type: 'function', name: 'Bash', parameters: { type: 'object' } }];
  const respond = (postern: Postern) =>
    postern.call('/v1/responses', { body: { model: 'gpt-fake', input: 'list the files', tools } });
  assert.match((await respond(scene.postern)).text, /waits for approval/);
  await approve(scene.postern, (await pendingOne(scene.postern)).id);
  const passed = await respond(scene.postern);
  assert.match(passed.text, /"type":\s*"function_call"/);
  const id = String(passed.json()['id']);
  await scene.postern.stop();
  const postern = await startPostern(t, scene.options);
  const shown = await postern.call(`/v1/responses/${id}`);
  assert.match(shown.text, /"type":\s*"function_call"/, shown.text);
  assert.doesNotMatch((await respond(postern)).text, /"type":\s*"function_call"/, 'a new call is asked anew');
});

test('guardrails: placeholders of a conversation that the provider keeps are restored after a restart', async (t) => {
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-placeholders-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const options = {
    document: documentFor(upstream.url, {
      more: { guardrails: { mail: { detect: ['email'], action: 'redact' } } },
      capability: { guardrails: ['mail'] },
    }),
    env: PROVIDER_ENV,
    flags: { allowUpstream: '127.0.0.0/8' },
    stateDir,
  };
  const respond = (postern: Postern, model: string, input: string, more: object = {}) =>
    postern.call('/v1/responses', { body: { model, input, ...more } });
  const first = await startPostern(t, options);
  await respond(first, 'gpt-fake', 'write to someone@example.com');
  await respond(first, 'gpt-fake', 'write to another@example.com', { store: false });
  const [kept = '', dropped = ''] = upstream.requests.map(
    ({ body }) => /<EMAIL_[0-9a-f]{12}>/.exec(body.toString())?.[0] ?? '',
  );
  await first.stop();
  const second = await startPostern(t, options);
  const answer = await respond(second, 'postern/echo', `say ${kept} and ${dropped}`);
  assert.match(answer.text, /someone@example\.com/);
  assert.ok(answer.text.includes(dropped), 'what the provider does not keep is not kept here either');
});
