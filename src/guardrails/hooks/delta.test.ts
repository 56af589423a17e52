/** Deltas: what a hook has let by is not sent again, and nothing else is left out. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { DeltaMemory } from './delta.ts';
import {
  type Behaviour,
  bound,
  completionOf,
  hooksFor,
  METADATA,
  requestOf,
  says,
  startHook,
  stoppedClock,
  TEST_KEY,
} from './hook-server.fixture.ts';

const LONG_TOOLS = Array.from({ length: 20 }, (_, index) => ({
  name: `tool_${index}`,
  description: 'x'.repeat(80),
}));

function bodyOf(texts: readonly string[], extra: object = {}): Buffer {
  const messages = texts.map((content, index) => ({ role: index % 2 === 0 ? 'user' : 'assistant', content }));
  return Buffer.from(JSON.stringify({ model: 'm', tools: LONG_TOOLS, messages, ...extra }));
}

const DELTA = ['request_body', 'delta'];

function contents(json: Record<string, never> | undefined): unknown[] {
  const messages: { content: string }[] = json?.['request_body']?.['messages'] ?? [];
  return messages.map(({ content }) => content);
}

describe('delta payloads (issue: since every turn re-ships the whole conversation)', () => {
  test('a later turn holds the new messages only, and the hash that stands for the others', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const { hooks } = hooksFor(t);
    const asked = [bound({ url: hook.url }, DELTA)];
    await hooks.preRequest(asked, requestOf({ body: bodyOf(['a']) }));
    await hooks.preRequest(asked, requestOf({ body: bodyOf(['a', 'b', 'c']) }));
    const [first, second] = hook.calls.map(({ json }) => json);
    assert.deepEqual(contents(first), ['a']);
    assert.deepEqual(contents(second), ['b', 'c']);
    const [before, after] = [first?.['request_delta'], second?.['request_delta']];
    assert.deepEqual([before?.['from'], before?.['total'], before?.['unchanged']], [0, 1, {}]);
    assert.deepEqual([after?.['from'], after?.['total']], [1, 3]);
    assert.equal(after?.['prefix_hash'], before?.['hash']);
    assert.deepEqual(Object.keys(after?.['unchanged'] ?? {}), ['tools']);
    assert.equal(second?.['request_body']?.['tools'], undefined);
    assert.equal(second?.['request_body']?.['model'], 'm');
  });

  test('"payload": "delta" of the hook does the same', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const { hooks } = hooksFor(t);
    const asked = [bound({ url: hook.url, payload: 'delta' })];
    for (const texts of [['a'], ['a', 'b']])
      await hooks.preRequest(asked, requestOf({ body: bodyOf(texts) }));
    assert.deepEqual(contents(hook.calls[1]?.json), ['b']);
  });

  const notSeen: readonly (readonly [name: string, answer: Behaviour])[] = [
    ['blocked', says({ action: 'block' })],
    ['changed', says({ action: 'modify', request_body: { messages: [] } })],
    ['failed', says({}, 500)],
  ];
  for (const [name, first] of notSeen) {
    test(`a turn that was ${name} comes again: the caller still has it as it was`, async (t) => {
      const hook = await startHook(t, (res, call, socket, index) =>
        (index === 0 ? first : says({ action: 'allow' }))(res, call, socket, index),
      );
      const { hooks } = hooksFor(t);
      const asked = [bound({ url: hook.url }, DELTA)];
      await hooks.preRequest(asked, requestOf({ body: bodyOf(['secret']) }));
      await hooks.preRequest(asked, requestOf({ body: bodyOf(['secret', 'more']) }));
      assert.deepEqual(contents(hook.calls[1]?.json), ['secret', 'more']);
    });
  }

  const others = {
    'another caller': { principal: 'bob' },
    'another session': { metadata: { ...METADATA, sessionId: 'ses_2' } },
    'another model': { metadata: { ...METADATA, model: 'other' } },
    'no session': { metadata: { ...METADATA, sessionId: '' } },
  };
  for (const [name, other] of Object.entries(others)) {
    test(`${name} gets nothing from what this one has shown`, async (t) => {
      const hook = await startHook(t, says({ action: 'allow' }));
      const { hooks } = hooksFor(t);
      const asked = [bound({ url: hook.url }, DELTA)];
      await hooks.preRequest(asked, requestOf({ body: bodyOf(['a']) }));
      for (let i = 0; i < 2; i += 1)
        await hooks.preRequest(asked, requestOf({ ...other, body: bodyOf(['a', 'b']) }));
      assert.deepEqual(contents(hook.calls[1]?.json), ['a', 'b']);
      assert.deepEqual(contents(hook.calls[2]?.json), name === 'no session' ? ['a', 'b'] : []);
    });
  }

  test('a history that was altered, and a large member that was, are sent whole', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const { hooks } = hooksFor(t);
    const asked = [bound({ url: hook.url }, DELTA)];
    await hooks.preRequest(asked, requestOf({ body: bodyOf(['a', 'b']) }));
    await hooks.preRequest(asked, requestOf({ body: bodyOf(['A', 'b', 'c']) }));
    assert.deepEqual(contents(hook.calls[1]?.json), ['A', 'b', 'c']);
    const other = bodyOf(['A', 'b', 'c', 'd'], { tools: [...LONG_TOOLS, { name: 'new' }] });
    await hooks.preRequest(asked, requestOf({ body: other }));
    assert.deepEqual(contents(hook.calls[2]?.json), ['d']);
    assert.equal(hook.calls[2]?.json['request_body']?.['tools']?.['length'], 21);
  });

  test('a hook that has lost its memory gets everything by "resend", once', async (t) => {
    const hook = await startHook(t, (res, call, socket, index) =>
      says({ action: index === 0 ? 'allow' : index === 1 ? 'resend' : 'block' })(res, call, socket, index),
    );
    const { hooks } = hooksFor(t);
    const asked = [bound({ url: hook.url, failPolicy: 'fail_closed' }, DELTA)];
    await hooks.preRequest(asked, requestOf({ body: bodyOf(['a']) }));
    const verdict = await hooks.preRequest(asked, requestOf({ body: bodyOf(['a', 'b']) }));
    assert.deepEqual(contents(hook.calls[2]?.json), ['a', 'b']);
    assert.equal(verdict.action, 'block');
    assert.deepEqual(
      verdict.calls.map(({ outcome }) => outcome),
      ['resend', 'block'],
    );
    const stubborn = await startHook(t, says({ action: 'resend' }));
    const again = await hooks.preRequest(
      [bound({ id: 'stubborn', url: stubborn.url, failPolicy: 'fail_closed' }, DELTA)],
      requestOf({ body: bodyOf(['a']) }),
    );
    assert.ok(again.action === 'unavailable' && again.fault === 'hook_answer_malformed');
    assert.equal(stubborn.calls.length, 2);
  });

  test('a changed delta is put back into the whole; one without a list is a failure', async (t) => {
    const answers = [
      { action: 'allow' },
      { action: 'modify', request_body: { model: 'm2', messages: [{ role: 'user', content: '[cut]' }] } },
      { action: 'modify', request_body: { model: 'm2' } },
    ];
    const hook = await startHook(t, (res, call, socket, index) =>
      says(answers[index])(res, call, socket, index),
    );
    const { hooks } = hooksFor(t);
    const asked = [bound({ url: hook.url, failPolicy: 'fail_closed' }, DELTA)];
    await hooks.preRequest(asked, requestOf({ body: bodyOf(['a', 'b']) }));
    const verdict = await hooks.preRequest(asked, requestOf({ body: bodyOf(['a', 'b', 'c']) }));
    assert.ok(verdict.action === 'allow');
    const changed = JSON.parse(verdict.body.toString());
    assert.equal(changed.model, 'm2');
    assert.deepEqual(
      changed.messages.map(({ content }: { content: string }) => content),
      ['a', 'b', '[cut]'],
    );
    assert.deepEqual(changed.tools, LONG_TOOLS);
    const wrong = await hooks.preRequest(asked, requestOf({ body: bodyOf(['a', 'b', 'c']) }));
    assert.ok(wrong.action === 'unavailable' && wrong.fault === 'hook_answer_malformed');
  });

  test('a body without a conversation goes whole, without "request_delta"', async (t) => {
    const hook = await startHook(t, says({ action: 'allow' }));
    const { hooks } = hooksFor(t);
    await hooks.preRequest(
      [bound({ url: hook.url }, DELTA)],
      requestOf({ body: Buffer.from('{"input":"x"}') }),
    );
    assert.deepEqual(hook.calls[0]?.json['request_body'], { input: 'x' });
    assert.equal(hook.calls[0]?.json['request_delta'], undefined);
  });

  test('after a request only what was delivered counts as seen', async (t) => {
    const hook = await startHook(t, (res, call, socket, index) =>
      says({}, index === 0 ? 400 : 200)(res, call, socket, index),
    );
    const { hooks } = hooksFor(t);
    const told = [bound({ url: hook.url }, DELTA, ['entire_request'])];
    for (const texts of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
      const count = hook.calls.length + 1;
      hooks.completed(told, completionOf({ body: bodyOf(texts) }));
      await hook.called(count);
      while (hooks.stats().queued > 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    assert.deepEqual(
      hook.calls.map(({ json }) => contents(json)),
      [['a'], ['a', 'b'], ['c']],
    );
  });

  test('what was seen is forgotten after an hour without a turn', () => {
    const clock = stoppedClock();
    const memory = new DeltaMemory(TEST_KEY, clock);
    memory.plan('c', bodyOf(['a']), false)?.commit();
    clock.move(3_599_999);
    assert.equal(memory.plan('c', bodyOf(['a', 'b']), false)?.info.from, 1);
    clock.move(1);
    assert.equal(memory.plan('c', bodyOf(['a', 'b']), false)?.info.from, 0);
  });

  const text = fc.string({ unit: 'binary', maxLength: 12 }).map((one) => one.toWellFormed());
  const bodies = fc.record({
    list: fc.constantFrom('messages', 'input', 'contents'),
    items: fc.array(fc.jsonValue({ maxDepth: 3 }), { maxLength: 6 }),
    more: fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 3 }),
    others: fc.dictionary(text, fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant('x'.repeat(2_000)))),
  });

  test('property: a delta put back is the whole, value for value', () => {
    fc.assert(
      fc.property(bodies, ({ list, items, more, others }) => {
        const memory = new DeltaMemory(TEST_KEY, stoppedClock());
        const rest = Object.fromEntries(
          Object.entries(others).filter(
            ([key]) => !['messages', 'input', 'contents', '__proto__'].includes(key),
          ),
        );
        const [first, second] = [items, [...items, ...more]].map((all) =>
          Buffer.from(JSON.stringify({ ...rest, [list]: all }, null, 1)),
        );
        assert.ok(first && second);
        memory.plan('c', first, false)?.commit();
        const plan = memory.plan('c', second, false);
        assert.ok(plan !== null);
        assert.equal(plan.info.from, items.length);
        const restored = plan.restore(plan.body);
        assert.deepEqual(JSON.parse(String(restored)), JSON.parse(second.toString()));
      }),
    );
  });

  test('property: no bytes make it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const memory = new DeltaMemory(TEST_KEY, stoppedClock());
        memory.plan('c', Buffer.from(bytes), false);
        memory.plan('c', bodyOf(['a']), false)?.commit();
        memory.plan('c', bodyOf(['a', 'b']), false)?.restore(Buffer.from(bytes));
      }),
    );
  });
});
