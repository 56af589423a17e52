import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../../test/property-seed.ts';
import { fillTemplate, parseQuotaTemplate } from './bucket-template.ts';
import { type HolderValues, isHeldBy } from './held-by.ts';
import { quota } from './test-quotas.ts';

const ALICE: HolderValues = {
  user: 'alice@example.com',
  node: 'n1',
  token: null,
  groups: ['group:red', 'group:blue'],
};

test('a bucket is whose it is by its template, whatever was named besides (DESIGN section 7)', () => {
  const cases: readonly (readonly [template: string, bucket: string, isHers: boolean])[] = [
    ['all', 'all', true],
    ['all', 'alle', false],
    ['user:<user>', 'user:alice@example.com', true],
    ['user:<user>', 'user:alice@exampleXcom', false],
    ['user:<user>', 'user:bob@example.com', false],
    ['<user>/<model>', 'alice@example.com/gpt-5', true],
    ['<user>/<model>', 'bob@example.com/gpt-5', false],
    ['<user>/<model>', 'bob@example.com/alice@example.com/gpt-5', false],
    ['<agent>', 'claude-code/alice@example.com', true],
    ['<agent>', 'claude-code/bob@example.com', false],
    ['<group>', 'group:red', true],
    ['<group>', 'group:green', false],
    ['<token>', '(none)', true],
  ];
  for (const [template, bucket, isHers] of cases)
    assert.equal(isHeldBy(quota(template), bucket, ALICE), isHers, `${template} ${bucket}`);
});

test('property: a bucket is held by whom it was made for, and by nobody else, whatever they are called', () => {
  const value = fc.oneof(
    fc.string({ minLength: 1, maxLength: 12 }),
    fc.constantFrom('a', 'a:b', 'a/b', '%2f', '(none)'),
  );
  const template = fc.constantFrom(
    '<user>',
    'u:<user>',
    '<user>/<model>',
    '<model>:<user>',
    '<agent>',
    '<session>x<user>',
  );
  fc.assert(
    fc.property(template, value, value, value, (name, user, other, chosen) => {
      const entry = quota(name);
      const values = { user, agent: chosen, session: chosen, model: chosen };
      const bucket = fillTemplate(parseQuotaTemplate(name), values);
      const holder = { node: null, token: null, groups: [] };
      assert.ok(isHeldBy(entry, bucket, { ...holder, user }), `${bucket} is ${user}'s`);
      if (other !== user)
        assert.ok(!isHeldBy(entry, bucket, { ...holder, user: other }), `${bucket} is not ${other}'s`);
    }),
    { numRuns: 500 },
  );
});
