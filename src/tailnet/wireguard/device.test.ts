import '../../../test/property-seed.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SecretBytes, X25519PrivateKey, X25519PublicKey } from '../../crypto/index.ts';
import { dataCounter, wireguardType } from '../../wire/wireguard.ts';
import type { WireguardDrop } from './counters.ts';
import {
  carry,
  cidr,
  createConnectedPair,
  createTestDevice,
  ipv4Packet,
  join,
  runUntil,
  seededRandom,
} from './test-device.ts';
import type { TestDevice } from './test-device.ts';

const PING = ipv4Packet('10.0.0.1', '10.0.0.2', { fill: 1 });
const PONG = ipv4Packet('10.0.0.2', '10.0.0.1', { fill: 2 });

/** Only the reasons that were counted. */
function drops({ device }: TestDevice): Partial<Record<WireguardDrop, number>> {
  return Object.fromEntries(Object.entries(device.counters.dropped).filter(([, count]) => count > 0));
}

function firstSent({ sent }: TestDevice): Buffer {
  const [first] = sent;
  assert.ok(first, 'something was sent');
  return first.datagram;
}

test('a packet waits for the handshake and arrives unaltered; the answer too (section 5.4)', () => {
  for (const presharedKey of [null, new SecretBytes(Buffer.alloc(32, 5))]) {
    const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2)];
    join(a, b, { presharedKey });
    assert.equal(a.device.send(PING, 0), true);
    assert.equal(a.device.sizes().stagedBytes, PING.byteLength);
    assert.equal(carry(a, b, 0), 3, 'initiation, response, data');
    assert.equal(b.device.send(PONG, 1), true);
    assert.equal(carry(a, b, 1), 1, 'the session serves both ways');
    assert.deepEqual(b.delivered, [{ peer: a.key, packet: PING }]);
    assert.deepEqual(a.delivered, [{ peer: b.key, packet: PONG }]);
    assert.equal(a.device.sizes().stagedBytes, 0);
    assert.deepEqual([drops(a), drops(b)], [{}, {}]);
    assert.deepEqual(
      [a.events, b.events],
      [
        [{ type: 'handshake', peer: b.key, role: 'initiator' }],
        [{ type: 'handshake', peer: a.key, role: 'responder' }],
      ],
    );
  }
});

test('a different preshared key gives no session', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2)];
  join(a, b, { presharedKey: new SecretBytes(Buffer.alloc(32, 5)) });
  b.device.setPeer(
    { publicKey: a.privateKey.publicKey, allowedIps: [cidr('10.0.0.1/32')], presharedKey: null },
    0,
  );
  a.device.send(PING, 0);
  carry(a, b, 0);
  assert.deepEqual(drops(a), { bad_response: 1 });
  assert.deepEqual(b.delivered, []);
});

test('an unknown key is dropped in silence and counted', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2)];
  join(a, b);
  b.device.removePeer(a.key);
  a.device.send(PING, 0);
  carry(a, b, 0);
  assert.deepEqual(drops(b), { unknown_peer: 1 });
  assert.equal(b.sent.length, 0);
});

test('a message with a wrong mac1 is dropped before anything is computed (section 5.3)', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2)];
  join(a, b);
  a.device.send(PING, 0);
  const forged = Buffer.from(firstSent(a));
  forged[116] = (forged[116] ?? 0) ^ 1;
  b.device.receive(forged, a.endpoint, 0);
  assert.deepEqual(drops(b), { mac1: 1 });
});

test('a repeated or older initiation is refused by its timestamp (section 5.1)', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2)];
  join(a, b);
  a.device.connect(b.key, 0);
  const first = firstSent(a);
  a.sent.length = 0;
  a.device.connect(b.key, 6_000);
  b.device.receive(firstSent(a), a.endpoint, 6_000);
  b.device.receive(firstSent(a), a.endpoint, 6_100);
  b.device.receive(first, a.endpoint, 6_200);
  assert.deepEqual(drops(b), { old_initiation: 2 });
  assert.equal(b.sent.length, 1, 'one response');
});

