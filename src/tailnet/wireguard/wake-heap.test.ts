import '../../../test/property-seed.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { WakeHeap } from './wake-heap.ts';

test('property: members come out in the order of their times, each at its last one', () => {
  const action = fc.record({ who: fc.nat(20), at: fc.nat(1_000), isRemoval: fc.boolean() });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const heap = new WakeHeap();
      const members = Array.from({ length: 21 }, () => ({ wakeAt: Infinity, heapIndex: -1 }));
      const expected = new Map<number, number>();
      for (const { who, at, isRemoval } of actions) {
        const member = members[who];
        assert.ok(member);
        if (isRemoval) {
          heap.remove(member);
          expected.delete(who);
        } else {
          heap.set(member, at);
          expected.set(who, at);
        }
        assert.equal(heap.size, expected.size);
        assert.equal(heap.nextWake(), Math.min(Infinity, ...expected.values()));
      }
      const times: number[] = [];
      for (let due = heap.due(Infinity); due !== null; due = heap.due(Infinity)) {
        times.push(due.wakeAt);
        heap.remove(due);
      }
      assert.deepEqual(
        times,
        [...expected.values()].toSorted((x, y) => x - y),
      );
      assert.ok(members.every(({ heapIndex }) => heapIndex === -1));
    }),
  );
});

test('nobody is due before the time', () => {
  const heap = new WakeHeap();
  assert.equal(heap.nextWake(), Infinity);
  heap.set({ wakeAt: Infinity, heapIndex: -1 }, 10);
  assert.equal(heap.due(9), null);
  assert.equal(heap.due(10)?.wakeAt, 10);
});
