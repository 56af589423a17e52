import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Governance } from '../../policy/index.ts';
import { carryOver } from './carry-over.ts';

const NOTHING: Governance = {
  buckets: [],
  hooks: [],
  guardrails: [],
  cache: null,
  tools: null,
  needsInspection: false,
};
const entry = (): never => ({}) as never;
const GUARDRAILS = [entry(), entry()];

function keeps(before: Governance | null, after: Governance | null): [boolean, boolean] {
  const { keepsReservation, keepsGuards } = carryOver({ governance: before }, { governance: after });
  return [keepsReservation, keepsGuards];
}

test('where nothing holds for either target there is nothing to decide again', () => {
  assert.deepEqual(keeps(null, null), [true, true]);
  assert.deepEqual(keeps(null, NOTHING), [true, true]);
});

test('a reservation is of its model: the next target is reserved for anew', () => {
  const buckets = { ...NOTHING, buckets: [entry()] };
  assert.deepEqual(keeps(buckets, { ...buckets }), [false, true]);
  assert.deepEqual(keeps(buckets, buckets), [false, true]);
  assert.deepEqual(keeps(null, buckets), [false, true]);
  assert.deepEqual(keeps(buckets, null), [false, true]);
});

test('guards hold on where the same entries hold in the same order, and are asked again otherwise', () => {
  const guarded = { ...NOTHING, guardrails: GUARDRAILS };
  assert.deepEqual(keeps(guarded, { ...NOTHING, guardrails: [...GUARDRAILS] }), [true, true]);
  const others: readonly (Governance | null)[] = [
    null,
    { ...guarded, guardrails: GUARDRAILS.slice(1) },
    { ...guarded, guardrails: GUARDRAILS.toReversed() },
    { ...guarded, hooks: [entry()] },
    { ...guarded, tools: { rules: [entry()], governs: () => true, decide: entry } },
  ];
  for (const other of others) {
    assert.deepEqual(keeps(guarded, other), [true, false]);
    assert.deepEqual(keeps(other, guarded), [true, false]);
  }
});