test('two initiations of one peer are taken 50 ms apart at the least, although both are new', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2)];
  join(a, b);
  a.device.connect(b.key, 0);
  b.device.receive(firstSent(a), a.endpoint, 10_000);
  a.sent.length = 0;
  a.device.connect(b.key, 6_000);
  b.device.receive(firstSent(a), a.endpoint, 10_049);
  assert.deepEqual(drops(b), { old_initiation: 1 });
  b.device.receive(firstSent(a), a.endpoint, 10_050);
  assert.equal(b.device.counters.initiationsReceived, 2);
});

test('timestamps rise although the wall clock stands still or goes back', () => {
  let wall = 1_800_000_000_000;
  const a = createTestDevice('a', 1, { wallClock: { now: () => wall } });
  const b = createTestDevice('b', 2);
  join(a, b);
  for (const [now, jump] of [
    [0, 0],
    [6_000, -3_600_000],
    [12_000, 0],
    [18_000, 7_200_000],
    [24_000, -1_000_000_000_000],
  ] as const) {
    wall += jump;
    a.device.connect(b.key, now);
    carry(a, b, now);
  }
  assert.deepEqual(drops(b), {});
  assert.equal(b.device.counters.initiationsReceived, 5);
});

test('a data packet that is repeated, altered, cut or sent to nobody is dropped (section 5.4.6)', () => {
  const [a, b] = createConnectedPair();
  a.device.send(PING, 1);
  const datagram = firstSent(a);
  b.device.receive(datagram, a.endpoint, 1);
  b.device.receive(datagram, a.endpoint, 1);
  assert.deepEqual(drops(b), { replayed: 1 });
  a.sent.length = 0;
  a.device.send(PING, 2);
  const genuine = firstSent(a);
  for (const at of [16, 40, genuine.byteLength - 1]) {
    const forged = Buffer.from(genuine);
    forged[at] = (forged[at] ?? 0) ^ 1;
    b.device.receive(forged, a.endpoint, 2);
  }
  b.device.receive(genuine.subarray(0, 40), a.endpoint, 2);
  assert.equal(b.device.counters.dropped.bad_data, 4);
  const misdirected = Buffer.from(genuine);
  misdirected.writeUInt32LE((misdirected.readUInt32LE(4) ^ 1) >>> 0, 4);
  b.device.receive(misdirected, a.endpoint, 2);
  assert.equal(b.device.counters.dropped.unknown_index, 1);
  b.device.receive(genuine, a.endpoint, 2);
  assert.equal(b.delivered.length, 2, 'forgeries took nothing from the genuine one');
});

test('an inner packet from an address that is not the peer’s is dropped (section 2)', () => {
  const [a, b] = createConnectedPair();
  a.device.setPeer({ publicKey: b.privateKey.publicKey, allowedIps: [cidr('0.0.0.0/0'), cidr('::/0')] }, 1);
  b.device.setPeer(
    { publicKey: createTestDevice('c', 3).privateKey.publicKey, allowedIps: [cidr('10.0.0.3/32')] },
    1,
  );
  a.device.send(ipv4Packet('10.0.0.9', '10.0.0.2'), 1);
  a.device.send(ipv4Packet('10.0.0.3', '10.0.0.2'), 1);
  const ipv6 = Buffer.alloc(40);
  ipv6[0] = 0x60;
  a.device.send(ipv6, 1);
  carry(a, b, 1);
  assert.deepEqual(drops(b), { forged_source: 3 }, 'of nobody, of another peer, of another family');
  assert.deepEqual(b.delivered, []);
});

test('an inner packet that is none, or longer than what came, is dropped; padding is cut off', () => {
  const [a, b] = createConnectedPair();
  const tooLong = ipv4Packet('10.0.0.1', '10.0.0.2');
  tooLong.writeUInt16BE(61 + 4, 2);
  const tooShort = ipv4Packet('10.0.0.1', '10.0.0.2');
  tooShort.writeUInt16BE(19, 2);
  for (const packet of [tooLong, tooShort]) a.device.send(packet, 1);
  carry(a, b, 1);
  assert.deepEqual(drops(b), { bad_inner_packet: 2 });
  assert.equal(a.device.send(Buffer.from('neither'), 1), false);
  assert.equal(a.device.send(ipv4Packet('10.0.0.1', '10.0.0.77'), 1), false);
  assert.deepEqual(drops(a), { bad_outgoing_packet: 1, no_peer: 1 });
  for (const length of [20, 33, 1279, 1280, 1400]) {
    const packet = ipv4Packet('10.0.0.1', '10.0.0.2', { length, fill: 7 });
    a.device.send(packet, 2);
    const padded = firstSent(a).byteLength - 32;
    assert.equal(padded, length > 1280 ? length : Math.min(1280, Math.ceil(length / 16) * 16));
    carry(a, b, 2);
    assert.deepEqual(b.delivered.at(-1)?.packet, packet);
  }
});

