import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HujsonError, parseHujson, type JsonValue } from './hujson.ts';

const plain = (value: JsonValue): unknown => JSON.parse(JSON.stringify(value));

test('hujson: comments and trailing commas are read', () => {
  const { value } = parseHujson('// a\n{ "a": [1, 2,], /* b */ "c": { "d": null, }, }\n// end');
  assert.deepEqual(plain(value), { a: [1, 2], c: { d: null } });
});

test('hujson: on JSON it agrees with JSON.parse', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 8 }), fc.nat(2), (text, indent) => {
      const pretty = JSON.stringify(JSON.parse(text), null, indent);
      assert.equal(JSON.stringify(parseHujson(pretty).value), JSON.stringify(JSON.parse(pretty)));
    }),
  );
});

test('hujson: of any text it gives a value or HujsonError, and accepts all that JSON.parse does', () => {
  const bits = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '"a"',
    '1',
    '-',
    '.',
    'e',
    'true',
    'null',
    '//',
    '/*',
    '*/',
    '\n',
    '\\',
    '\\u00',
    ' ',
    '__proto__',
    '\u0000',
    '\uFEFF',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(bits, { maxLength: 20 }).map((all) => all.join('')),
      ),
      (text) => {
        let strict: string | null = null;
        try {
          strict = JSON.stringify(JSON.parse(text));
        } catch {
          strict = null;
        }
        try {
          const { value } = parseHujson(text);
          if (strict !== null) assert.equal(JSON.stringify(value), strict);
        } catch (error) {
          assert.ok(error instanceof HujsonError, String(error));
          assert.equal(strict, null, `JSON.parse accepts ${JSON.stringify(text)}`);
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test('hujson: a member called __proto__ is a plain member', () => {
  const { value } = parseHujson('{"__proto__": {"admin": true}, "constructor": 1}');
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value));
  assert.deepEqual(Object.keys(value), ['__proto__', 'constructor']);
  assert.equal(value['admin'], undefined);
  assert.equal('admin' in {}, false);
});

test('hujson: positions are those of the value, spans cut it out', () => {
  const text = '{\n  // key\n  "a": {"b": [10, "xé"]},\n}';
  const parsed = parseHujson(text);
  assert.deepEqual(parsed.positionOf(['a', 'b', 1]), { line: 3, column: 19, offset: text.indexOf('"xé"') });
  const span = parsed.spanOf(['a', 'b', 1]);
  assert.equal(text.slice(span?.start, span?.end), '"xé"');
  assert.equal(parsed.positionOf(['a', 'zz']), null);
  assert.equal(parsed.positionOf(['a', 'b', 9]), null);
});

test('hujson: repeated members are reported with their place, the last wins', () => {
  const parsed = parseHujson('{"a": 1,\n "b": {"c": 1, "\\u0063": 2}, "a": 3}');
  assert.deepEqual(parsed.duplicates, [
    { path: ['b', 'c'], line: 2, column: 16 },
    { path: ['a'], line: 2, column: 30 },
  ]);
  assert.deepEqual(plain(parsed.value), { a: 3, b: { c: 2 } });
});

test('hujson: what is refused, and how it is said', () => {
  const table: readonly (readonly [text: string, line: number, column: number, expected: RegExp])[] = [
    ['', 1, 1, /a value/],
    ['{', 1, 2, /member name/],
    ['{"a" 1}', 1, 6, /":"/],
    ['{"a": 1 "b": 2}', 1, 9, /"," or "}"/],
    ['[1,,2]', 1, 4, /a value/],
    ['[,]', 1, 2, /a value/],
    ['{,}', 1, 2, /member name/],
    ['\n "a\nb"', 2, 4, /control character/],
    ['"abc', 1, 5, /closing double quote/],
    ['"\\x"', 1, 3, /backslash/],
    ['"\\u12g4"', 1, 3, /hexadecimal/],
    ['01', 1, 2, /end of the text/],
    ['1 2', 1, 3, /end of the text/],
    ["{'a': 1}", 1, 2, /member name/],
    ['/* x', 1, 1, /comment that ends/],
    ['nul', 1, 1, /a value/],
    ['NaN', 1, 1, /a value/],
  ];
  for (const [text, line, column, expected] of table) {
    assert.throws(
      () => parseHujson(text),
      (error) =>
        error instanceof HujsonError &&
        error.line === line &&
        error.column === column &&
        expected.test(error.expected),
      JSON.stringify(text),
    );
  }
});

test('hujson: depth and length are limited', () => {
  assert.throws(() => parseHujson('['.repeat(101) + ']'.repeat(101)), /at most 100 levels/);
  assert.doesNotThrow(() => parseHujson('['.repeat(100) + ']'.repeat(100)));
  assert.throws(() => parseHujson('['.repeat(1_000_000)), HujsonError);
  assert.throws(() => parseHujson(' '.repeat(11) + '1', { maxLength: 10 }), /at most 10 characters/);
});

test('hujson: an error never quotes a string, which could be a secret', () => {
  assert.throws(
    () => parseHujson('{"apikey": "x" "sk-verysecret"}'),
    (error) => error instanceof HujsonError && !error.message.includes('sk-verysecret'),
  );
});
