import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  JSON_DEPTH_MAX,
  JSON_ELEMENTS_MAX,
  JSON_MEMBERS_MAX,
  JsonScanError,
  KeyGroups,
  KeyWatch,
  scanJsonArray,
  scanJsonDocument,
  scanJsonObject,
} from './json-scan.ts';

const bytesOf = (text: string): Buffer => Buffer.from(text, 'utf8');

/** What the spans say, put together again as a value. */
function rebuild(bytes: Buffer): [string, unknown][] {
  return scanJsonDocument(bytes).map(({ key, valueStart, valueEnd }) => [
    key,
    JSON.parse(bytes.toString('utf8', valueStart, valueEnd)),
  ]);
}

function isObjectText(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function isScanned(bytes: Buffer): boolean {
  try {
    scanJsonDocument(bytes);
    return true;
  } catch (error) {
    assert.ok(error instanceof JsonScanError);
    assert.ok(error.offset >= 0 && error.offset <= bytes.length);
    return false;
  }
}

test('spans hold the values that JSON.parse sees, in any white space', () => {
  const spaced = fc.tuple(
    fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()),
    fc.constantFrom(undefined, 1, '\t', '\r\n '),
  );
  fc.assert(
    fc.property(spaced, ([value, space]) => {
      const text = JSON.stringify(value, null, space);
      const parsed: unknown = JSON.parse(text);
      assert.deepEqual(Object.fromEntries(rebuild(bytesOf(text))), parsed);
    }),
  );
});

test('exactly the documents that JSON.parse accepts are accepted (RFC 8259)', () => {
  const fragment = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '\\u00e9',
    '\\n',
    '\\x',
    '\n',
    ' ',
    '"a"',
    '"b":',
    '1',
    '-',
    '0',
    '.',
    'e',
    'E+',
    '01',
    'true',
    'fals',
    'null',
    '\u0001',
    'é',
  );
  const soup = fc.array(fragment, { maxLength: 14 }).map((parts) => `{"k":${parts.join('')}}`);
  const damaged = fc
    .tuple(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(), fragment)
    .map(([value, at, piece]) => {
      const text = JSON.stringify(value);
      const cut = at % (text.length + 1);
      return text.slice(0, cut) + piece + text.slice(cut + (at % 3));
    });
  fc.assert(
    fc.property(fc.oneof(soup, damaged), (text) => {
      assert.equal(isScanned(bytesOf(text)), isObjectText(bytesOf(text).toString('utf8')), text);
    }),
    { numRuns: 3_000 },
  );
});

test('bytes that are no text at all are refused or scanned, never thrown upon', () => {
  fc.assert(
    fc.property(
      fc.uint8Array(),
      (bytes) => void isScanned(Buffer.concat([bytesOf('{"a":"'), bytes, bytesOf('"}')])),
    ),
  );
});

test('escaped keys are decoded and repeated keys are all returned', () => {
  const found = scanJsonObject(bytesOf('{"mod\\u0065l":1,"model":2}'));
  assert.deepEqual(
    found.map((member) => member.key),
    ['model', 'model'],
  );
  assert.equal(found[1]?.memberStart, 16);
});

test('a special byte is found wherever it stands in a long string', () => {
  for (let length = 500; length < 540; length += 1) {
    for (const special of ['\\"', '\\\\', 'é', '\\u0041']) {
      for (const offset of [0, 1, 2, 3]) {
        const text = `${' '.repeat(offset)}{"a":"${'x'.repeat(length)}${special}${'y'.repeat(700)}","b":1}`;
        assert.deepEqual(
          scanJsonDocument(bytesOf(text)).map((member) => member.key),
          ['a', 'b'],
        );
      }
    }
    assert.throws(() => scanJsonDocument(bytesOf(`{"a":"${'x'.repeat(length)}\u001f${'y'.repeat(9)}"}`)), {
      code: 'json_invalid',
    });
  }
});