test('the endpoint follows authenticated packets only (section 2.1)', () => {
  const [a, b] = createConnectedPair();
  const moved = { key: 'a2:9', source: 'a2' };
  a.device.send(PING, 1);
  const datagram = firstSent(a);
  const forged = Buffer.from(datagram);
  forged[20] = (forged[20] ?? 0) ^ 1;
  b.device.receive(forged, { key: 'thief:1' }, 1);
  assert.equal(b.device.peer(a.key, 1)?.endpoint?.key, a.endpoint.key);
  b.device.receive(datagram, moved, 1);
  assert.equal(b.device.peer(a.key, 1)?.endpoint, moved);
  assert.deepEqual(b.events.at(-1), { type: 'roamed', peer: a.key, endpoint: moved });
  b.device.receive(datagram, { key: 'thief:1' }, 1);
  assert.equal(b.device.peer(a.key, 1)?.endpoint, moved, 'a replayed packet moves nothing');
  b.device.send(PONG, 1);
  assert.equal(b.sent.at(-1)?.to, moved);
});

test('the initiator renews its session when it sends after 120 s; the responder does not (section 6.2)', () => {
  const [a, b] = createConnectedPair();
  for (const device of [a.device, b.device]) device.send(device === a.device ? PING : PONG, 119_999);
  carry(a, b, 119_999);
  assert.equal(a.device.counters.initiationsSent, 1);
  b.device.send(PONG, 120_000);
  carry(a, b, 120_000);
  assert.equal(b.device.counters.initiationsSent, 0);
  a.device.send(PING, 120_001);
  assert.equal(a.device.counters.initiationsSent, 2);
  carry(a, b, 120_001);
  assert.equal(a.device.peer(b.key, 120_001)?.lastHandshakeAt, 120_001);
  assert.deepEqual([drops(a), drops(b)], [{}, {}]);
});

test('an initiator that only receives renews its session once after 165 s (section 6.2)', () => {
  const [a, b] = createConnectedPair();
  b.device.send(PONG, 164_000);
  carry(a, b, 164_000);
  assert.equal(a.device.counters.initiationsSent, 1);
  b.device.send(PONG, 165_000);
  b.device.send(PONG, 165_000);
  for (const { datagram } of b.sent.splice(0)) a.device.receive(datagram, b.endpoint, 165_000);
  assert.equal(a.device.counters.initiationsSent, 2);
});

test('after 180 s a session neither sends nor receives (section 6.2)', () => {
  const [a, b] = createConnectedPair();
  a.device.send(PING, 1);
  const early = firstSent(a);
  a.sent.length = 0;
  b.device.receive(early, a.endpoint, 180_000);
  assert.deepEqual(drops(b), { expired_session: 1 });
  a.device.send(PING, 180_000);
  assert.equal(wireguardType(firstSent(a)), 1, 'a new handshake instead of data');
  assert.equal(a.device.peer(b.key, 180_000)?.isConnected, false);
});

test('a session that sent too many packets is renewed, then ends (section 6.2)', () => {
  const sessionLimits = { rekeyAfterMessages: 10, rejectAfterMessages: 20 };
  const [a, b] = createConnectedPair({ device: { sessionLimits } });
  for (let count = 0; count < 40; count += 1) a.device.send(PING, 6_000);
  const data = a.sent.filter(({ datagram }) => wireguardType(datagram) === 4);
  assert.equal(
    Math.max(...data.map(({ datagram }) => dataCounter(datagram))),
    19,
    'no counter beyond the limit',
  );
  assert.equal(a.device.counters.initiationsSent, 2);
  carry(a, b, 6_001);
  assert.equal(b.delivered.length, 39, 'as many as the next session takes');
  a.device.connect(b.key, 11_100);
  carry(a, b, 11_100);
  assert.equal(b.delivered.length, 40, 'the rest went under the one after it');
});

