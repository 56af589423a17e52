import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../../test/property-seed.ts';
import { compilePattern } from '../policy/pattern.ts';
import { entryOf, guardrails } from './guardrails.fixture.ts';
import { patternReach, REACH_MAX } from './pattern-reach.ts';

test('the reach of a pattern is read from its source', () => {
  const cases: readonly (readonly [string, maxLength: number, isBounded: boolean, prefix: string])[] = [
    ['ACME-[0-9]{6}', 17, true, 'ACME-'],
    ['ACME-[0-9]+', REACH_MAX, false, 'ACME-'],
    ['AB?', 2, true, 'A'],
    ['A{2,3}', 3, true, ''],
    ['foo|barbar', 6, true, ''],
    ['x(?:foo|b)(?P<n>\\d)', 5, true, 'x'],
    ['(?i)secret', 6, true, ''],
    ['\\bword\\b', 4, true, ''],
    ['[]a-]x', 3, true, ''],
    ['[[:alpha:]]{2}', 4, true, ''],
    ['\\Qa|b\\E', REACH_MAX, false, ''],
    ['(a*)*', REACH_MAX, false, ''],
    ['(?:ab){1000}', REACH_MAX, false, ''],
  ];
  for (const [source, maxLength, isBounded, prefix] of cases)
    assert.deepEqual(patternReach(source), { maxLength, isBounded, prefix }, source);
});

const ATOM = fc.constantFrom(
  'a',
  'b',
  'Z',
  '1',
  '.',
  '[ab]',
  '[^a]',
  '\\d',
  '\\w',
  '\\b',
  '^',
  '$',
  '\\x61',
  '\\.',
  '-',
  'é',
  '(?i:a)',
);
const TIMES = fc.constantFrom('', '', '', '?', '+', '*', '{2}', '{1,3}', '{0,2}?');
const SOURCE = fc.letrec<{ node: string }>((tie) => {
  const atom = fc.oneof(
    { maxDepth: 3 },
    ATOM,
    tie('node').map((inner) => `(?:${inner})`),
    tie('node').map((inner) => `(${inner})`),
  );
  const sequence = fc
    .array(
      fc.tuple(atom, TIMES).map((pair) => pair.join('')),
      { minLength: 1, maxLength: 4 },
    )
    .map((parts) => parts.join(''));
  return {
    node: fc.oneof(
      sequence,
      sequence,
      fc.tuple(sequence, sequence).map((pair) => pair.join('|')),
    ),
  };
}).node;
const TEXT = fc
  .array(fc.constantFrom('a', 'b', 'A', 'Z', '1', '.', '-', ' ', 'é', '😀'), { maxLength: 40 })
  .map((signs) => signs.join(''));

test('no match is longer than the reach of a bounded pattern, and each begins with its prefix', () => {
  fc.assert(
    fc.property(SOURCE, TEXT, (source, text) => {
      const pattern = compilePattern(source);
      if (typeof pattern === 'string') return;
      const { maxLength, isBounded, prefix } = patternReach(source);
      for (const [start, end] of pattern.find(text, 100)) {
        assert.ok(!isBounded || end - start <= maxLength, `${source} matches ${end - start}`);
        assert.ok(text.startsWith(prefix, start), `${source} begins with ${prefix}`);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a custom pattern finds the same in a stream, however it is cut', () => {
  for (const source of [
    'ACME-[0-9]{6}',
    '[A-Z]{4}-[0-9]{2,6}',
    '(?i)acme|acne',
    'ACME-[0-9]+',
    '\\bACME\\b',
  ]) {
    const pattern = compilePattern(source);
    if (typeof pattern === 'string') throw new Error(pattern);
    const entries = [entryOf({ patterns: [{ name: 'ticket', pattern }], on: ['answer'] })];
    const filtered = (pieces: readonly string[]): string => {
      const filter = guardrails().guardAnswer({ entries, scope: 'a' })?.text('text') ?? null;
      assert.ok(filter !== null);
      return pieces.map((piece) => filter.push(piece)).join('') + filter.finish();
    };
    const text = `an acne, ACMES and ACME-123456 or ACME-12, ${'ACME '.repeat(80)} XACME-1 ACME`;
    const whole = filtered([text]);
    assert.match(whole, /<TICKET_/);
    for (let split = 0; split <= text.length; split += 1)
      assert.equal(filtered([text.slice(0, split), text.slice(split)]), whole, `${source} at ${split}`);
    assert.equal(filtered(text.split('')), whole, source);
  }
});
