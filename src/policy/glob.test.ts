import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compileGlob, patternFault } from './glob.ts';

test('globs: * stays within a segment, ** crosses, the rest is literal (Aperture, capability "models")', () => {
  const table: readonly (readonly [pattern: string, text: string, expected: boolean])[] = [
    ['openai/gpt-5', 'openai/gpt-5', true],
    ['openai/gpt-5', 'openai/gpt-5.1', false],
    ['openai/*', 'openai/gpt-5', true],
    ['openai/*', 'openai/a/b', false],
    ['openai/**', 'openai/a/b', true],
    ['*', 'openai/gpt-5', false],
    ['*/*', 'openai/gpt-5', true],
    ['**', 'openai/gpt-5', true],
    ['**/gpt-*', 'openai/gpt-5', true],
    ['**/gpt-*', 'openrouter/openai/gpt-5', true],
    ['anthropic/claude-*-4*', 'anthropic/claude-sonnet-4-5', true],
    ['a.b/*', 'axb/c', false],
    ['openai/gpt-*-mini', 'openai/gpt-5-mini', true],
    ['openai/gpt-*-mini', 'openai/gpt-5-mini-x', false],
    ['', '', false],
    ['a[b]/*', 'ab/c', false],
  ];
  for (const [pattern, text, expected] of table)
    assert.equal(compileGlob(pattern).test(text), expected, `${pattern} ~ ${text}`);
});

test('globs: wildcards of other dialects are faults, not silent misses', () => {
  for (const pattern of ['', 'a?', '[ab]', '{a,b}', 'a b', '!a', 'a\\b', 'x'.repeat(257)])
    assert.notEqual(patternFault(pattern), null, pattern);
  assert.equal(patternFault('openai/**'), null);
});

test('globs: they agree with the regular expression of the same meaning', () => {
  const letters = fc.constantFrom('a', 'b', '/', '.', '*', '**');
  fc.assert(
    fc.property(
      fc.array(letters, { minLength: 1, maxLength: 8 }),
      fc.stringMatching(/^[ab/.]{0,10}$/),
      (parts, text) => {
        const pattern = parts.join('');
        const source = pattern.replace(/\*\*|\*|[./]/g, (part) =>
          part === '**' ? '[^]*' : part === '*' ? '[^/]*' : `\\${part}`,
        );
        assert.equal(
          compileGlob(pattern).test(text),
          new RegExp(`^${source}$`).test(text),
          `${pattern} ~ ${text}`,
        );
      },
    ),
    { numRuns: 2000 },
  );
});

test('globs: many wildcards against a long text take no time', () => {
  const started = performance.now();
  assert.equal(compileGlob(`${'*a'.repeat(100)}b`).test('a'.repeat(1000)), false);
  assert.ok(performance.now() - started < 1000);
});