test('a handshake is tried every 5 s with jitter for 90 s, then what waited is dropped (section 6.4)', () => {
  const a = createTestDevice('a', 1);
  const b = createTestDevice('b', 2);
  join(a, b);
  a.device.send(PING, 0);
  const times: number[] = [];
  let seen = 0;
  for (let wake = 0; wake < 300_000; wake = a.device.nextWake()) {
    a.device.tick(wake);
    if (a.sent.length > seen) times.push(wake);
    seen = a.sent.length;
  }
  assert.equal(a.device.nextWake(), Infinity);
  assert.equal(times.length, 18);
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  assert.ok(
    gaps.every((gap) => gap >= 5_000 && gap <= 5_334),
    `gaps: ${gaps.join(' ')}`,
  );
  assert.ok(new Set(gaps).size > 5, 'the jitter varies');
  assert.deepEqual(a.events, [{ type: 'unreachable', peer: b.key }]);
  assert.deepEqual(drops(a), { unreachable: 1 });
  assert.deepEqual(a.device.sizes(), { peers: 1, indices: 0, timers: 0, stagedBytes: 0 });
});

test('received data is answered within 10 s, if only by an empty packet (section 6.5)', () => {
  const [a, b] = createConnectedPair();
  a.device.send(PING, 1_000);
  carry(a, b, 1_000);
  runUntil([a, b], 10_999);
  assert.equal(b.device.counters.keepalivesSent, 0);
  runUntil([a, b], 11_000);
  assert.equal(b.device.counters.keepalivesSent, 1);
  runUntil([a, b], 60_000);
  assert.equal(b.device.counters.keepalivesSent, 1, 'a keepalive is not answered by one');
  assert.equal(a.device.counters.initiationsSent, 1, 'the session was not taken for lost');
});

test('data without any answer for 15 s begins a new handshake (section 6.5): the other side restarted', () => {
  const [a, b] = createConnectedPair();
  const again = createTestDevice('b', 99, { privateKey: b.privateKey });
  again.device.setPeer({ publicKey: a.privateKey.publicKey, allowedIps: [cidr('10.0.0.1/32')] }, 0);
  a.device.send(PING, 20_000);
  carry(a, again, 20_000);
  assert.deepEqual(drops(again), { unknown_index: 1 });
  runUntil([a, again], 35_400);
  a.device.send(PING, 35_400);
  carry(a, again, 35_400);
  assert.equal(again.delivered.length, 1);
});

test('all keys are gone nine minutes after the last session was made (section 6.3)', () => {
  const [a, b] = createConnectedPair();
  runUntil([a, b], 540_001);
  for (const side of [a, b]) {
    assert.equal(side.events.at(-1)?.type, 'keys-wiped');
    assert.deepEqual(side.device.sizes(), { peers: 1, indices: 0, timers: 0, stagedBytes: 0 });
  }
});

test('a persistent keepalive goes out in silence only, and makes a session by itself (section 6.5)', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2)];
  join(a, b, { persistentKeepaliveMs: 25_000 });
  runUntil([a, b], 24_000);
  assert.equal(a.device.counters.initiationsSent, 1);
  const before = a.device.counters.keepalivesSent;
  a.device.send(PING, 24_000);
  carry(a, b, 24_000);
  runUntil([a, b], 48_000);
  assert.equal(a.device.counters.keepalivesSent, before, 'the silence is 24 s long');
  runUntil([a, b], 24_000 + 60_000);
  assert.ok(a.device.counters.keepalivesSent >= before + 1);
});

test('handshakes that cross leave both sides able to send at once', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2)];
  join(a, b);
  a.device.send(PING, 0);
  b.device.send(PONG, 0);
  carry(a, b, 0);
  assert.deepEqual([a.delivered.length, b.delivered.length], [1, 1]);
  for (let now = 1; now < 20; now += 1) {
    a.device.send(PING, now);
    b.device.send(PONG, now);
    carry(a, b, now);
  }
  assert.deepEqual([a.delivered.length, b.delivered.length], [20, 20]);
  assert.deepEqual([drops(a), drops(b)], [{}, {}]);
});

