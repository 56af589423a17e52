import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { canonicalJson, CANONICAL_DEPTH_MAX } from './canonical-json.ts';

test('canonical JSON means the same value, whatever the order of keys (RFC 8785, section 3.2.3)', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      assert.equal(canonicalJson(JSON.parse(text)), text);
    }),
  );
  assert.equal(canonicalJson({ b: 1, a: [true, null, 'é'] }), '{"a":[true,null,"é"],"b":1}');
  assert.equal(canonicalJson(JSON.parse('{"a":1,"b":2}')), canonicalJson(JSON.parse('{"b":2,"a":1}')));
});

test('named keys are left out at every depth', () => {
  const drop = new Set(['mark']);
  assert.equal(canonicalJson({ mark: 1, a: [{ mark: { b: 1 }, c: 2 }] }, drop), '{"a":[{"c":2}]}');
});

test('what JSON cannot hold is refused', () => {
  assert.throws(() => canonicalJson({ a: Number.NaN }), /finite/);
  assert.throws(() => canonicalJson({ a: 1n }), /bigint/);
  let deep: unknown = 1;
  for (let i = 0; i <= CANONICAL_DEPTH_MAX; i += 1) deep = [deep];
  assert.throws(() => canonicalJson(deep), RangeError);
});
