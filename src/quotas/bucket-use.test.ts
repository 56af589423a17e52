import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import type { QuotaEntry } from '../policy/document.ts';
import { expandBucket, TEMPLATE_NAMES } from './bucket-template.ts';
import { BucketExpander, type BucketValues } from './bucket-use.ts';
import { checkQuotas } from './check-quotas.ts';
import { remainingHeader } from './remaining-header.ts';
import { quota } from './test-quotas.ts';

const alice: BucketValues = {
  tailnet: 'home',
  principal: 'local:1000',
  user: 'alice@example.com',
  node: 'nAbC',
  groups: ['group:a', 'group:b'],
  token: null,
  agent: 'claude-code',
  session: 's1',
  provider: 'openai',
  model: 'gpt-5',
};

function book(...entries: readonly QuotaEntry[]): ReadonlyMap<string, QuotaEntry> {
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function expand(entries: readonly QuotaEntry[], values: Partial<BucketValues> = {}, all = entries): string[] {
  const expander = new BucketExpander({ perHolderMax: 2, idleMs: 1_000, holdersMax: 10 });
  return expander.expand(entries, book(...all), { ...alice, ...values }, 0).map(({ bucket }) => bucket);
}

test('templates are filled as Aperture writes them; what is absent is one bucket', () => {
  assert.equal(expandBucket('daily:<user>', { user: 'alice@example.com' }), 'daily:alice@example.com');
  assert.equal(expandBucket('daily:<user>', { user: 'tag:ci,tag:prod' }), 'daily:tag:ci,tag:prod');
  assert.equal(expandBucket('<user>/<model>', { user: 'a', model: 'meta/llama' }), 'a/meta%2fllama');
  assert.equal(expandBucket('x<token>', {}), 'x(none)');
  assert.equal(expandBucket('no <thing>', {}), 'no <thing>');
});

test('two sets of values never give one name (a caller cannot choose its way into a bucket)', () => {
  const value = fc.option(
    fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a', 'a:b', '(none)', '%28')),
  );
  const name = fc.constantFrom(...TEMPLATE_NAMES);
  const literal = fc.constantFrom('', ':', '/', 'x', '-', 'a:', '%');
  fc.assert(
    fc.property(
      fc.tuple(name, name).filter(([a, b]) => a !== b),
      fc.tuple(literal, literal, literal),
      fc.tuple(value, value, value, value),
      ([a, b], [first, middle, last], [a1, b1, a2, b2]) => {
        const template = `${first}<${a}>${middle}<${b}>${last}`;
        const same = (x: string | null, y: string | null): boolean =>
          (x ?? '').toWellFormed() === (y ?? '').toWellFormed();
        const one = expandBucket(template, { [a]: a1, [b]: b1 });
        const other = expandBucket(template, { [a]: a2, [b]: b2 });
        assert.equal(one === other, same(a1, a2) && same(b1, b2));
      },
    ),
  );
});

test('a request counts against every parent once, and a group template against each group', () => {
  const company = quota('company');
  const team = quota('team:<group>', { parent: 'company' });
  const own = quota('own:<user>', { parent: 'team:<group>' });
  assert.deepEqual(expand([own, team], {}, [company, team, own]), [
    'own:alice@example.com',
    'team:group:a',
    'company',
    'team:group:b',
  ]);
  assert.deepEqual(expand([team], { groups: [] }, [company, team]), ['team:(none)', 'company']);
});

test('a parent that is missing, or a line too long, is a fault and never a smaller limit', () => {
  const expander = new BucketExpander({ perHolderMax: 2, idleMs: 1_000, holdersMax: 10 });
  const [use] = expander.expand([quota('own', { parent: 'gone' })], book(), alice, 0);
  assert.match(use?.fault ?? '', /parent "gone", which is not defined/);
  const line = Array.from({ length: 12 }, (_, i) =>
    quota(`q${i}`, { parent: i === 11 ? null : `q${i + 1}` }),
  );
  const long = expander.expand(line.slice(0, 1), book(...line), alice, 0);
  assert.match(long.at(-1)?.fault ?? '', /more than 8 parents/);
  const groups = Array.from({ length: 100 }, (_, i) => `group:${i}`);
  const wide = expander.expand([quota('g:<group>')], book(), { ...alice, groups }, 0);
  assert.ok(wide.some(({ fault }) => fault?.includes('more than 64 buckets')));
  const ring = [quota('a', { parent: 'b' }), quota('b', { parent: 'a' })];
  assert.deepEqual(expand(ring.slice(0, 1), {}, ring), ['a', 'b']);
});

test('lenders follow in order, of the same unit only', () => {
  const lender = quota('pool:<group>');
  const calls = quota('calls', { unit: 'requests' });
  const own = quota('own', { overdraft: ['calls', 'gone', 'pool:<group>'] });
  const expander = new BucketExpander({ perHolderMax: 2, idleMs: 1_000, holdersMax: 10 });
  const [use] = expander.expand([own], book(lender, calls, own), alice, 0);
  assert.deepEqual(
    use?.overdraft.map(({ bucket }) => bucket),
    ['pool:group:a', 'pool:group:b'],
  );
});

test('labels are the caller’s own, capped in number, and share one bucket beyond (DESIGN section 5)', () => {
  const entry = quota('agent:<agent>');
  const expander = new BucketExpander({ perHolderMax: 2, idleMs: 1_000, holdersMax: 10 });
  const name = (agent: string, nowMs: number, user = 'alice'): string | undefined =>
    expander.expand([entry], book(entry), { ...alice, agent, user, principal: user }, nowMs)[0]?.bucket;
  assert.deepEqual(
    [name('a', 0), name('b', 1), name('c', 2), name('a', 3)],
    ['agent:a/alice', 'agent:b/alice', 'agent:(other)/alice', 'agent:a/alice'],
  );
  assert.equal(name('c', 3, 'bob'), 'agent:c/bob');
  assert.equal(name('c', 1_001), 'agent:c/alice', 'a place unused for long is free again');
  assert.notEqual(name('(other)', 0, 'bob'), 'agent:(other)/bob');
});

test('checkQuotas says what is broken and what is weak', () => {
  const faults = checkQuotas(
    book(
      quota('fine:<user>'),
      quota('lost', { parent: 'gone' }),
      quota('ring', { parent: 'ring' }),
      quota('borrower', { overdraft: ['gone', 'calls'] }),
      quota('calls', { unit: 'requests' }),
      quota('agent:<agent>'),
      quota('session:<session>', { parent: 'fine:<user>' }),
      quota('both:<user>:<agent>'),
    ),
  );
  assert.deepEqual(
    faults.map(({ quota: name, kind }) => `${kind} ${name}`),
    [
      'broken lost',
      'weak ring',
      'weak borrower',
      'weak borrower',
      'weak agent:<agent>',
      'weak both:<user>:<agent>',
    ],
  );
});

test('the header names the tightest bucket first and is plain ASCII', () => {
  const item = { quota: 'q', unit: 'usd', capacity: 10e9, threshold: null } as const;
  assert.equal(
    remainingHeader([
      { ...item, bucket: 'team', remaining: 9e9 },
      { ...item, bucket: 'zoë; a\r\n', remaining: 1_234_567 },
      { ...item, bucket: 'debt', remaining: -5 },
    ]),
    'debt;usd=0.000000, zo%C3%AB%3B%20a%0D%0A;usd=0.001234, team;usd=9.000000',
  );
  assert.equal(remainingHeader([]), '');
});
