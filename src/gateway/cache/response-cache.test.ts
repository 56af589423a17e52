import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import type { MeterResult } from '../../llm/index.ts';
import type { CacheQuestion, CachedRequest } from './cache-key.ts';
import type { CacheLimits, FilledAnswer } from './fill.ts';
import { createResponseCache, type ResponseCache } from './response-cache.ts';

const REQUEST: CachedRequest = {
  provider: { id: 'p', kind: 'openai', baseUrl: { href: 'https://p.test' }, addHeaders: [['x-team', '1']] },
  model: 'm',
  format: 'openai_chat',
  streamed: false,
  method: 'POST',
  path: '/v1/chat/completions',
  query: '',
  headers: ['content-type', 'application/json', 'openai-beta', 'x'],
  addHeaders: [],
  body: Buffer.from('{"model":"m"}'),
};
const BASE: CacheQuestion = {
  policy: { scope: 'user', ttlMs: 60_000 },
  tailnet: 't1',
  principal: 'local:1',
  request: REQUEST,
};
const METER: MeterResult = {
  usage: { inputTokens: 1, outputTokens: 1 },
  complete: true,
  error: null,
  outputChars: 1,
  model: 'm',
  responseId: 'r',
  stopReason: 'stop',
  toolCalls: [],
};
const GOOD: FilledAnswer = { outcome: 'ok', meter: METER, isClamped: false };

function world(limits?: CacheLimits) {
  const at = { wall: 1_000_000, mark: 0 };
  let drawn = 0;
  const cache = createResponseCache({
    clock: { now: () => at.wall, monotonicMs: () => at.mark },
    random: { bytes: (count) => new Uint8Array(count).fill((drawn += 1)) },
    ...(limits === undefined ? {} : { limits }),
  });
  return { at, cache };
}

function store(cache: ResponseCache, question: CacheQuestion, text = 'answer', answer = GOOD): boolean {
  const fill = cache.fill(cache.slot(question));
  fill.head(200, 'application/json', null);
  fill.push(Buffer.from(text));
  return fill.complete(answer);
}

function read(cache: ResponseCache, question: CacheQuestion): string | null {
  return cache.find(cache.slot(question))?.body.toString() ?? null;
}

function request(change: Partial<CachedRequest>): CacheQuestion {
  return { ...BASE, request: { ...REQUEST, ...change } };
}

const user = (tailnet: string, principal: string): CacheQuestion => ({ ...BASE, tailnet, principal });
const shared = (tailnet: string, principal: string): CacheQuestion => ({
  ...BASE,
  tailnet,
  principal,
  policy: { scope: 'tailnet', ttlMs: 60_000 },
});

/** Who put an answer there, who asks for the same, and whether it is given. */
const SCOPES: readonly [string, CacheQuestion, CacheQuestion, boolean][] = [
  ['user: oneself', user('t1', 'a'), user('t1', 'a'), true],
  ['user: another', user('t1', 'a'), user('t1', 'b'), false],
  ['user: the same name in another tailnet', user('t1', 'a'), user('t2', 'a'), false],
  ['user: names that run together', user('t1', 'ab'), user('t1a', 'b'), false],
  ['tailnet: oneself', shared('t1', 'a'), shared('t1', 'a'), true],
  ['tailnet: another of it', shared('t1', 'a'), shared('t1', 'b'), true],
  ['tailnet: another tailnet', shared('t1', 'a'), shared('t2', 'a'), false],
  ['what is shared is not taken for what is private', shared('t1', 'a'), user('t1', 'a'), false],
  ['what is private is not shared', user('t1', 'a'), shared('t1', 'b'), false],
  ['what is private is not shared, by oneself neither', user('t1', 'a'), shared('t1', 'a'), false],
  ['a principal that is named like a scope', user('t1', 'tailnet'), shared('t1', 'tailnet'), false],
];
for (const [title, maker, asker, isGiven] of SCOPES) {
  test(`scope, ${title}`, () => {
    const { cache } = world();
    assert.equal(store(cache, maker), true);
    assert.equal(read(cache, asker), isGiven ? 'answer' : null);
  });
}

