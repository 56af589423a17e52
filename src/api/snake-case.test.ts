import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snakeCase } from './snake-case.ts';

test('member names become snake_case at every depth; values, texts and lists stay', () => {
  assert.deepEqual(
    snakeCase({ deniedBy: null, grants: [{ matchedSrc: 'someUser', why: ['noMatch'] }], a: 1 }),
    {
      denied_by: null,
      grants: [{ matched_src: 'someUser', why: ['noMatch'] }],
      a: 1,
    },
  );
});
