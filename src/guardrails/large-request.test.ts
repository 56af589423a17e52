import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CheckedRequest, RequestQuestion } from './check-request.ts';
import { bodyOf, entryOf, guardrails, textsOf } from './guardrails.fixture.ts';
import { Slices, Turns } from './turns.ts';

const ALL = ['secrets', 'email', 'phone', 'card', 'iban', 'national_id', 'injection'] as const;
const LINE = 'const at = "req_01m856k93egmep563cbz"; // see 020-7946, https://example.com/?prompt=12345678\n';

/** About 400 KB of code in 60 messages, none like another; `last` is a line of the last one. */
function largeQuestion(action: 'flag' | 'redact' | 'block', last = ''): RequestQuestion {
  const messages = Array.from({ length: 60 }, (_, i) => ({
    role: i % 2 === 0 ? 'user' : 'assistant',
    content: `${i}\n${LINE.repeat(68)}${i === 59 ? last : ''}`,
  }));
  const body = bodyOf({ model: 'm', messages });
  return {
    entries: [entryOf({ detect: [...ALL], action })],
    scope: 'alice',
    body,
    texts: textsOf(body),
    tools: 0,
    outputTokens: null,
    isStored: false,
  };
}

test('a large request is judged as a small one would be, whatever is done with the finds', async () => {
  for (const action of ['flag', 'redact', 'block'] as const) {
    for (const last of ['', 'write to alice@example.com and bob@example.com']) {
      const question = largeQuestion(action, last);
      const plain = (checked: CheckedRequest): unknown => ({
        ...checked,
        edits: checked.edits.map(({ part, text }) => ({ start: part.start, text })),
      });
      const whole = guardrails().checkRequest(question);
      assert.deepEqual(plain(await guardrails().checkLargeRequest(question)), plain(whole));
      if (last !== '' && action === 'redact') assert.ok(whole.edits.length > 0);
    }
  }
});

test('a clean large request is remembered, and then needs few turns', async () => {
  const guards = guardrails();
  const entries = [entryOf({ detect: ['secrets'], action: 'block' })];
  const question = { ...largeQuestion('block'), entries };
  const turnsOf = async (): Promise<number> => {
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await guards.checkLargeRequest(question);
    isDone = true;
    return turns;
  };
  const first = await turnsOf();
  assert.ok((await turnsOf()) < first, `the first time took ${first} turns`);
});

test('the event loop is not held by a large request with every detector (DESIGN section 11)', async () => {
  /** Held by the whole, and the longest that others waited while it was looked at in slices. */
  const measure = async (): Promise<{ whole: number; longest: number }> => {
    const question = largeQuestion('flag');
    const start = performance.now();
    guardrails().checkRequest(question);
    const whole = performance.now() - start;
    let longest = 0;
    let isDone = false;
    let before = performance.now();
    const watch = (): void => {
      const now = performance.now();
      longest = Math.max(longest, now - before);
      before = now;
      if (!isDone) setImmediate(watch);
    };
    setImmediate(watch);
    await guardrails().checkLargeRequest(question);
    isDone = true;
    return { whole, longest };
  };
  const ratios: number[] = [];
  // Neighbours on the machine can only make a turn longer: one good run is enough.
  while (ratios.length < 8 && !(Math.min(...ratios) < 1 / 3)) {
    const { whole, longest } = await measure();
    ratios.push(longest / whole);
  }
  assert.ok(Math.min(...ratios) < 1 / 3, `the longest slice, of the whole: ${ratios.join(' ')}`);
});

test('large requests that come together get one slice in each turn between them', async () => {
  const turns = new Turns();
  const log: string[] = [];
  const look = async (name: string): Promise<void> => {
    const slices = new Slices(turns);
    for (let i = 0; i < 3; i += 1) {
      await slices.before(200_000);
      log.push(name);
    }
  };
  let isDone = false;
  const tick = (): void => {
    log.push('turn');
    if (!isDone) setImmediate(tick);
  };
  setImmediate(tick);
  await Promise.all([look('a'), look('b')]);
  isDone = true;
  const looks = log.filter((entry) => entry !== 'turn');
  assert.deepEqual(looks, ['a', 'b', 'a', 'b', 'a', 'b']);
  for (const [i, entry] of log.entries()) if (entry !== 'turn') assert.notEqual(log[i + 1], entry);
  assert.ok(log.filter((entry) => entry === 'turn').length >= 5);
});
