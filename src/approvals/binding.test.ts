import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import type { JsonValue } from '../wire/hujson.ts';
import { bindingOf, canonicalArguments } from './binding.ts';
import { question } from './test-approvals.ts';

const KEY = new Uint8Array(32).fill(3);

test('what is bound is the value: order of keys and white space make no other call (RFC 8785)', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
      const text = JSON.stringify(value);
      const parsed: JsonValue = JSON.parse(text);
      const shuffled = JSON.stringify(reversed(parsed), null, 2);
      const [a, b] = [canonicalArguments(text, parsed), canonicalArguments(shuffled, JSON.parse(shuffled))];
      // Numbers that a parser rounds are bound as they were written.
      if (a.startsWith('json:')) assert.equal(b, a);
    }),
  );
});

test('two texts of other values are never one call', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 2 }), fc.jsonValue({ maxDepth: 2 }), (one, other) => {
      const [a, b] = [JSON.stringify(one), JSON.stringify(other)];
      fc.pre(a !== b && JSON.stringify(reversed(JSON.parse(a))) !== JSON.stringify(reversed(JSON.parse(b))));
      assert.notEqual(canonicalArguments(a, JSON.parse(a)), canonicalArguments(b, JSON.parse(b)));
    }),
  );
});

test('integers beyond what a parser keeps apart stay apart, inside whatever strings they stand beside', () => {
  fc.assert(
    fc.property(fc.string(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 80n }), (text, integer) => {
      const call = (number: bigint): string =>
        `{${JSON.stringify(text)}:${number},"z":${JSON.stringify(text)}}`;
      const [a, b] = [call(integer), call(integer + 1n)];
      assert.notEqual(canonicalArguments(a, JSON.parse(a)), canonicalArguments(b, JSON.parse(b)));
    }),
  );
});

test('nothing that a model writes makes binding throw', () => {
  const deep = '['.repeat(5_000) + ']'.repeat(5_000);
  assert.match(canonicalArguments(deep, JSON.parse(deep)), /^text:/);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(canonicalArguments(text, undefined), `text:${text}`);
      assert.match(canonicalArguments(text, text), /^(?:json|text):/);
    }),
  );
});

test('parts do not run into each other, and absent is not empty', () => {
  const binding = (requester: Partial<ReturnType<typeof question>['requester']>): string =>
    bindingOf(KEY, question({ requester }));
  const all = [
    binding({ deviceId: 'a', tokenId: 'b' }),
    binding({ deviceId: 'ab', tokenId: null }),
    binding({ deviceId: 'a', tokenId: null }),
    binding({ deviceId: null, tokenId: 'a' }),
    binding({ deviceId: '', tokenId: null }),
    binding({ deviceId: null, tokenId: null }),
  ];
  assert.equal(new Set(all).size, all.length);
  assert.notEqual(bindingOf(KEY, question()), bindingOf(new Uint8Array(32), question()));
});

function reversed(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? 1 : -1));
  return Object.fromEntries(members.map(([key, member]) => [key, reversed(member)]));
}