test('no two scopes meet, whatever tailnets and principals are called', () => {
  const name = fc.oneof(fc.string(), fc.constantFrom('', 'a', 'user', 'tailnet', '"', '","', '\0'));
  const asking = fc.record({
    tailnet: name,
    principal: name,
    scope: fc.constantFrom('user' as const, 'tailnet' as const),
  });
  fc.assert(
    fc.property(asking, asking, (maker, asker) => {
      const { cache } = world();
      const of = ({ scope, ...rest }: typeof maker): CacheQuestion => ({
        ...BASE,
        ...rest,
        policy: { scope, ttlMs: 1_000 },
      });
      store(cache, of(maker));
      const mayRead =
        maker.scope === asker.scope &&
        maker.tailnet === asker.tailnet &&
        (asker.scope === 'tailnet' || maker.principal === asker.principal);
      assert.equal(read(cache, of(asker)) !== null, mayRead);
    }),
  );
});

const OTHER_QUESTIONS: readonly [string, CacheQuestion][] = [
  ['another provider', request({ provider: { ...REQUEST.provider, id: 'q' } })],
  ['another kind of provider', request({ provider: { ...REQUEST.provider, kind: 'compatible' } })],
  ['another address', request({ provider: { ...REQUEST.provider, baseUrl: { href: 'https://q.test' } } })],
  [
    'another version in the address',
    request({
      provider: { ...REQUEST.provider, baseUrl: { href: 'https://p.test', query: 'api-version=2' } },
    }),
  ],
  [
    "other headers of the provider's",
    request({ provider: { ...REQUEST.provider, addHeaders: [['x-team', '2']] } }),
  ],
  ["other headers of the grant's", request({ addHeaders: [['x-team', '1']] })],
  ['another model', request({ model: 'n' })],
  ['another format', request({ format: 'openai_responses' })],
  ['a stream of the same', request({ streamed: true })],
  ['another path', request({ path: '/v1/chat/completions/' })],
  ['a query', request({ query: 'alt=sse' })],
  ['another header that means something', request({ headers: [...REQUEST.headers, 'anthropic-beta', 'y'] })],
  ['a header nobody knows', request({ headers: [...REQUEST.headers, 'x-new', 'y'] })],
  ['an idempotency key', request({ headers: [...REQUEST.headers, 'Idempotency-Key', 'y'] })],
  ['white space in the body', request({ body: Buffer.from('{"model": "m"}') })],
  [
    'a member twice, which a parser may read either way',
    request({ body: Buffer.from('{"model":"m","model":"m"}') }),
  ],
];
for (const [title, question] of OTHER_QUESTIONS) {
  test(`another question has another answer: ${title}`, () => {
    const { cache } = world();
    store(cache, BASE);
    assert.equal(read(cache, question), null);
    store(cache, question, 'other');
    assert.equal(read(cache, BASE), 'answer', 'and cannot replace this one');
  });
}

test('any difference of a byte in the body is another question', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ maxLength: 64 }), (one, two) => {
      const { cache } = world();
      store(cache, request({ body: one }));
      const same = Buffer.compare(one, two) === 0;
      assert.equal(read(cache, request({ body: two })) !== null, same);
    }),
  );
});

test('product names, statistics and trace ids do not make another question', () => {
  const { cache } = world();
  store(cache, BASE);
  const headers = ['User-Agent', 'x/2', ...REQUEST.headers, 'X-Stainless-OS', 'Linux', 'traceparent', '00-1'];
  assert.equal(read(cache, request({ headers })), 'answer');
});

