/** RFC 9293 by packet scripts: a peer made by hand, and what our end answers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Script } from './script.fixture.ts';

describe('opening and closing (RFC 9293 section 3.5 and 3.6)', () => {
  test('passive open: SYN, SYN-ACK with what the peer offered, ACK', () => {
    const script = new Script();
    script.listen();
    script.send({ flags: 'S', mss: 1000, scale: 3, sackOk: true, timestamp: [7, 0] });
    const [answer] = script.take();
    assert.ok(answer);
    assert.equal(answer.flags, 'S.');
    assert.equal(answer.ack, 1);
    assert.equal(answer.raw.mss, 1240);
    assert.equal(answer.raw.windowScale, 5);
    assert.equal(answer.raw.sackPermitted, true);
    assert.equal(answer.raw.timestampEcho, 7);
    script.send({ flags: '.', sequence: 1, ack: 1, timestamp: [8, answer.raw.timestamp] });
    assert.deepEqual(script.events, ['accepted']);
    assert.equal(script.connection?.state, 'established');
  });

  test('options that the peer did not offer are not sent back (RFC 7323 section 2.2, RFC 2018 section 2)', () => {
    const script = new Script();
    script.listen();
    script.send({ flags: 'S' });
    const raw = script.take()[0]?.raw;
    assert.deepEqual([raw?.windowScale, raw?.sackPermitted, raw?.hasTimestamps], [-1, false, false]);
  });

  test('active open, data, and the peer closes first', () => {
    const script = new Script();
    script.connect();
    assert.deepEqual(script.takeText(), ['S 0+0 -1000']);
    script.send({ flags: 'S.', ack: 1, mss: 1000 });
    assert.deepEqual(script.takeText(), ['. 1+0 1']);
    script.write('hello');
    assert.deepEqual(script.takeText(), ['P. 1+5 1']);
    script.send({ flags: 'F.', sequence: 1, ack: 6 });
    assert.equal(script.connection?.state, 'close-wait');
    assert.equal(script.connection?.isAtEnd, true);
    assert.deepEqual(script.takeText(), ['. 6+0 2']);
    script.connection?.end(script.now);
    assert.deepEqual(script.takeText(), ['F. 6+0 2']);
    script.send({ flags: '.', sequence: 2, ack: 7 });
    assert.equal(script.connection?.state, 'closed');
    assert.equal(script.stack.usage.connections, 0);
    assert.equal(script.stack.usage.memoryBytes, 0);
  });

  test('simultaneous open (figure 7)', () => {
    const script = new Script();
    script.connect();
    script.take();
    script.send({ flags: 'S', mss: 1000 });
    assert.deepEqual(script.takeText(), ['S. 0+0 1']);
    script.send({ flags: 'S.', ack: 1 });
    assert.equal(script.connection?.state, 'established');
    assert.deepEqual(script.events, ['connected']);
  });

  test('half-close: after our FIN data still comes in; then TIME-WAIT for a minute', () => {
    const script = new Script();
    const connection = script.establish();
    connection.end(script.now);
    assert.deepEqual(script.takeText(), ['F. 1+0 1']);
    script.send({ flags: '.', sequence: 1, ack: 2 });
    assert.equal(connection.state, 'fin-wait-2');
    script.send({ flags: 'P.', sequence: 1, ack: 2, data: 'late' });
    assert.equal(script.read(), 'late');
    script.send({ flags: 'F.', sequence: 5, ack: 2 });
    assert.equal(connection.state, 'time-wait');
    script.take();
    script.wait(50_000);
    script.send({ flags: 'F.', sequence: 5, ack: 2 });
    assert.deepEqual(script.takeText(), ['. 2+0 6'], 'a repeated FIN is acknowledged');
    script.wait(59_000);
    assert.equal(connection.state, 'time-wait', 'and begins the wait again');
    script.wait(2000);
    assert.equal(script.stack.usage.connections, 0);
  });

  test('simultaneous close (figure 13)', () => {
    const script = new Script();
    const connection = script.establish();
    connection.end(script.now);
    script.send({ flags: 'F.', sequence: 1, ack: 1 });
    assert.equal(connection.state, 'closing');
    script.send({ flags: '.', sequence: 2, ack: 2 });
    assert.equal(connection.state, 'time-wait');
  });

  test('FIN out of order waits for the bytes before it', () => {
    const script = new Script();
    const connection = script.establish();
    script.send({ flags: 'F.', sequence: 4, ack: 1, data: 'def' });
    assert.equal(connection.state, 'established');
    script.send({ flags: '.', sequence: 1, ack: 1, data: 'abc' });
    assert.equal(connection.state, 'close-wait');
    assert.equal(script.read(), 'abcdef');
    assert.equal(connection.isAtEnd, true);
  });

  test('a new SYN with a higher number ends TIME-WAIT and opens anew (section 3.10.7.4)', () => {
    const script = new Script();
    const connection = script.establish();
    connection.end(script.now);
    script.send({ flags: 'F.', sequence: 1, ack: 2 });
    assert.equal(connection.state, 'time-wait');
    script.take();
    script.send({ flags: 'S', sequence: 500 });
    assert.equal(script.take()[0]?.flags, 'S.');
  });

  test('close with unread data resets (RFC 2525 section 2.17); so does data after close', () => {
    const first = new Script();
    const unread = first.establish();
    first.send({ flags: 'P.', sequence: 1, ack: 1, data: 'x' });
    first.take();
    unread.close(first.now);
    assert.equal(first.take().at(-1)?.flags, 'R.');
    const second = new Script();
    second.establish().close(second.now);
    second.take();
    second.send({ flags: 'P.', sequence: 1, ack: 2, data: 'x' });
    assert.equal(second.take()[0]?.flags, 'R.');
    assert.equal(second.stack.usage.connections, 0);
  });

  test('nobody waits for ever for a FIN after close: FIN-WAIT-2 ends after a minute', () => {
    const script = new Script();
    script.establish().close(script.now);
    script.send({ flags: '.', sequence: 1, ack: 2 });
    script.wait(61_000);
    assert.equal(script.stack.usage.connections, 0);
  });
});

describe('resets and strangers (RFC 9293 section 3.10.7.1, RFC 5961)', () => {
  test('a closed port answers with a reset', () => {
    const script = new Script();
    script.send({ flags: 'S' });
    assert.equal(script.take()[0]?.flags, 'R.');
    script.send({ flags: '.', ack: 5 });
    assert.equal(script.take()[0]?.flags, 'R');
    script.send({ flags: 'R' });
    assert.deepEqual(script.take(), [], 'never a reset for a reset');
  });

  test('resets to strangers are bounded: 200 at once, 500 a second', () => {
    const script = new Script();
    for (let count = 0; count < 300; count += 1) script.send({ flags: '.', ack: 5 });
    assert.equal(script.take().length, 200);
    assert.equal(script.stack.counters.drops.rateLimited, 100);
    script.wait(10);
    for (let count = 0; count < 10; count += 1) script.send({ flags: '.', ack: 5 });
    assert.equal(script.take().length, 5);
  });

  test('an ICMP error ends a dial only if it quotes our SYN, and no connection (RFC 1122, RFC 5927)', () => {
    const script = new Script();
    script.connect();
    script.take();
    script.sendIcmpError({ error: 'port-unreachable', sequence: 1 });
    assert.deepEqual(script.events, []);
    script.sendIcmpError({ error: 'port-unreachable', sequence: 0 });
    assert.deepEqual(script.events, ['ECONNREFUSED']);

    const established = new Script();
    const connection = established.establish();
    established.write('x');
    established.sendIcmpError({ error: 'port-unreachable', sequence: 1 });
    assert.equal(connection.state, 'established');
    assert.equal(established.stack.counters.drops.icmpIgnored, 1);
  });

  test('"too big" counts only if it quotes what is under way (RFC 1191, RFC 5927 section 4.1)', () => {
    const script = new Script();
    script.establish();
    script.write('x'.repeat(2000));
    assert.deepEqual(script.takeText(), ['. 1+1000 1', 'P. 1001+1000 1']);
    for (const sequence of [0, 2001, 90_000]) script.sendIcmpError({ error: 'too-big', sequence, mtu: 600 });
    assert.deepEqual(script.take(), []);
    assert.equal(script.stack.counters.drops.icmpIgnored, 3);
    script.sendIcmpError({ error: 'too-big', sequence: 1001, mtu: 600 });
    const [first] = script.take();
    assert.deepEqual([first?.sequence, first?.data.length], [1, 560]);
  });

  test('a refused dial is ECONNREFUSED, and only for a reset that acknowledges our SYN', () => {
    const script = new Script();
    script.connect();
    script.take();
    script.send({ flags: 'R.', ack: 77 });
    assert.deepEqual(script.events, []);
    script.send({ flags: 'R.', ack: 1 });
    assert.deepEqual(script.events, ['ECONNREFUSED']);
  });

  test('SYN-SENT resets what acknowledges something else, so that a peer forgets our former self', () => {
    const script = new Script();
    script.connect();
    script.take();
    script.send({ flags: '.', ack: 4000 });
    assert.deepEqual(
      script.takeText().map((text) => text.split(' ')[0]),
      ['R.'],
    );
    assert.equal(script.connection?.state, 'syn-sent');
  });

  test('a reset counts at exactly the next number; elsewhere in the window it is challenged, outside dropped', () => {
    const script = new Script();
    const connection = script.establish();
    script.send({ flags: 'R', sequence: 100 });
    assert.deepEqual(script.takeText(), ['. 1+0 1']);
    script.send({ flags: 'R', sequence: 200 });
    assert.deepEqual(script.takeText(), [], 'challenges are limited in number');
    script.send({ flags: 'R', sequence: -5 });
    assert.equal(connection.state, 'established');
    script.send({ flags: 'R', sequence: 1 });
    assert.deepEqual(script.events, ['ECONNRESET']);
  });

  test('a SYN in an established connection is challenged (RFC 5961 section 4)', () => {
    const script = new Script();
    const connection = script.establish();
    script.send({ flags: 'S', sequence: 1 });
    assert.deepEqual(script.takeText(), ['. 1+0 1']);
    assert.equal(connection.state, 'established');
  });

  test('an acknowledgment of what was never sent is challenged and its data dropped (RFC 5961 section 5)', () => {
    const script = new Script();
    script.establish();
    script.send({ flags: 'P.', sequence: 1, ack: 999, data: 'evil' });
    assert.equal(script.read(), '');
    assert.deepEqual(script.takeText(), ['. 1+0 1']);
  });

  test('PAWS: an old timestamp is dropped (RFC 7323 section 5)', () => {
    const script = new Script();
    script.listen();
    script.send({ flags: 'S', timestamp: [1000, 0], sackOk: true });
    const echo = script.take()[0]?.raw.timestamp ?? 0;
    script.send({ flags: '.', sequence: 1, ack: 1, timestamp: [1001, echo] });
    script.send({ flags: '.', sequence: 1, ack: 1, timestamp: [900, echo], data: 'old' });
    assert.equal(script.read(), '');
    assert.equal(script.stack.counters.tcp.oldTimestamp, 1);
    script.send({ flags: '.', sequence: 1, ack: 1, data: 'none' });
    assert.equal(script.read(), '', 'a segment without timestamps after they were agreed is dropped');
    script.send({ flags: '.', sequence: 1, ack: 1, timestamp: [1002, echo], data: 'new' });
    assert.equal(script.read(), 'new');
  });

  test('SYN flood: the oldest half-open connection gives way, and one source has at most 256', () => {
    const script = new Script();
    script.listen(400);
    for (let index = 0; index < 1000; index += 1) {
      script.send({ flags: 'S', from: Buffer.from([100, 65, index >> 8, index & 255]) });
    }
    assert.equal(script.stack.usage.connections, 400);
    assert.equal(script.stack.counters.tcp.backlogEvicted, 600);
    script.wait(200_000);
    assert.equal(script.stack.usage.connections, 0, 'what never completes is given up');
    for (let port = 1; port <= 500; port += 1) script.send({ flags: 'S', fromPort: port });
    assert.equal(script.stack.usage.connections, 256);
    assert.equal(script.stack.counters.tcp.backlogEvicted, 600 + 244);
  });

  test('TIME-WAIT holds 4,096 connections: the oldest ends first', () => {
    const script = new Script();
    script.listen();
    for (let fromPort = 1; fromPort <= 4_100; fromPort += 1) {
      script.send({ flags: 'S', fromPort });
      script.take();
      script.send({ flags: '.', sequence: 1, ack: 1, fromPort });
      script.connection?.end(script.now);
      script.send({ flags: 'F.', sequence: 1, ack: 2, fromPort });
      assert.equal(script.connection?.state, 'time-wait');
    }
    assert.equal(script.stack.usage.connections, 4_096);
  });

  test('the limit of connections holds', () => {
    const script = new Script({ connectionsMax: 10 });
    script.listen(100);
    for (let index = 0; index < 50; index += 1) script.send({ flags: 'S', fromPort: 100 + index });
    assert.equal(script.stack.usage.connections, 10);
    assert.equal(script.stack.counters.drops.connectionLimit, 40);
  });
});
