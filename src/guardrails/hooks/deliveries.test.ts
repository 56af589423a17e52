/** `entire_request` and `tool_call_entire_request`: told afterwards, tried again, given up visibly. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DeadLetterKeeping, Timers } from './ports.ts';
import {
  bound,
  completionOf,
  hooksFor,
  METADATA,
  PRIVATE_TEXT,
  says,
  startHook,
} from './hook-server.fixture.ts';
import type { DeadLetter, HookEvent } from './shapes.ts';

const BOTH: readonly HookEvent[] = ['entire_request', 'tool_call_entire_request'];
const EVERYTHING = ['request_body', 'response_body', 'raw_responses', 'tools', 'estimated_cost'];

/** Pauses end when the test says so. */
function heldTimers(): Timers & { readonly pauses: number[]; readonly runAll: () => void } {
  const held = new Set<() => void>();
  const pauses: number[] = [];
  return {
    pauses,
    after(delayMs, run) {
      pauses.push(delayMs);
      held.add(run);
      return () => held.delete(run);
    },
    runAll() {
      const due = [...held];
      held.clear();
      for (const run of due) run();
    },
  };
}

/** Resolves when a condition over counted things holds; every change comes from the loop. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('after a request', () => {
  test('each event has Aperture’s payload; without tool calls only entire_request fires', async (t) => {
    const hook = await startHook(t, says({}));
    const { hooks } = hooksFor(t);
    hooks.completed([bound({ url: hook.url }, EVERYTHING, BOTH)], completionOf());
    await hook.called(2);
    const events = hook.calls.map(({ headers }) => headers['x-postern-event']);
    assert.deepEqual(new Set(events), new Set(BOTH));
    const json = hook.calls[0]?.json ?? {};
    assert.deepEqual(json['response_body'], { answer: 'ok' });
    assert.deepEqual(json['raw_responses'], [{ n: 1 }, { n: 2 }]);
    assert.ok(!('raw_responses_omitted' in json));
    assert.deepEqual(json['tool_calls'], [{ name: 'Bash', params: { command: 'ls' } }]);
    assert.deepEqual(json['metadata']?.['estimated_cost'], {
      dollars: 0.5,
      cost_basis: 'anthropic/claude',
      usage: { input_tokens: 3 },
    });
    hooks.completed([bound({ url: hook.url }, [], BOTH)], completionOf({ toolCalls: [] }));
    await hook.called(3);
    await hooks.close();
    assert.equal(hook.calls.length, 3);
  });

  test('what an upstream sent breaks no payload: no JSON is left out', async (t) => {
    const hook = await startHook(t, says({}));
    const { hooks } = hooksFor(t);
    const completion = completionOf({
      responseBody: () => Buffer.from('{"a":1},"metadata":{"login_name":"root"'),
      rawResponses: () => ({
        events: [Buffer.from('oops'), Buffer.from(' {"n":1}\n'), Buffer.from([0xff])],
        isTruncated: true,
      }),
    });
    hooks.completed([bound({ url: hook.url }, EVERYTHING, ['entire_request'])], completion);
    await hook.called(1);
    assert.equal(hook.calls[0]?.json['response_body'], null);
    assert.deepEqual(hook.calls[0]?.json['raw_responses'], [{ n: 1 }]);
    assert.equal(hook.calls[0]?.json['raw_responses_omitted'], 'too_large', 'events are missing: it is said');
  });

  test('a failure that may pass is tried again with growing pauses, then listed without a body', async (t) => {
    const hook = await startHook(t, says({}, 503));
    const timers = heldTimers();
    const letters: DeadLetter[] = [];
    const { hooks, log } = hooksFor(t, { timers, onDeadLetter: (letter) => letters.push(letter) });
    hooks.completed([bound({ url: hook.url }, EVERYTHING, ['entire_request'])], completionOf());
    for (let attempt = 1; attempt < 5; attempt += 1) {
      await until(() => timers.pauses.length === attempt);
      timers.runAll();
    }
    await until(() => letters.length === 1);
    assert.deepEqual(
      hook.calls.map(({ headers }) => headers['x-postern-attempt']),
      ['1', '2', '3', '4', '5'],
    );
    timers.pauses.forEach((pause, index) => {
      assert.ok(pause >= 500 * 2 ** index && pause <= 1_000 * 2 ** index, `pause ${index}: ${pause}`);
    });
    const { deadLetters, deadLetterCount, queued, queuedBytes } = hooks.stats();
    assert.deepEqual([deadLetterCount, queued, queuedBytes], [1, 0, 0]);
    assert.deepEqual(deadLetters, letters);
    const { hook: name, event, requestId, loginName, attempts, fault } = letters[0] ?? {};
    assert.deepEqual(
      [name, event, requestId, loginName, attempts, fault],
      ['guard', 'entire_request', METADATA.requestId, METADATA.loginName, 5, 'hook_status'],
    );
    assert.ok(!JSON.stringify([log, letters]).includes(PRIVATE_TEXT));
  });

  test('what a later attempt delivers is no dead letter', async (t) => {
    const hook = await startHook(t, (res, call, socket, index) => {
      if (index === 0) socket.destroy();
      else says({})(res, call, socket, index);
    });
    const timers = heldTimers();
    const { hooks } = hooksFor(t, { timers });
    hooks.completed([bound({ url: hook.url }, [], ['entire_request'])], completionOf());
    await until(() => timers.pauses.length === 1);
    timers.runAll();
    await until(() => hooks.stats().queued === 0);
    assert.equal(hooks.stats().deadLetterCount, 0);
    assert.deepEqual(hooks.stats().hooks[0]?.outcomes, { failed: 1, delivered: 1 });
  });

  test('a refusal is not tried again', async (t) => {
    const hook = await startHook(t, says({}, 400));
    const { hooks } = hooksFor(t);
    hooks.completed([bound({ url: hook.url }, [], ['entire_request'])], completionOf());
    await until(() => hooks.stats().deadLetterCount === 1);
    assert.equal(hook.calls.length, 1);
    assert.equal(hooks.stats().deadLetters[0]?.fault, 'hook_refused');
  });

  test('jobs, bytes and calls at a time are bounded; nobody waits', async (t) => {
    const held: (() => void)[] = [];
    const hook = await startHook(t, (res) => held.push(() => res.end('{}')));
    const { hooks } = hooksFor(t, { limits: { jobsMax: 3, perHook: 2 } });
    const told = [bound({ url: hook.url }, [], ['entire_request'])];
    for (let i = 0; i < 6; i += 1) hooks.completed(told, completionOf());
    await hook.called(2);
    assert.equal(hook.calls.length, 2);
    const { deadLetters, deadLetterCount, queued } = hooks.stats();
    assert.deepEqual([deadLetters.length, deadLetterCount, queued], [3, 3, 3]);
    assert.equal(deadLetters[0]?.fault, 'hook_queue_full');
    for (const release of held.splice(0)) release();
    await hook.called(3);
    for (const release of held.splice(0)) release();
    await until(() => hooks.stats().queued === 0);
    const small = hooksFor(t, { limits: { bytesMax: 100 } });
    small.hooks.completed(told, completionOf());
    assert.equal(small.hooks.stats().deadLetters[0]?.fault, 'hook_queue_full');
  });

  test('a form that a hook wants to see is listed as given up', (t) => {
    const { hooks } = hooksFor(t);
    const told = [bound({ url: 'http://127.0.0.1:1/' }, ['request_body'], ['entire_request'])];
    hooks.completed(told, completionOf({ isJson: false }));
    assert.equal(hooks.stats().deadLetters[0]?.fault, 'hook_request_unsendable');
  });

  test('closing tries what is left once, then gives it up', async (t) => {
    const hang = await startHook(t, () => undefined);
    const down = await startHook(t, says({}, 503));
    const { hooks } = hooksFor(t);
    hooks.completed([bound({ id: 'hang', url: hang.url }, [], ['entire_request'])], completionOf());
    hooks.completed([bound({ id: 'down', url: down.url }, [], ['entire_request'])], completionOf());
    await Promise.all([hang.called(1), down.called(1)]);
    await hooks.close(50);
    hooks.completed([bound({ id: 'late', url: down.url }, [], ['entire_request'])], completionOf());
    const given = hooks.stats().deadLetters.map(({ hook, fault }) => `${hook} ${fault}`);
    assert.deepEqual(
      new Set(given),
      new Set(['down hook_status', 'hang hook_stopping', 'late hook_stopping']),
    );
  });

  test('a failing telling opens no circuit for those who ask', async (t) => {
    const hook = await startHook(t, says({}, 400));
    const { hooks } = hooksFor(t);
    const told = [bound({ url: hook.url, breakAfter: 1 }, [], ['entire_request'])];
    for (const principal of ['alice', 'bob']) hooks.completed(told, completionOf({ principal }));
    await until(() => hooks.stats().deadLetterCount === 2);
    assert.equal(hooks.stats().hooks[0]?.circuit, 'closed');
  });
});

/** A store that is read by the next process. */
function keep(): { readonly keeping: DeadLetterKeeping; values(): readonly unknown[] } {
  const kept = new Map<string, unknown>();
  return {
    keeping: {
      put: (name, value) => void kept.set(JSON.stringify(name), JSON.parse(JSON.stringify(value))),
      delete: (name) => void kept.delete(JSON.stringify(name)),
    },
    values: () => [...kept.values()],
  };
}

