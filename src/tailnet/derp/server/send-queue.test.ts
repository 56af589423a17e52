import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../../test/property-seed.ts';
import { encodeDerpFrame } from '../../../wire/derp.ts';
import { QueueBudget, SendQueue } from './send-queue.ts';

const frame = (type: number, bodyBytes: number): Buffer => encodeDerpFrame(type, Buffer.alloc(bodyBytes));
/** What one entry costs beside its bytes. */
const OVERHEAD = 128;

function drain(queue: SendQueue): Buffer {
  const found: Buffer[] = [];
  for (let next = queue.shift(); next !== null; next = queue.shift()) found.push(next);
  return Buffer.concat(found);
}

test('the oldest frames are dropped one by one to make room, from within a row too', () => {
  const budget = new QueueBudget(10_000, null);
  const queue = new SendQueue(OVERHEAD * 2 + 300, budget);
  assert.equal(queue.push(Buffer.concat([frame(1, 95), frame(2, 95), frame(3, 95)])), 0);
  assert.equal(queue.push(frame(4, 95)), 1);
  assert.deepEqual(drain(queue), Buffer.concat([frame(2, 95), frame(3, 95), frame(4, 95)]));
  assert.equal(budget.bytes, 0);
});

test('a row that is longer than the queue keeps its newest frames', () => {
  const queue = new SendQueue(OVERHEAD + 200, new QueueBudget(10_000, null));
  assert.equal(queue.push(Buffer.concat([frame(1, 95), frame(2, 95), frame(3, 95)])), 1);
  assert.deepEqual(drain(queue), Buffer.concat([frame(2, 95), frame(3, 95)]));
});

test('what a tailnet may hold is shared by its clients, and never lent to another', () => {
  const total = new QueueBudget(1000, null);
  const [a, b] = [new QueueBudget(400, total), new QueueBudget(400, total)];
  const [one, two, three] = [new SendQueue(400, a), new SendQueue(400, a), new SendQueue(400, b)];
  assert.equal(one.push(frame(1, 195)), 0);
  assert.equal(two.push(frame(2, 195)), 1, 'the tailnet has no room, and its own queue nothing to drop');
  assert.equal(three.push(frame(3, 195)), 0);
  assert.equal(total.bytes, 2 * (200 + OVERHEAD));
  one.clear();
  three.clear();
  assert.deepEqual([a.bytes, b.bytes, total.bytes], [0, 0, 0]);
});

test('whatever comes, the limit holds and whole frames come out in order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.array(fc.nat(300), { minLength: 1, maxLength: 5 }), fc.constant(null)), {
        maxLength: 60,
      }),
      (steps) => {
        const budget = new QueueBudget(5000, null);
        const queue = new SendQueue(2000, budget);
        let number = 0;
        let last = -1;
        for (const step of steps) {
          if (step === null) {
            for (const seen of numbersOf(queue.shift() ?? Buffer.alloc(0))) {
              assert.ok(seen > last);
              last = seen;
            }
          } else {
            const frames = step.map((bytes) => {
              const body = Buffer.alloc(4 + bytes);
              body.writeUInt32BE(number);
              number += 1;
              return encodeDerpFrame(5, body);
            });
            queue.push(Buffer.concat(frames));
          }
          assert.ok(budget.bytes <= 2000 && budget.bytes >= 0);
        }
        drain(queue);
        assert.equal(budget.bytes, 0);
      },
    ),
  );
});

function numbersOf(frames: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at < frames.length; at += 5 + frames.readUInt32BE(at + 1)) {
    found.push(frames.readUInt32BE(at + 5));
  }
  return found;
}
