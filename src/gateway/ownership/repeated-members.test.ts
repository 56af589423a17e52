import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { repeatsMember } from './repeated-members.ts';

const NAMES = new Set(['file_id', 'id']);
const repeats = (json: string): boolean => repeatsMember(Buffer.from(json), JSON.parse(json), NAMES);

test('a repeated name is found at any depth, escaped or not', () => {
  const table: readonly (readonly [json: string, expected: boolean])[] = [
    ['{"a":[{"file_id":"x","file_id":"y"}]}', true],
    ['{"a":{"file_id" :"x","file\\u005fid"\n:"y"}}', true],
    ['{"a":{"file_id":"x"},"b":{"file_id":"y"}}', false],
    ['{"a":"\\"file_id\\":\\"x\\"","file_id":"y"}', false],
    ['{"a":"\\\\","file_id":"y","b":"file_id"}', false],
    ['{"other":1,"other":2,"file_id":"y"}', false],
  ];
  for (const [json, expected] of table) assert.equal(repeats(json), expected, json);
});

test('JSON that repeats nothing never seems to', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) =>
      assert.equal(repeats(JSON.stringify({ file_id: [value], id: value })), false),
    ),
  );
});
