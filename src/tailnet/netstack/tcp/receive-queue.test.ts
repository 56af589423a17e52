/** Reassembly: whatever overlaps and in whatever order, the bytes come out once and in order (RFC 9293 section 3.10.7.4). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../../test/property-seed.ts';
import { MemoryBudget } from '../memory-budget.ts';
import { ReceiveQueue } from './receive-queue.ts';
import { SendBuffer } from './send-buffer.ts';
import { advance, distance, isBefore, later } from './sequence.ts';

const SOURCE = Buffer.from(Array.from({ length: 4000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff));
/** Numbers begin just before the wrap. */
const FIRST = 0x7fffff00 | 0;

test('any pieces in any order', () => {
  const piece = fc.tuple(fc.nat(SOURCE.length - 1), fc.integer({ min: 1, max: 700 }));
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 60 }), fc.boolean(), (pieces, readsEarly) => {
      const memory = new MemoryBudget(1 << 24);
      const queue = new ReceiveQueue(memory, 1 << 20);
      const out: Buffer[] = [];
      const drain = (): void => {
        for (let chunk = queue.read(); chunk !== null; chunk = queue.read()) {
          assert.ok(chunk.length > 0);
          out.push(chunk);
        }
      };
      let next = FIRST;
      const known = new Uint8Array(SOURCE.length);
      const all = [...pieces, ...Array.from({ length: 10 }, (_, index) => [index * 400, 400] as const)];
      for (const [offset, length] of all) {
        const end = Math.min(offset + length, SOURCE.length);
        const position = distance(next, FIRST);
        known.fill(1, offset, end);
        if (offset > position) queue.hold(Buffer.from(SOURCE.subarray(offset, end)), advance(FIRST, offset));
        else if (end > position) next = queue.append(Buffer.from(SOURCE.subarray(position, end)), next);
        let expected = 0;
        while (known[expected] === 1) expected += 1;
        assert.equal(distance(next, FIRST), expected);
        if (readsEarly) drain();
      }
      drain();
      assert.ok(Buffer.concat(out).equals(SOURCE));
      assert.equal(memory.usedBytes, 0);
    }),
    { numRuns: 300 },
  );
});

test('the send buffer gives back at any offset what was written, and its memory when it is empty', () => {
  const step = fc.tuple(fc.integer({ min: 1, max: 20_000 }), fc.nat(100));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const memory = new MemoryBudget(1 << 20);
      const buffer = new SendBuffer(memory, 65_536);
      let model = Buffer.alloc(0);
      let value = 0;
      for (const [bytes, share] of steps) {
        const chunk = Buffer.from(Array.from({ length: bytes }, () => (value += 31) & 0xff));
        const taken = buffer.write(chunk, 0);
        assert.ok(taken <= bytes && buffer.length <= 65_536);
        model = Buffer.concat([model, chunk.subarray(0, taken)]);
        const released = Math.floor((model.length * share) / 100);
        buffer.release(released);
        model = model.subarray(released);
        const copy = Buffer.alloc(model.length);
        buffer.copy(copy, 0, 0, model.length);
        assert.ok(copy.equals(model));
      }
      buffer.clear();
      assert.equal(memory.usedBytes, 0);
    }),
  );
});

test('sequence numbers compare across the wrap (RFC 9293 section 3.4)', () => {
  const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(int32, fc.integer({ min: 1, max: 2 ** 31 - 1 }), (a, count) => {
      const b = advance(a, count);
      assert.equal(distance(b, a), count);
      assert.equal(isBefore(a, b), true);
      assert.equal(isBefore(b, a), false);
      assert.equal(later(a, b), b);
    }),
  );
});

test('a memory budget gives up to its limit, and says when little is left', () => {
  const memory = new MemoryBudget(800);
  assert.ok(memory.take(700));
  assert.equal(memory.take(101), false);
  assert.equal(memory.usedBytes, 700, 'what was refused is not counted');
  assert.equal(memory.isScarce, false);
  memory.charge(101);
  assert.equal(memory.isScarce, true);
  memory.give(801);
  assert.ok(memory.take(800));
});

test('gathered: what waits comes as one piece, at most 64 KiB, and gives its memory back', () => {
  const memory = new MemoryBudget(1 << 24);
  const queue = new ReceiveQueue(memory, 1 << 20);
  let next = FIRST;
  for (let count = 0; count < 20; count += 1) next = queue.append(Buffer.from(SOURCE), next);
  const first = queue.readGathered();
  assert.equal(first?.length, 16 * SOURCE.length);
  const second = queue.readGathered();
  assert.equal(second?.length, 4 * SOURCE.length);
  assert.ok(Buffer.concat([first, second]).equals(Buffer.concat(Array.from({ length: 20 }, () => SOURCE))));
  assert.equal(queue.readGathered(), null);
  assert.equal(queue.queuedBytes + memory.usedBytes, 0);
});
