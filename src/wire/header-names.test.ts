import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rememberByName } from './header-names.ts';

test('each spelling of a name is decided once, by the name in lower case', () => {
  const asked: string[] = [];
  const lengthOf = rememberByName((lower) => {
    asked.push(lower);
    return lower.length;
  });
  for (const name of ['Host', 'host', 'Host', 'HOST', 'host']) assert.equal(lengthOf(name), 4);
  assert.deepEqual(asked, ['host', 'host', 'host']);
});

test('strangers choose names: neither their number nor their length makes the memory grow', () => {
  let asked = 0;
  const decide = rememberByName((lower) => {
    asked += 1;
    return lower;
  });
  const long = 'x'.repeat(65);
  assert.equal(decide(long), long);
  assert.equal(decide(long), long);
  assert.equal(asked, 2, 'a long name is not kept');
  decide('first');
  for (let i = 0; i < 1_024; i += 1) assert.equal(decide(`X-${i}`), `x-${i}`);
  asked = 0;
  assert.equal(decide('first'), 'first');
  assert.equal(asked, 1, 'the memory began afresh');
});
