import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandshakeLoad, SecondLimit, SourceLimit, SOURCES_MAX } from './handshake-load.ts';

test('a device is under load from too many handshakes in a second until a second after (section 5.3)', () => {
  const load = new HandshakeLoad(2);
  assert.deepEqual([load.note(0), load.note(1), load.note(2)], [false, false, true]);
  assert.equal(load.note(1_001), true, 'held');
  assert.equal(load.note(2_002), false);
});

test('a limit per second starts anew with the next second', () => {
  const limit = new SecondLimit(1);
  assert.deepEqual([limit.take(0), limit.take(999), limit.take(1_000)], [true, false, true]);
});

test('a source has a burst of five, then twenty per second', () => {
  const limit = new SourceLimit();
  const taken = Array.from({ length: 8 }, () => limit.take('a', 0));
  assert.deepEqual(taken, [true, true, true, true, true, false, false, false]);
  assert.equal(limit.take('b', 0), true, 'another source is not affected');
  assert.deepEqual([limit.take('a', 50), limit.take('a', 50)], [true, false]);
});

test('sources are remembered up to a bound; idle ones make room', () => {
  const limit = new SourceLimit();
  for (let source = 0; source < SOURCES_MAX; source += 1) limit.take(`s${source}`, 0);
  assert.equal(limit.take('one more', 1_000), false);
  assert.equal(limit.size, SOURCES_MAX);
  assert.equal(limit.take('one more', 2_000), true);
  assert.equal(limit.size, 1);
});
