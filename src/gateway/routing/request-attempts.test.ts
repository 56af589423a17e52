import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callerTimeoutSec } from './request-attempts.ts';

test('a caller’s timeout is whole seconds, or nothing', () => {
  assert.equal(callerTimeoutSec('600'), 600);
  for (const value of [undefined, '', '-1', '1.5', '1e9', '9999999', 'soon', ['1', '2']])
    assert.equal(callerTimeoutSec(value), null, String(value));
});
