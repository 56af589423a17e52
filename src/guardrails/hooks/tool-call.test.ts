/** `tool_call`: a veto while the answer streams. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  bound,
  hooksFor,
  METADATA,
  PRIVATE_TEXT,
  requestOf,
  says,
  startHook,
} from './hook-server.fixture.ts';
import type { BoundHook, HookToolCall, HookToolRequest } from './shapes.ts';

const CALL: HookToolCall = {
  id: 'toolu_1',
  name: 'Bash',
  params: { command: 'rm -rf /' },
  argumentsText: '{"command":"rm -rf /"}',
};

function toolRequest(request: Partial<HookToolRequest> = {}): HookToolRequest {
  const { metadata, principal, grants, quotas, ...rest } = requestOf();
  return { metadata, principal, grants, quotas, request: rest, ...request };
}

function vetoing(
  url: string,
  entry: Partial<BoundHook['entry']> = {},
  send: readonly string[] = [],
): BoundHook {
  return bound({ url, ...entry }, send, ['tool_call']);
}

describe('tool_call (issue: new event that may veto in the stream)', () => {
  test('the payload names the call, and carries the request only where "send" says so', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const { hooks } = hooksFor(t);
    await hooks.toolCall([vetoing(hook.url)], CALL, toolRequest());
    await hooks.toolCall([vetoing(hook.url, {}, ['request_body', 'user_message'])], CALL, toolRequest());
    await hooks.toolCall([vetoing(hook.url, {}, ['request_body'])], CALL, toolRequest({ request: null }));
    const [plain, full, without] = hook.calls.map(({ json }) => json);
    assert.deepEqual(Object.keys(plain ?? {}), ['event', 'metadata', 'tool_call']);
    assert.deepEqual(plain?.['tool_call'], { id: 'toolu_1', name: 'Bash', params: CALL.params });
    assert.equal(plain?.['metadata']?.['request_id'], METADATA.requestId);
    assert.deepEqual(Object.keys(full ?? {}).slice(3), ['request_body', 'user_message']);
    assert.deepEqual(Object.keys(without ?? {}), ['event', 'metadata', 'tool_call']);
    assert.equal(hook.calls[0]?.headers['x-postern-event'], 'tool_call');
  });

  test('allow, deny, rewrite and ask; Aperture’s "block" denies', async (t) => {
    const { hooks } = hooksFor(t);
    const ask = async (answer: unknown) => {
      const hook = await startHook(t, says(answer));
      const { calls: _, ...verdict } = await hooks.toolCall([vetoing(hook.url)], CALL, toolRequest());
      return verdict;
    };
    const none = { hook: null, message: null, argumentsText: null, fault: null };
    assert.deepEqual(await ask({ action: 'allow' }), { ...none, action: 'allow' });
    const denied = { ...none, action: 'deny', hook: 'guard', message: 'never' };
    assert.deepEqual(await ask({ action: 'deny', message: 'never' }), denied);
    assert.deepEqual(await ask({ action: 'block', message: 'never' }), denied);
    assert.deepEqual(await ask({ action: 'ask', message: 'sure?' }), {
      ...none,
      action: 'ask',
      hook: 'guard',
      message: 'sure?',
    });
    assert.deepEqual(await ask({ action: 'rewrite', params: { command: 'ls' } }), {
      ...none,
      action: 'rewrite',
      hook: 'guard',
      argumentsText: '{"command":"ls"}',
    });
  });

  test('the strictest holds, a rewrite goes to the next, and a deny ends it', async (t) => {
    const { hooks } = hooksFor(t);
    const rewrite = await startHook(t, says({ action: 'rewrite', params: { command: 'ls' } }));
    const ask = await startHook(t, says({ action: 'ask', message: 'sure?' }));
    const deny = await startHook(t, says({ action: 'deny' }));
    const allow = await startHook(t, says({ action: 'allow' }));
    const chain = (...urls: string[]) =>
      hooks.toolCall(
        urls.map((url, index) => vetoing(url, { id: `h${index}` })),
        CALL,
        toolRequest(),
      );
    const asked = await chain(rewrite.url, ask.url, allow.url);
    assert.deepEqual(
      [asked.action, asked.hook, asked.argumentsText, asked.message],
      ['ask', 'h1', '{"command":"ls"}', 'sure?'],
    );
    assert.deepEqual(ask.calls[0]?.json['tool_call']?.['params'], { command: 'ls' });
    const both = await chain(ask.url, rewrite.url);
    assert.deepEqual([both.action, both.hook, both.argumentsText], ['ask', 'h0', '{"command":"ls"}']);
    const denied = await chain(ask.url, deny.url, allow.url);
    assert.deepEqual([denied.action, denied.hook, denied.argumentsText], ['deny', 'h1', null]);
    assert.equal(allow.calls.length, 1);
  });

  test('free text goes and comes back as a string', async (t) => {
    const call = { ...CALL, params: undefined, argumentsText: '*** Begin Patch' };
    const right = await startHook(t, says({ action: 'rewrite', params: '*** Other' }));
    const wrong = await startHook(t, says({ action: 'rewrite', params: { a: 1 } }));
    const { hooks } = hooksFor(t);
    const verdict = await hooks.toolCall([vetoing(right.url)], call, toolRequest());
    assert.deepEqual([verdict.action, verdict.argumentsText], ['rewrite', '*** Other']);
    assert.equal(right.calls[0]?.json['tool_call']?.['params'], '*** Begin Patch');
    assert.equal((await hooks.toolCall([vetoing(wrong.url)], call, toolRequest())).action, 'deny');
  });

  const failures: readonly (readonly [name: string, answer: unknown, status?: number])[] = [
    ['answers 500', {}, 500],
    ['says nothing', {}],
    ['says "modify"', { action: 'modify', request_body: {} }],
    ['rewrites to nothing', { action: 'rewrite' }],
    ['rewrites to a text', { action: 'rewrite', params: 'ls' }],
    ['answers a list', [{ action: 'allow' }]],
  ];
  for (const [name, answer, status] of failures) {
    test(`a hook that ${name}: denied, unless fail_open is written`, async (t) => {
      const hook = await startHook(t, says(answer, status));
      const { hooks, log } = hooksFor(t);
      const closed = await hooks.toolCall([vetoing(hook.url)], CALL, toolRequest());
      assert.equal(closed.action, 'deny');
      assert.notEqual(closed.fault, null);
      const open = [vetoing(hook.url, { toolCallFailPolicy: 'fail_open' })];
      assert.equal((await hooks.toolCall(open, CALL, toolRequest())).action, 'allow');
      assert.ok(!JSON.stringify([log, hooks.stats(), closed]).includes('rm -rf'));
    });
  }

  test('a hook that hangs holds the call no longer than its timeout', async (t) => {
    const hook = await startHook(t, () => undefined);
    const { hooks } = hooksFor(t);
    const verdict = await hooks.toolCall([vetoing(hook.url, { timeoutMs: 60 })], CALL, toolRequest());
    assert.deepEqual([verdict.action, verdict.fault], ['deny', 'hook_timeout']);
  });

  test('monitor: called, and nothing follows', async (t) => {
    const hook = await startHook(t, says({ action: 'deny' }));
    const { hooks } = hooksFor(t);
    const watched = [vetoing(hook.url, { mode: 'monitor' }, ['request_body'])];
    assert.equal((await hooks.toolCall(watched, CALL, toolRequest())).action, 'allow');
    await hook.called(1);
    assert.ok(hook.calls[0]?.body.includes(PRIVATE_TEXT));
  });
});