test('under load a sender must prove its address by a cookie, and then may (section 5.3)', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2, { underLoadPerSec: 0 })];
  join(a, b);
  a.device.send(PING, 0);
  carry(a, b, 0);
  assert.deepEqual(drops(b), { no_cookie: 1 });
  assert.equal(a.device.counters.cookieRepliesReceived, 1);
  runUntil([a, b], 6_000);
  assert.equal(b.delivered.length, 1, 'the next try carried mac2');
  assert.equal(b.device.counters.cookieRepliesSent, 1);
});

test('under load a source that proved its address has five handshakes at once, then 20 a second', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2, { underLoadPerSec: 0 })];
  join(a, b);
  a.device.connect(b.key, 0);
  carry(a, b, 0);
  a.device.connect(b.key, 5_000);
  const withCookie = firstSent(a);
  for (let count = 0; count < 7; count += 1) b.device.receive(withCookie, a.endpoint, 5_000);
  assert.deepEqual(drops(b), { no_cookie: 1, old_initiation: 4, source_rate: 2 });
  b.device.receive(withCookie, a.endpoint, 5_050);
  assert.deepEqual(drops(b), { no_cookie: 1, old_initiation: 5, source_rate: 2 });
});

test('cookie replies are bounded at 1,000 a second', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2, { underLoadPerSec: 0 })];
  join(a, b);
  a.device.connect(b.key, 0);
  for (let port = 1; port <= 1_010; port += 1) b.device.receive(firstSent(a), { key: `a:${port}` }, 0);
  assert.equal(b.device.counters.cookieRepliesSent, 1_000);
  assert.equal(b.sent.length, 1_000);
  b.device.receive(firstSent(a), a.endpoint, 1_000);
  assert.equal(b.sent.length, 1_001);
});

test('a cookie is for one address and for 120 s (section 5.4.7)', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2, { underLoadPerSec: 0 })];
  join(a, b);
  a.device.connect(b.key, 0);
  carry(a, b, 0);
  a.device.connect(b.key, 5_000);
  const withCookie = firstSent(a);
  b.device.receive(withCookie, { key: 'elsewhere:1' }, 5_000);
  assert.deepEqual(drops(b), { no_cookie: 2 });
  b.device.receive(withCookie, a.endpoint, 120_001);
  assert.deepEqual(drops(b), { no_cookie: 3 });
  a.sent.length = 0;
  a.device.connect(b.key, 130_000);
  assert.ok(firstSent(a).subarray(132).equals(Buffer.alloc(16)), 'the old cookie is not used any more');
});

test('a cookie reply that was not asked for, is forged or repeated is dropped', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2, { underLoadPerSec: 0 })];
  join(a, b);
  a.device.connect(b.key, 0);
  b.device.receive(firstSent(a), a.endpoint, 0);
  const reply = firstSent(b);
  assert.equal(wireguardType(reply), 3);
  const forged = Buffer.from(reply);
  forged[40] = (forged[40] ?? 0) ^ 1;
  a.device.receive(forged, b.endpoint, 0);
  a.device.receive(reply, b.endpoint, 0);
  a.device.receive(reply, b.endpoint, 0);
  assert.equal(a.device.counters.cookieRepliesReceived, 1);
  assert.deepEqual(drops(a), { bad_cookie: 2 });
});

test('what waits for one peer is bounded: the oldest packet goes', () => {
  const [a, b] = [createTestDevice('a', 1), createTestDevice('b', 2)];
  join(a, b);
  for (let count = 0; count < 130; count += 1) {
    a.device.send(ipv4Packet('10.0.0.1', '10.0.0.2', { fill: count }), 0);
  }
  assert.deepEqual(drops(a), { staged_overflow: 2 });
  assert.equal(a.device.sizes().stagedBytes, 128 * 60);
  carry(a, b, 0);
  assert.equal(b.delivered.length, 128);
  assert.equal(b.delivered[0]?.packet[30], 2);
});