test('long strings are read alike wherever in memory they lie, and as JSON.parse reads them', () => {
  const piece = fc.oneof(
    { weight: 6, arbitrary: fc.string({ maxLength: 40 }).map((text) => JSON.stringify(text).slice(1, -1)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('"', '\\', '\u0000', '\u001f', '\u0020', '\u007f', 'é', '😀', '","b":"'),
    },
  );
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 40 }), fc.nat(300), (pieces, padding) => {
      const text = `{"pad":"${'p'.repeat(256 + padding)}","a":"${pieces.join('')}"}`;
      const bytes = bytesOf(text);
      const isValid = isObjectText(text);
      for (const offset of [0, 1, 2, 3]) {
        const moved = Buffer.alloc(bytes.length + 8, '"').subarray(offset, offset + bytes.length);
        bytes.copy(moved);
        assert.equal(isScanned(moved), isValid);
        if (isValid) assert.deepEqual(Object.fromEntries(rebuild(moved)), JSON.parse(text));
      }
    }),
    { numRuns: 300 },
  );
});

test('elements of an array are found from any offset, and what follows is not looked at', () => {
  const bytes = bytesOf('{"m":[ {"a":[1]} , "x", 2 ],broken');
  const spans = scanJsonArray(bytes, 5);
  assert.deepEqual(
    spans.map(({ start, end }) => bytes.toString('utf8', start, end)),
    ['{"a":[1]}', '"x"', '2'],
  );
});

test('depth, members, elements and keys have limits', () => {
  const deep = (levels: number): Buffer => bytesOf(`{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`);
  assert.equal(scanJsonObject(deep(JSON_DEPTH_MAX - 1)).length, 1);
  assert.throws(() => scanJsonObject(deep(JSON_DEPTH_MAX)), { code: 'json_limit' });
  const members = Array.from({ length: JSON_MEMBERS_MAX + 1 }, (_, i) => `"${i}":0`).join(',');
  assert.throws(() => scanJsonObject(bytesOf(`{${members}}`)), { code: 'json_limit' });
  assert.throws(() => scanJsonArray(bytesOf(`[${'0,'.repeat(JSON_ELEMENTS_MAX)}0]`)), { code: 'json_limit' });
  assert.throws(() => scanJsonObject(bytesOf(`{"${'k'.repeat(2_000)}":0}`)), { code: 'json_limit' });
});

test('a document must be one object and nothing else', () => {
  for (const text of ['', ' ', '[]', '1', '{}{}', '{} x', '\ufeff{}', '{"a":1,}', '{,}', '{"a"}']) {
    assert.throws(() => scanJsonDocument(bytesOf(text)), { code: 'json_invalid' }, text);
  }
});

test('a watch sees the keys of every level, whatever their place, and nothing but keys', () => {
  const groups = new KeyGroups([['file_id', 'id'], ['prompt']]);
  const maskOf = (text: string): number => {
    const watch = new KeyWatch(groups);
    scanJsonDocument(bytesOf(text), watch);
    return watch.mask;
  };
  assert.equal(maskOf('{"id":1}'), 1);
  assert.equal(maskOf('{"a":[{"b":{"prompt":{}}}]}'), 2);
  assert.equal(maskOf('{"a":[[{"c":1},{"file_id":"x"}]],"prompt":0}'), 3);
  assert.equal(maskOf('{"a":"id","b":["prompt"],"c":"\\"id\\":1","ids":1,"promp":2,"file_ix":3}'), 0);
  assert.equal(maskOf('{"a":{"\\u0069d":1}}'), 3, 'an escape could spell any name');
});

test('a watch finds what a walk of the parsed value finds', () => {
  const names = ['id', 'file_id', 'prompt'];
  const groups = new KeyGroups(names.map((name) => [name]));
  const key = fc.oneof(fc.constantFrom(...names), fc.string());
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(key, tree, { maxKeys: 4 }), (value) => {
      const seen = new Set<string>();
      const text = JSON.stringify(value, function (name: string, inner: unknown) {
        if (!Array.isArray(this)) seen.add(name);
        return inner;
      });
      const watch = new KeyWatch(groups);
      scanJsonDocument(bytesOf(text), watch);
      names.forEach((name, group) => {
        if (seen.has(name)) assert.ok((watch.mask & (1 << group)) !== 0, `${name} in ${text}`);
        else if (!text.includes('\\')) assert.ok((watch.mask & (1 << group)) === 0, `${name} not in ${text}`);
      });
    }),
  );
});
