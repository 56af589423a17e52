/** What the stack does with packets that are no TCP segment of a connection, and whose it refuses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseIcmp, writeIcmp } from '../../wire/icmp.ts';
import { createIpPacket, readIpPacket, writeIpHeader } from '../../wire/ip-packet.ts';
import { writeUdp } from '../../wire/udp.ts';
import { NetStack, type NetStackOptions } from './stack.ts';

const OWN = Buffer.from([100, 64, 0, 1]);
const OWN6 = Buffer.from('fd7a115ca1e000000000000000000001', 'hex');
const PEER = Buffer.from([100, 64, 0, 2]);
const PEER6 = Buffer.from('fd7a115ca1e000000000000000000002', 'hex');

function createStack(options: Partial<NetStackOptions> = {}): { stack: NetStack; out: Buffer[] } {
  const out: Buffer[] = [];
  const stack = new NetStack({
    addresses: [OWN, OWN6],
    random: { bytes: (count) => new Uint8Array(count).fill(7) },
    keyedHash: () => new Uint8Array(8),
    output: (packet) => out.push(Buffer.from(packet)),
    ...options,
  });
  return { stack, out };
}

function echoRequest(source: Buffer, destination: Buffer, body = 'ping'): Buffer {
  const packet = Buffer.alloc(200);
  const protocol = source.length === 4 ? 1 : 58;
  const at = writeIpHeader(packet, {
    source,
    destination,
    protocol,
    payloadBytes: 8 + body.length,
    hopLimit: 5,
  });
  return packet.subarray(
    0,
    writeIcmp(packet, at, { type: 'echo-request', rest: 9, body: Buffer.from(body) }),
  );
}

function datagram(source: Buffer, destination: Buffer, port: number): Buffer {
  const packet = Buffer.alloc(200);
  const at = writeIpHeader(packet, { source, destination, protocol: 17, payloadBytes: 12, hopLimit: 5 });
  const data = Buffer.from('data');
  return packet.subarray(0, writeUdp(packet, at, { sourcePort: 1, destinationPort: port, data }));
}

describe('ICMP', () => {
  for (const [own, peer] of [
    [OWN, PEER],
    [OWN6, PEER6],
  ] as const) {
    test(`an echo is answered with its data, ${own.length} byte addresses (RFC 792, RFC 4443)`, () => {
      const { stack, out } = createStack();
      stack.receive(echoRequest(peer, own), 0);
      const ip = createIpPacket();
      const [answer] = out;
      assert.ok(answer && readIpPacket(answer, ip));
      assert.deepEqual(parseIcmp(answer, ip), { type: 'echo-reply', identifier: 0, sequence: 9 });
      assert.equal(answer.toString('latin1', ip.payloadAt + 8, ip.end), 'ping');
    });

    test(`a UDP port that nobody has is reported, ${own.length} byte addresses`, () => {
      const { stack, out } = createStack();
      stack.receive(datagram(peer, own, 9), 0);
      const ip = createIpPacket();
      const [answer] = out;
      assert.ok(answer && readIpPacket(answer, ip));
      const message = parseIcmp(answer, ip);
      assert.equal(message?.type === 'unreachable' && message.reason, 'port');
    });
  }

  test('echoes and errors are limited in number', () => {
    const { stack, out } = createStack();
    for (let count = 0; count < 1000; count += 1) stack.receive(echoRequest(PEER, OWN), 1);
    for (let count = 0; count < 1000; count += 1) stack.receive(datagram(PEER, OWN, 9), 1);
    assert.equal(out.length, 300);
    assert.equal(stack.counters.drops.rateLimited, 1700);
  });
});

describe('packets refused', () => {
  for (const [name, source] of [
    ['own', OWN],
    ['unspecified', Buffer.of(0, 0, 0, 0)],
    ['loopback', Buffer.of(127, 0, 0, 1)],
    ['multicast', Buffer.of(224, 0, 0, 1)],
    ['broadcast', Buffer.of(255, 255, 255, 255)],
    ['own (IPv6)', OWN6],
    ['unspecified (IPv6)', Buffer.alloc(16)],
    ['loopback (IPv6)', Buffer.from('00000000000000000000000000000001', 'hex')],
    ['multicast (IPv6)', Buffer.from('ff020000000000000000000000000001', 'hex')],
    ['mapped (IPv6)', Buffer.from('00000000000000000000ffff01020304', 'hex')],
  ] as const) {
    test(`a source that is ${name}`, () => {
      const { stack, out } = createStack();
      stack.receive(echoRequest(source, source.length === 4 ? OWN : OWN6), 0);
      assert.equal(stack.counters.drops.badSource, 1);
      assert.deepEqual(out, []);
    });
  }

  test('another destination, an unknown protocol, a fragment, and bytes that are no packet', () => {
    const { stack } = createStack();
    stack.receive(echoRequest(PEER, Buffer.of(100, 64, 0, 9)), 0);
    assert.equal(stack.counters.drops.notForUs, 1);
    const unknown = Buffer.alloc(60);
    writeIpHeader(unknown, { source: PEER, destination: OWN, protocol: 99, payloadBytes: 40, hopLimit: 5 });
    stack.receive(unknown, 0);
    assert.equal(stack.counters.drops.protocol, 1);
    const fragment = Buffer.alloc(56);
    writeIpHeader(fragment, {
      source: PEER6,
      destination: OWN6,
      protocol: 44,
      payloadBytes: 16,
      hopLimit: 5,
    });
    fragment.set([17, 0, 0, 1], 40);
    stack.receive(fragment, 0);
    assert.equal(stack.counters.drops.fragment, 1);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(10), Buffer.alloc(100, 0x45)]) stack.receive(bytes, 0);
    assert.equal(stack.counters.drops.malformed, 3);
  });
});

test('a stack without an address of the family cannot dial it', () => {
  const { stack } = createStack({ addresses: [OWN] });
  const handlers = { connected() {}, readable() {}, writable() {}, failed() {} };
  assert.equal(stack.connect(PEER6, 80, handlers, 0), null);
});
