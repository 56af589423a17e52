/** Windows, timers and recovery by packet scripts (RFC 9293, 5681, 6298, 6582, 6675, 8985, 2883). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Script } from './script.fixture.ts';

const KB = 'x'.repeat(1000);

describe('sending', () => {
  test('the initial window is ten segments (RFC 6928)', () => {
    const script = new Script();
    script.establish();
    script.write(KB.repeat(30));
    assert.equal(script.take().length, 10);
  });

  test('Nagle: a small write waits while something is unacknowledged; without it, it goes', () => {
    const script = new Script();
    const connection = script.establish();
    script.write('a');
    script.write('b');
    assert.deepEqual(script.takeText(), ['P. 1+1 1']);
    script.send({ flags: '.', sequence: 1, ack: 2 });
    assert.deepEqual(script.takeText(), ['P. 2+1 1']);
    connection.setNoDelay(true);
    script.write('c');
    assert.deepEqual(script.takeText(), ['P. 3+1 1']);
  });

  test('three segments reported above a hole: the hole goes again, once (RFC 6675)', () => {
    const script = new Script();
    script.establish();
    script.write(KB.repeat(6));
    script.take();
    script.wait(10);
    script.send({ flags: '.', sequence: 1, ack: 1, sack: [[1001, 2001]] });
    script.send({ flags: '.', sequence: 1, ack: 1, sack: [[1001, 3001]] });
    assert.deepEqual(script.takeText(), []);
    script.send({ flags: '.', sequence: 1, ack: 1, sack: [[1001, 4001]] });
    assert.deepEqual(script.takeText(), ['P. 1+1000 1']);
    script.send({ flags: '.', sequence: 1, ack: 1, sack: [[1001, 5001]] });
    assert.deepEqual(script.takeText(), []);
    assert.equal(script.stack.counters.tcp.fastRecoveries, 1);
  });

  test('without SACK three duplicates do the same, and a partial acknowledgment names the next hole (RFC 6582)', () => {
    const script = new Script();
    script.establish({ sackOk: false });
    script.write(KB.repeat(8));
    script.take();
    for (let count = 0; count < 3; count += 1) script.send({ flags: '.', sequence: 1, ack: 1 });
    assert.deepEqual(script.takeText(), ['P. 1+1000 1']);
    script.send({ flags: '.', sequence: 1, ack: 3001 });
    assert.deepEqual(script.takeText(), ['P. 3001+1000 1']);
    script.send({ flags: '.', sequence: 1, ack: 8001 });
    assert.deepEqual(script.takeText(), []);
  });

  test('SACK blocks that cannot be true change nothing', () => {
    const script = new Script();
    script.establish();
    script.write(KB.repeat(5));
    script.take();
    for (const block of [
      [9000, 10_000],
      [3001, 1001],
      [-5000, -4000],
      [1, 900_000],
    ] as const) {
      script.send({ flags: '.', sequence: 1, ack: 1, sack: [block, block, block] });
    }
    assert.deepEqual(script.takeText(), []);
    assert.equal(script.stack.counters.tcp.fastRecoveries, 0);
  });

  test('the retransmission timer backs off and gives up (RFC 6298, RFC 9293 section 3.8.3)', () => {
    const script = new Script();
    script.establish({ sackOk: false });
    script.write('lost');
    script.take();
    const times: number[] = [];
    const begin = script.now;
    for (let step = 0; step < 4000 && script.events.length === 0; step += 1) {
      script.wait(100);
      for (const _segment of script.take()) times.push(script.now - begin);
    }
    assert.ok(times.length >= 6 && times.length <= 14, times.join(' '));
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    for (const [index, gap] of gaps.entries()) if (index > 0) assert.ok(gap >= (gaps[index - 1] ?? 0) - 100);
    assert.deepEqual(script.events, ['ETIMEDOUT']);
    assert.equal(script.stack.usage.connections, 0);
  });

  test('a SYN that nobody answers is ETIMEDOUT after its repeats', () => {
    const script = new Script();
    script.connect();
    script.wait(300_000);
    assert.equal(script.take().length, 7);
    assert.deepEqual(script.events, ['ETIMEDOUT']);
  });

  test('a lost tail is probed before the timeout (RFC 8985 section 7)', () => {
    const script = new Script();
    script.establish();
    script.write(KB.repeat(3));
    script.wait(20);
    script.send({ flags: '.', sequence: 1, ack: 1001 });
    script.take();
    script.wait(45);
    assert.deepEqual(script.takeText(), ['P. 2001+1000 1']);
    assert.equal(script.stack.counters.tcp.tailProbes, 1);
    script.wait(20);
    script.send({ flags: '.', sequence: 1, ack: 1001, sack: [[2001, 3001]] });
    script.wait(30);
    assert.deepEqual(script.takeText(), ['P. 1001+1000 1']);
  });

  test('zero window: it is probed for ever while the peer answers, and data flows when it opens', () => {
    const script = new Script();
    const connection = script.establish({ window: 1000 });
    script.write(KB.repeat(2));
    script.take();
    script.send({ flags: '.', sequence: 1, ack: 1001, window: 0 });
    let probes = 0;
    for (let step = 0; step < 600; step += 1) {
      script.wait(1000);
      for (const _probe of script.take()) {
        probes += 1;
        script.send({ flags: '.', sequence: 1, ack: 1001, window: 0 });
      }
    }
    assert.ok(probes > 8 && probes < 40, `${probes} probes in ten minutes`);
    assert.equal(connection.state, 'established');
    script.send({ flags: '.', sequence: 1, ack: 1001, window: 5000 });
    assert.deepEqual(script.takeText(), ['P. 1001+1 1'], 'the probe that was refused goes again');
    script.send({ flags: '.', sequence: 1, ack: 1002, window: 5000 });
    assert.deepEqual(script.takeText(), ['P. 1002+999 1']);
  });

  test('a peer that goes silent at a closed window is given up', () => {
    const script = new Script();
    script.establish({ window: 0 });
    script.write('x');
    script.wait(600_000);
    assert.deepEqual(script.events, ['ETIMEDOUT']);
  });

  test('silly-window avoidance: a window of a few bytes is not used at once (section 3.8.6.2.1)', () => {
    const script = new Script();
    script.establish({ window: 4000 });
    script.write(KB.repeat(8));
    script.take();
    script.send({ flags: '.', sequence: 1, ack: 4001, window: 10 });
    assert.deepEqual(script.takeText(), []);
  });

  test('keep-alive: ten unanswered probes end an idle connection (section 3.8.4)', () => {
    const script = new Script();
    const connection = script.establish();
    connection.setKeepAlive(60_000, script.now);
    script.wait(60_500);
    assert.deepEqual(script.takeText(), ['. 0+0 1']);
    script.send({ flags: '.', sequence: 1, ack: 1 });
    script.wait(50_000);
    assert.deepEqual(script.takeText(), []);
    script.wait(60_000);
    assert.equal(script.take().length, 10);
    assert.deepEqual(script.events, ['ETIMEDOUT']);
  });
});

describe('receiving', () => {
  test('every second full segment is acknowledged at once, a single one within 40 ms', () => {
    const script = new Script();
    script.establish();
    script.send({ flags: '.', sequence: 1, ack: 1, data: KB });
    assert.deepEqual(script.takeText(), []);
    script.send({ flags: '.', sequence: 1001, ack: 1, data: KB });
    assert.deepEqual(script.takeText(), ['. 1+0 2001']);
    script.send({ flags: 'P.', sequence: 2001, ack: 1, data: 'x' });
    script.wait(41);
    assert.deepEqual(script.takeText(), ['. 1+0 2002']);
  });

  test('a batch is answered once when it ends, every 32 segments at the latest, and told once', () => {
    const script = new Script({ batches: true });
    script.establish();
    for (let count = 0; count < 5; count += 1) {
      script.send({ flags: '.', sequence: 1 + count * 1000, ack: 1, data: KB });
    }
    assert.deepEqual(script.takeText(), []);
    assert.equal(script.stack.nextWake(), Number.NEGATIVE_INFINITY);
    script.wait(0);
    assert.deepEqual(script.takeText(), ['. 1+0 5001']);
    assert.deepEqual(script.events, ['readable']);
    for (let count = 5; count < 45; count += 1) {
      script.send({ flags: '.', sequence: 1 + count * 1000, ack: 1, data: KB });
    }
    assert.deepEqual(script.takeText(), ['. 1+0 37001']);
  });

  test('a batch holds back nothing that a sender waits for: gaps, repetitions, FIN', () => {
    const script = new Script({ batches: true });
    script.establish();
    script.send({ flags: '.', sequence: 1001, ack: 1, data: KB });
    script.send({ flags: '.', sequence: 2001, ack: 1, data: KB });
    assert.deepEqual(script.takeText(), ['. 1+0 1', '. 1+0 1'], 'an acknowledgment for each beyond a gap');
    script.send({ flags: '.', sequence: 1, ack: 1, data: KB });
    script.wait(0);
    assert.deepEqual(script.takeText(), ['. 1+0 3001']);
    script.send({ flags: '.', sequence: 1, ack: 1, data: KB });
    assert.equal(script.take()[0]?.raw.sackCount, 1, 'D-SACK');
    script.send({ flags: 'F.', sequence: 3001, ack: 1 });
    assert.deepEqual(script.takeText(), ['. 1+0 3002']);
  });

  test('an answer carries the acknowledgment', () => {
    const script = new Script();
    script.establish();
    script.send({ flags: 'P.', sequence: 1, ack: 1, data: 'ask' });
    script.write('answer');
    assert.deepEqual(script.takeText(), ['P. 1+6 4']);
    script.wait(100);
    assert.deepEqual(script.takeText(), []);
  });

  test('beyond a gap: reported as SACK, the latest first; a repetition as D-SACK (RFC 2018, RFC 2883)', () => {
    const script = new Script();
    script.establish();
    script.send({ flags: '.', sequence: 11, ack: 1, data: 'kl' });
    script.send({ flags: '.', sequence: 21, ack: 1, data: 'uv' });
    const last = script.take().at(-1)?.raw;
    assert.ok(last);
    const edges = Array.from(last.sackEdges.subarray(0, last.sackCount * 2), (edge) => edge - 1000);
    assert.deepEqual(edges, [21, 23, 11, 13]);
    script.send({ flags: '.', sequence: 11, ack: 1, data: 'kl' });
    const repeated = script.take().at(-1)?.raw;
    assert.deepEqual([(repeated?.sackEdges[0] ?? 0) - 1000, (repeated?.sackEdges[1] ?? 0) - 1000], [11, 13]);
    script.send({ flags: '.', sequence: 1, ack: 1, data: 'abcdefghij' });
    script.send({ flags: '.', sequence: 13, ack: 1, data: 'mnopqrst' });
    assert.equal(script.read(), 'abcdefghijklmnopqrstuv');
  });

  test('what nobody reads closes the window, and no byte beyond it is kept', () => {
    const script = new Script({ receiveBufferBytes: 65_536 });
    script.establish();
    let sequence = 1;
    for (let count = 0; count < 200; count += 1) {
      script.send({ flags: '.', sequence, ack: 1, data: KB });
      const ack = script.take().at(-1)?.ack;
      if (ack !== undefined) sequence = ack;
      else sequence += 1000;
    }
    assert.ok(script.stack.usage.memoryBytes <= 65_536 + 16_384, String(script.stack.usage.memoryBytes));
    assert.equal(script.read().length, 65_535);
    assert.ok((script.take().at(-1)?.raw.window ?? 0) > 60_000, 'reading opens it at once');
  });

  test('one byte in every gap: what is held is bounded', () => {
    const script = new Script();
    script.establish({ scale: 7 });
    for (let index = 0; index < 20_000; index += 1) {
      script.send({ flags: '.', sequence: 3 + index * 2, ack: 1, data: 'x' });
    }
    assert.ok(script.stack.usage.memoryBytes < 4 * 1024 * 1024);
    assert.ok(script.stack.counters.tcp.heldDropped > 0);
  });
});