test('what waits for all peers together is bounded at 16 MiB', () => {
  const a = createTestDevice('a', 1);
  const random = seededRandom(5);
  for (let index = 0; index < 140; index += 1) {
    const publicKey = X25519PrivateKey.generate(random).publicKey;
    a.device.setPeer({ publicKey, allowedIps: [cidr(`10.1.${index}.0/24`)] }, 0);
    for (let count = 0; count < 128; count += 1) {
      a.device.send(ipv4Packet('10.0.0.1', `10.1.${index}.1`, { length: 1280 }), 0);
    }
  }
  assert.ok(a.device.sizes().stagedBytes <= 16 * 1024 * 1024);
  assert.ok(a.device.counters.dropped.staged_overflow > 4_000);
  a.device.close();
  assert.deepEqual(a.device.sizes(), { peers: 0, indices: 0, timers: 0, stagedBytes: 0 });
});

test('a removed peer is gone at once, with its session and its addresses', () => {
  const [a, b] = createConnectedPair();
  a.device.send(PING, 1);
  assert.equal(b.device.removePeer(a.key), true);
  assert.equal(b.device.removePeer(a.key), false);
  carry(a, b, 1);
  assert.deepEqual(b.delivered, []);
  assert.deepEqual(drops(b), { unknown_index: 1 });
  assert.equal(b.device.send(PONG, 1), false);
  assert.deepEqual(b.device.sizes(), { peers: 0, indices: 0, timers: 0, stagedBytes: 0 });
});

test('setPeers keeps the sessions of those that stay; another preshared key ends them', () => {
  const [a, b] = createConnectedPair();
  const same = { publicKey: b.privateKey.publicKey, allowedIps: [cidr('10.0.0.2/32')] };
  a.device.setPeers([same], 1);
  assert.equal(a.device.peer(b.key, 1)?.isConnected, true);
  a.device.setPeers([{ ...same, presharedKey: new SecretBytes(Buffer.alloc(32, 1)) }], 2);
  assert.equal(a.device.peer(b.key, 2)?.isConnected, false);
  a.device.setPeers([], 3);
  assert.deepEqual(a.device.peers(3), []);
});

test('a peer with our own key, or one of low order, is refused', () => {
  const a = createTestDevice('a', 1);
  for (const publicKey of [a.privateKey.publicKey, X25519PublicKey.fromBytes(Buffer.alloc(32))]) {
    assert.throws(() => a.device.setPeer({ publicKey, allowedIps: [] }, 0), {
      code: 'wireguard_peer_key',
    });
  }
});

test('a capture sees what goes in and out, without padding', () => {
  const [a, b] = createConnectedPair();
  const seen: string[] = [];
  a.device.capture = (direction, _peer, packet): number =>
    seen.push(`${direction} ${packet.toString('hex')}`);
  const odd = ipv4Packet('10.0.0.2', '10.0.0.1', { length: 33 });
  a.device.send(PING, 1);
  b.device.send(odd, 1);
  carry(a, b, 1);
  assert.deepEqual(seen, [`out ${PING.toString('hex')}`, `in ${odd.toString('hex')}`]);
});

test('property: no datagram from strangers throws, answers or makes the device keep anything', () => {
  const [a, b] = createConnectedPair();
  const before = b.device.sizes();
  const types = fc.constantFrom(0, 1, 2, 3, 4, 5, 0x0100_0001);
  const lengths = fc.oneof(fc.constantFrom(0, 31, 32, 64, 92, 148), fc.nat(300));
  fc.assert(
    fc.property(types, lengths, fc.infiniteStream(fc.nat(255)), (type, length, bytes) => {
      const datagram = Buffer.alloc(length);
      for (let at = 0; at < length; at += 1) datagram[at] = bytes.next().value ?? 0;
      if (length >= 4) datagram.writeUInt32LE(type, 0);
      b.device.receive(datagram, { key: 'stranger:1' }, 10);
    }),
    { numRuns: 500 },
  );
  assert.deepEqual([b.sent, b.delivered, b.device.sizes()], [[], [], before]);
  a.device.send(PING, 11);
  carry(a, b, 11);
  assert.equal(b.delivered.length, 1);
});