describe('dead letters (issue 3, Guardrails and hooks: retried with a dead-letter list)', () => {
  test('are listed over a restart and tried again on request, whole', async (t) => {
    const { keeping, values } = keep();
    let status = 400;
    const hook = await startHook(t, (res) => {
      res.writeHead(status);
      res.end('{}');
    });
    const told = bound({ url: hook.url }, ['request_body'], ['entire_request']);
    const first = hooksFor(t, { letters: { keeping, earlier: [] } }).hooks;
    first.completed([told], completionOf());
    await until(() => first.stats().deadLetterCount === 1);
    const letters = { keeping, earlier: [null, {}, ...values()] };
    const second = hooksFor(t, { letters, entryOf: () => told.entry }).hooks;
    const [letter] = second.stats().deadLetters;
    assert.ok(letter);
    assert.equal(letter.canRetry, true);
    assert.equal(JSON.stringify(letter).includes(PRIVATE_TEXT), false, 'a list holds no content');
    assert.equal(hook.calls.length, 1, 'what was refused is not tried again by itself');
    status = 200;
    assert.equal(second.retry(letter.id), null);
    await hook.called(2);
    await until(() => second.stats().queued === 0);
    assert.deepEqual(hook.calls[1]?.json?.['request_body'], hook.calls[0]?.json?.['request_body']);
    assert.deepEqual(second.stats().deadLetters, []);
    assert.deepEqual(values(), []);
    assert.equal(second.retry(letter.id), 'unknown');
  });

  test('what a stopping process had no time for, the next one delivers', async (t) => {
    const { keeping, values } = keep();
    let isHanging = true;
    const hook = await startHook(t, (res) => (isHanging ? undefined : res.end('{}')));
    const told = bound({ url: hook.url }, [], ['entire_request']);
    const first = hooksFor(t, { letters: { keeping, earlier: [] } }).hooks;
    first.completed([told], completionOf());
    await hook.called(1);
    await first.close(10);
    isHanging = false;
    const second = hooksFor(t, { letters: { keeping, earlier: values() }, entryOf: () => told.entry }).hooks;
    await hook.called(2);
    await until(() => second.stats().queued === 0);
    assert.deepEqual(values(), []);
  });

  test('content is kept only where prompts are, and not of a hook that is gone; the list is bounded', async (t) => {
    const { keeping, values } = keep();
    const hook = await startHook(t, says({}, 400));
    const told = bound({ url: hook.url }, ['request_body'], ['entire_request']);
    const { hooks } = hooksFor(t, { letters: { keeping, earlier: [] } });
    hooks.completed([told], completionOf({ isKept: false }));
    await until(() => hooks.stats().deadLetterCount === 1);
    const [bare] = hooks.stats().deadLetters;
    assert.equal(bare?.canRetry, false);
    assert.equal(hooks.retry(bare.id), 'not_kept');
    assert.equal(JSON.stringify(values()).includes(PRIVATE_TEXT), false);
    hooks.completed([told], completionOf());
    await until(() => hooks.stats().deadLetterCount === 2);
    assert.equal(hooks.retry(hooks.stats().deadLetters[0]?.id ?? ''), 'hook_gone');
    await hooks.close(10);
    for (let i = 0; i < 210; i += 1) hooks.completed([told], completionOf());
    assert.equal(hooks.stats().deadLetters.length, 200);
    assert.equal(values().length, 200);
  });
});
