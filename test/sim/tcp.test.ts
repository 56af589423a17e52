/** Two of our stacks over a network that loses, repeats, reorders and delays: every byte arrives, and fast enough. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { writeIcmp } from '../../src/wire/icmp.ts';
import { writeIpHeader } from '../../src/wire/ip-packet.ts';
import { seededNumbers } from './network.ts';
import { pattern } from './pattern.ts';
import { ADDRESS_B, createPair, streamOver, transfer } from './tcp-pair.ts';

const MB = 1024 * 1024;
const NOTHING = { connections: 0, memoryBytes: 0 };
const HOUR_MS = 3_600_000;
const asked = process.env['POSTERN_PROPERTY_SEED'];
const SEED = asked === undefined ? 20_261_123 : Number(asked);

describe('two stacks', () => {
  /** MB/s at 10 ms of round trip; half of what was seen, and above what a stack without SACK gave. */
  for (const [loss, floor] of [
    [0.001, 3],
    [0.005, 1.3],
    [0.01, 0.9],
    [0.03, 0.4],
  ] as const) {
    test(`10 MB at ${loss * 100} % loss arrive at ${floor} MB/s or more`, (t) => {
      const pair = createPair(SEED, { delayMs: 5, loss });
      const ms = transfer(pair, pattern(10 * MB, SEED), Buffer.alloc(0), HOUR_MS);
      const rate = (10 * 1000) / ms;
      t.diagnostic(`${rate.toFixed(2)} MB/s, ${JSON.stringify(pair.a.counters.tcp)}`);
      assert.ok(rate >= floor, `seed ${SEED}: ${rate} MB/s`);
    });
  }

  test('60 MB up at 1 % finish', () => {
    transfer(createPair(SEED, { delayMs: 1, loss: 0.01 }), pattern(60 * MB, 1), Buffer.alloc(0), HOUR_MS);
  });

  test('a bottleneck of 100 Mbit/s is filled to 85 %', () => {
    const pair = createPair(SEED, { delayMs: 10, kilobitsPerSecond: 100_000, queueMs: 50 });
    const ms = transfer(pair, pattern(20 * MB, 1), Buffer.alloc(0), HOUR_MS);
    assert.ok((20 * MB * 8) / ms / 1000 > 85, `seed ${SEED}: ${ms} ms`);
  });

  test('loss to 20 %, repetition, reordering, delay, both ways at once: the exact bytes', () => {
    for (let round = 0; round < 60; round += 1) {
      const seed = SEED + round * 101;
      const draw = seededNumbers(seed);
      const conditions = {
        loss: draw() * 0.2,
        duplication: draw() * 0.1,
        reordering: draw() * 0.3,
        jitterMs: draw() * 30,
        delayMs: draw() * 50,
      };
      const sizes = [Math.floor(draw() * 200_000), Math.floor(draw() * 200_000)] as const;
      const mtu = 576 + Math.floor(draw() * 1000);
      const receiveBufferBytes = draw() < 0.5 ? 65_536 : 1_048_576;
      const pair = createPair(seed, conditions, { mtu, receiveBufferBytes });
      transfer(pair, pattern(sizes[0], seed), pattern(sizes[1], seed + 1), 24 * HOUR_MS);
      pair.network.run(() => false, pair.network.now + HOUR_MS);
      assert.deepEqual([pair.a.usage, pair.b.usage], [NOTHING, NOTHING], `seed ${seed}`);
    }
  });

  test('sequence numbers wrap without notice', () => {
    const wrap = { keyedHash: () => Buffer.from('7ffffff07ffffff0', 'hex') };
    const pair = createPair(SEED, { delayMs: 1, loss: 0.02, reordering: 0.1 }, wrap);
    transfer(pair, pattern(MB, 1), pattern(MB, 2), HOUR_MS);
  });

  test('a path that dies ends both connections, and one that comes back goes on', () => {
    let loss = 0;
    const pair = createPair(SEED, () => ({ delayMs: 5, loss }));
    const server = streamOver(pair.network, pattern(5 * MB, 1));
    const client = streamOver(pair.network, pattern(5 * MB, 2));
    pair.b.listen({ port: 80, address: null, accept: (connection) => server.start(connection) });
    const connection = pair.a.connect(ADDRESS_B, 80, client.handlers, 0);
    assert.ok(connection);
    client.stream.connection = connection;
    pair.network.run(() => client.stream.receivedBytes > MB, HOUR_MS);
    loss = 1;
    pair.network.run(() => false, pair.network.now + 60_000);
    loss = 0;
    pair.network.run(() => client.stream.receivedBytes > 2 * MB, pair.network.now + 120_000);
    assert.ok(client.stream.receivedBytes > 2 * MB);
    loss = 1;
    pair.network.run(() => false, pair.network.now + HOUR_MS);
    assert.deepEqual([client.stream.failure, server.stream.failure], ['ETIMEDOUT', 'ETIMEDOUT']);
    assert.deepEqual(pair.a.usage, { connections: 0, memoryBytes: 0 });
  });

  test('a path that takes less than the MTU says so, and the stream goes on in smaller segments (RFC 1191)', () => {
    const pair = createPair(SEED, { delayMs: 5 });
    const { receive } = pair.b;
    let refused = 0;
    pair.b.receive = (packet, now) => {
      if (packet.length <= 1000) receive.call(pair.b, packet, now);
      else {
        refused += 1;
        pair.a.receive(tooBig(packet, 1000), now);
      }
    };
    transfer(pair, pattern(MB, 1), Buffer.alloc(0), 60_000);
    assert.ok(refused > 0 && refused < 20, `${refused} packets were too big`);
  });

  test('a week of short connections leaves nothing behind', () => {
    const pair = createPair(SEED, { delayMs: 10, loss: 0.02, reordering: 0.05, duplication: 0.02 });
    for (let hour = 0; hour < 7 * 24; hour += 1) {
      for (let count = 0; count < 5; count += 1)
        transfer(pair, pattern(3000, hour), pattern(20_000, count), HOUR_MS);
      pair.network.run(() => false, (hour + 1) * HOUR_MS);
      assert.deepEqual([pair.a.usage, pair.b.usage], [NOTHING, NOTHING], `seed ${SEED}`);
    }
  });

  test('segments made at random neither throw nor grow anything', () => {
    const draw = seededNumbers(SEED);
    const pair = createPair(SEED, () => ({ delayMs: 1 }));
    const server = streamOver(pair.network, pattern(50_000, 1), { keepOpen: true });
    const client = streamOver(pair.network, pattern(50_000, 2), { keepOpen: true });
    pair.b.listen({ port: 80, address: null, accept: (connection) => server.start(connection) });
    const seen: Buffer[] = [];
    const tap = pair.b.receive.bind(pair.b);
    pair.b.receive = (packet, now) => {
      if (seen.length < 200) seen.push(Buffer.from(packet));
      tap(packet, now);
    };
    const connection = pair.a.connect(ADDRESS_B, 80, client.handlers, 0);
    assert.ok(connection);
    client.stream.connection = connection;
    pair.network.run(() => server.stream.receivedBytes === 50_000, HOUR_MS);
    for (let round = 0; round < 20_000; round += 1) {
      const packet = Buffer.from(seen[Math.floor(draw() * seen.length)] ?? seen[0] ?? Buffer.alloc(0));
      for (let change = Math.floor(draw() * 3); change >= 0; change -= 1) {
        packet[20 + Math.floor(draw() * (packet.length - 20))] = Math.floor(draw() * 256);
      }
      fixChecksum(packet);
      pair.b.receive(packet, pair.network.now);
    }
    pair.network.run(() => false, pair.network.now + HOUR_MS);
    assert.ok(pair.b.usage.connections <= 16_384 && pair.b.usage.memoryBytes < 4 * MB, `seed ${SEED}`);
  });
});

/** The TCP checksum of an IPv4 packet without options. */
function fixChecksum(packet: Buffer): void {
  packet.writeUInt16BE(0, 36);
  let sum = 6 + packet.length - 20;
  for (let at = 12; at < packet.length; at += 2) sum += ((packet[at] ?? 0) << 8) + (packet[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet.writeUInt16BE(~sum & 0xffff, 36);
}

/** A router's "fragmentation needed" about an IPv4 packet. */
function tooBig(about: Buffer, mtu: number): Buffer {
  const answer = Buffer.alloc(56);
  const [source, destination] = [Buffer.of(100, 64, 0, 254), about.subarray(12, 16)];
  writeIpHeader(answer, { source, destination, protocol: 1, payloadBytes: 36, hopLimit: 64 });
  writeIcmp(answer, 20, { type: 'port-unreachable', rest: mtu, body: about.subarray(0, 28) });
  answer[21] = 4;
  answer.writeUInt16BE(answer.readUInt16BE(22) - 1, 22);
  return answer;
}