test('every process has names of its own', () => {
  const { cache } = world();
  const random = { bytes: (count: number) => new Uint8Array(count).fill(99) };
  const other = createResponseCache({ clock: { now: () => 0, monotonicMs: () => 0 }, random });
  assert.notEqual(cache.slot(BASE).name, other.slot(BASE).name);
});

const NOT_KEPT: readonly [string, FilledAnswer][] = [
  ['an error', { ...GOOD, outcome: 'upstream_error' }],
  ['a stream cut off', { ...GOOD, outcome: 'truncated' }],
  ['an answer that the caller left', { ...GOOD, outcome: 'client_abort' }],
  ['an answer under a lowered limit', { ...GOOD, isClamped: true }],
  ['an answer that nobody read', { ...GOOD, meter: null }],
  ['an answer without its end', { ...GOOD, meter: { ...METER, complete: false } }],
  ['an error within a stream', { ...GOOD, meter: { ...METER, error: { code: 'x', message: 'x' } } }],
  ['a tool call', { ...GOOD, meter: { ...METER, toolCalls: ['Bash'] } }],
  [
    'an answer that made an object',
    { ...GOOD, meter: { ...METER, objects: [{ kind: 'container', id: 'c', parentId: null }] } },
  ],
];
for (const [title, answer] of NOT_KEPT) {
  test(`not kept: ${title}`, () => {
    const { cache } = world();
    assert.equal(store(cache, BASE, 'answer', answer), false);
    assert.equal(read(cache, BASE), null);
    assert.equal(cache.stats().fillingBytes, 0);
  });
}

test('a stateless response is kept although it bears an id', () => {
  const { cache } = world();
  const meter = { ...METER, objects: [{ kind: 'response' as const, id: 'r', parentId: null }] };
  assert.equal(store(cache, BASE, 'answer', { ...GOOD, meter }), true);
});

test('only a plain 200 is kept', () => {
  const heads: readonly [number, string | null][] = [
    [201, null],
    [206, null],
    [404, null],
    [200, 'gzip'],
  ];
  for (const [status, encoding] of heads) {
    const { cache } = world();
    const fill = cache.fill(cache.slot(BASE));
    fill.head(status, null, encoding);
    fill.push(Buffer.from('x'));
    assert.equal(fill.complete(GOOD), false);
    assert.equal(read(cache, BASE), null);
  }
  const { cache } = world();
  const headless = cache.fill(cache.slot(BASE));
  headless.push(Buffer.from('x'));
  assert.equal(headless.complete(GOOD), false);
});

test("an answer is over by its maker's and by its asker's ttl, on either clock", () => {
  const { at, cache } = world();
  store(cache, BASE);
  at.mark += 30_000;
  at.wall += 30_000;
  assert.equal(cache.find(cache.slot(BASE))?.ageSec, 30);
  assert.equal(read(cache, { ...BASE, policy: { scope: 'user', ttlMs: 30_000 } }), null, "the asker's");
  assert.equal(read(cache, { ...BASE, policy: { scope: 'user', ttlMs: 1e9 } }), 'answer');
  at.mark += 30_000;
  at.wall -= 1_000_000;
  assert.equal(read(cache, { ...BASE, policy: { scope: 'user', ttlMs: 1e9 } }), null, "the maker's");
  store(cache, BASE);
  at.wall += 60_000;
  assert.equal(read(cache, BASE), null, 'the machine slept');
  assert.equal(cache.stats().bytes, 0);
});

test('what is changed on its way to one caller, or by its sender, is not changed for the next', () => {
  const { cache } = world();
  const chunk = Buffer.from('answer');
  const fill = cache.fill(cache.slot(BASE));
  fill.head(200, null, null);
  fill.push(chunk);
  chunk.fill(0);
  fill.complete(GOOD);
  assert.equal(read(cache, BASE), 'answer');
});

