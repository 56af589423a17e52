import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { diffDocuments } from './diff-documents.ts';

test('diff: unified, with three lines of context', () => {
  const before = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].join('\n');
  const after = ['a', 'b', 'c', 'd', 'E', 'f', 'g', 'h', 'i', 'j'].join('\n');
  assert.equal(
    diffDocuments(before, after, { before: 'version 1', after: 'version 2' }),
    [
      '--- version 1',
      '+++ version 2',
      '@@ -2,8 +2,9 @@',
      ' b',
      ' c',
      ' d',
      '-e',
      '+E',
      ' f',
      ' g',
      ' h',
      ' i',
      '+j',
      '',
    ].join('\n'),
  );
  assert.equal(diffDocuments('same', 'same'), '');
});

test('diff: changes far apart are hunks of their own', () => {
  const lines = Array.from({ length: 30 }, (_, index) => `line ${index}`);
  const after = lines.map((line, index) => (index === 2 || index === 27 ? `${line}!` : line));
  assert.equal((diffDocuments(lines.join('\n'), after.join('\n')).match(/^@@/gm) ?? []).length, 2);
});

/** Applies a unified diff. */
function apply(before: string, diff: string): string {
  if (diff === '') return before;
  const source = before.split('\n');
  const out: string[] = [];
  let at = 0;
  for (const line of diff.split('\n').slice(2, -1)) {
    const header = /^@@ -(\d+),(\d+) /.exec(line);
    if (header !== null) {
      const start = Number(header[2]) === 0 ? Number(header[1]) : Number(header[1]) - 1;
      while (at < start) out.push(source[at++] ?? '');
    } else if (line.startsWith('+')) out.push(line.slice(1));
    else {
      assert.equal(source[at], line.slice(1));
      if (line.startsWith(' ')) out.push(line.slice(1));
      at += 1;
    }
  }
  return [...out, ...source.slice(at)].join('\n');
}

test('diff: applied to the one text it gives the other', () => {
  const text = fc
    .array(fc.constantFrom('a', 'b', 'c', '', '-', '+x', '@@'), { maxLength: 25 })
    .map((lines) => lines.join('\n'));
  fc.assert(
    fc.property(text, text, (before, after) =>
      assert.equal(apply(before, diffDocuments(before, after)), after),
    ),
    { numRuns: 2000 },
  );
});

test('diff: two wholly different long texts are shown as replaced, soon', () => {
  const text = (prefix: string): string =>
    Array.from({ length: 5000 }, (_, index) => `${prefix}${index}`).join('\n');
  const started = performance.now();
  assert.equal(apply(text('a'), diffDocuments(text('a'), text('b'))), text('b'));
  assert.ok(performance.now() - started < 3000);
});