test('a fill that has ended takes no more and gives its room back once', () => {
  const { cache } = world();
  const fill = cache.fill(cache.slot(BASE));
  fill.head(200, null, null);
  fill.push(Buffer.from('x'));
  assert.ok(cache.stats().fillingBytes > 0);
  fill.abandon();
  fill.abandon();
  fill.push(Buffer.from('y'));
  assert.equal(fill.complete(GOOD), false);
  assert.equal(cache.stats().fillingBytes, 0);
});

const SMALL: CacheLimits = { maxBytes: 8_192, entryMaxBytes: 4_096, fillMaxBytes: 10_000 };

test('an answer over the limit is not kept, and answers that arrive have a limit together', () => {
  const { cache } = world(SMALL);
  assert.equal(store(cache, BASE, 'x'.repeat(4_096)), true);
  assert.equal(store(cache, request({ model: 'n' }), 'x'.repeat(4_097)), false);
  const fills = ['a', 'b', 'c'].map((model) => {
    const fill = cache.fill(cache.slot(request({ model })));
    fill.head(200, null, null);
    fill.push(Buffer.alloc(4_000));
    return fill;
  });
  assert.deepEqual(
    fills.map((fill) => fill.complete(GOOD)),
    [true, true, false],
  );
  assert.equal(cache.stats().fillingBytes, 0);
});

test('the least recently used answer makes room', () => {
  const { cache } = world(SMALL);
  const [a, b, c] = ['a', 'b', 'c'].map((model) => request({ model }));
  assert.ok(a !== undefined && b !== undefined && c !== undefined);
  store(cache, a, 'x'.repeat(3_000));
  store(cache, b, 'x'.repeat(3_000));
  assert.notEqual(read(cache, a), null);
  store(cache, c, 'x'.repeat(3_000));
  assert.deepEqual(
    [a, b, c].map((question) => read(cache, question) !== null),
    [true, false, true],
  );
  assert.equal(cache.stats().evicted, 1);
});

test('whatever is stored and asked, the cache stays within its bytes and never gives a wrong answer', () => {
  const step = fc.record({
    model: fc.constantFrom(
      'a',
      'b',
      'c',
      'd',
      'e',
      'f',
      'g',
      'h',
      'i',
      'j',
      'k',
      'l',
      'm',
      'n',
      'o',
      'p',
      'q',
      'r',
    ),
    size: fc.integer({ min: 1, max: 5_000 }),
    waitMs: fc.integer({ min: 0, max: 30_000 }),
    chunk: fc.integer({ min: 1, max: 1_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { at, cache } = world(SMALL);
      for (const { model, size, waitMs, chunk } of steps) {
        at.mark += waitMs;
        const body = Buffer.alloc(size, model);
        const fill = cache.fill(cache.slot(request({ model })));
        fill.head(200, 'text/plain', null);
        for (let start = 0; start < size; start += chunk) fill.push(body.subarray(start, start + chunk));
        assert.equal(fill.complete(GOOD), size <= SMALL.entryMaxBytes);
        const found = cache.find(cache.slot(request({ model })));
        if (found !== null) assert.ok(found.body.equals(Buffer.alloc(found.body.length, model)));
        const { bytes, fillingBytes, entries } = cache.stats();
        assert.ok(bytes <= SMALL.maxBytes && bytes >= entries * 512);
        assert.equal(fillingBytes, 0);
      }
      at.mark += 60_000;
      cache.sweep();
      assert.deepEqual([cache.stats().entries, cache.stats().bytes], [0, 0]);
    }),
  );
});

test("a person's answers can be forgotten, and a tailnet's", () => {
  const { cache } = world();
  store(cache, user('t1', 'a'));
  store(cache, shared('t1', 'a'));
  store(cache, user('t1', 'b'));
  store(cache, user('t2', 'a'));
  assert.equal(cache.forget('t1', 'a'), 2);
  assert.equal(read(cache, user('t1', 'b')), 'answer');
  assert.equal(cache.forget('t1'), 1);
  assert.equal(read(cache, user('t2', 'a')), 'answer');
});
