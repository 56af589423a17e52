/** IP, TCP, UDP and ICMP: what is written is read back, and nothing that a stranger sends throws. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import { addToChecksum, finishChecksum } from './checksum.ts';
import { parseIcmp, parseQuote, writeIcmp } from './icmp.ts';
import { formatIp, parseIp } from './ip.ts';
import { createIpPacket, ipFromBytes, ipToBytes, readIpPacket, writeIpHeader } from './ip-packet.ts';
import { pcapFileHeader, pcapRecordHeader } from './pcap.ts';
import { createTcpSegment, readTcp, sealTcp, writeTcpHeader } from './tcp.ts';
import { parseUdp, writeUdp } from './udp.ts';

const addresses = fc.oneof(
  fc.tuple(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 4, maxLength: 4 })),
  fc.tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.uint8Array({ minLength: 16, maxLength: 16 })),
);
const port = fc.integer({ min: 1, max: 65_535 });
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

function packetOf(
  [source, destination]: [Uint8Array, Uint8Array],
  protocol: number,
  payloadBytes: number,
): { packet: Buffer; at: number } {
  const packet = Buffer.alloc(2000);
  const at = writeIpHeader(packet, { source, destination, protocol, payloadBytes, hopLimit: 64 });
  return { packet, at };
}

/** Every reader, over bytes that may be anything. */
function readEverything(packet: Buffer): void {
  const ip = createIpPacket();
  if (!readIpPacket(packet, ip)) return;
  assert.ok(ip.payloadAt <= ip.end && ip.end <= packet.length);
  const segment = createTcpSegment();
  if (readTcp(packet, ip, segment))
    assert.ok(segment.dataAt <= segment.dataEnd && segment.dataEnd <= packet.length);
  parseUdp(packet, ip);
  const message = parseIcmp(packet, ip);
  if (message?.type === 'unreachable' || message?.type === 'too-big')
    parseQuote(packet, message.quoteAt, ip.end);
}

describe('checksum (RFC 1071)', () => {
  test('the example of section 3, and an odd byte', () => {
    const bytes = Buffer.from('0001f203f4f5f6f7', 'hex');
    assert.equal(finishChecksum(addToChecksum(0, bytes, 0, 8)), ~0xddf2 & 0xffff);
    assert.equal(finishChecksum(addToChecksum(0, Buffer.of(1), 0, 1)), ~0x0100 & 0xffff);
  });

  test('equals the plain sum of 16-bit words', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (bytes, skip) => {
        const start = Math.min(skip, bytes.length);
        let sum = 0;
        for (let at = start; at < bytes.length; at += 2)
          sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
        while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
        assert.equal(finishChecksum(addToChecksum(0, bytes, start, bytes.length)), ~sum & 0xffff);
      }),
    );
  });
});

describe('packets', () => {
  test('a TCP segment with all options is read as it was written', () => {
    fc.assert(
      fc.property(
        addresses,
        fc.tuple(port, port, int32, int32, int32, int32),
        fc.uint8Array({ maxLength: 1000 }),
        fc.array(fc.tuple(int32, int32), { maxLength: 3 }),
        (ends, [from, to, sequence, acknowledgment, timestamp, timestampEcho], data, blocks) => {
          const fields = createTcpSegment();
          Object.assign(fields, {
            sourcePort: from,
            destinationPort: to,
            sequence,
            acknowledgment,
            flags: 0x18,
            window: 777,
          });
          Object.assign(fields, { hasTimestamps: true, timestamp, timestampEcho, sackCount: blocks.length });
          for (const [index, [left, right]] of blocks.entries())
            fields.sackEdges.set([left, right], index * 2);
          const { packet, at } = packetOf(ends, 6, 0);
          const dataAt = writeTcpHeader(packet, at, fields);
          packet.set(data, dataAt);
          const end = dataAt + data.length;
          writeIpHeader(packet, {
            source: ends[0],
            destination: ends[1],
            protocol: 6,
            payloadBytes: end - at,
            hopLimit: 9,
          });
          sealTcp(packet, at === 20 ? 12 : 8, at, end);
          const ip = createIpPacket();
          const segment = createTcpSegment();
          assert.ok(readIpPacket(packet.subarray(0, end), ip) && readTcp(packet, ip, segment));
          assert.deepEqual(
            [
              segment.sourcePort,
              segment.destinationPort,
              segment.sequence,
              segment.acknowledgment,
              segment.window,
            ],
            [from, to, sequence, acknowledgment, 777],
          );
          assert.deepEqual([segment.timestamp, segment.timestampEcho], [timestamp, timestampEcho]);
          assert.deepEqual([...segment.sackEdges.subarray(0, blocks.length * 2)], blocks.flat());
          assert.ok(packet.subarray(segment.dataAt, segment.dataEnd).equals(data));
          packet[dataAt - 1] = (packet[dataAt - 1] ?? 0) ^ 1;
          assert.equal(readTcp(packet, ip, segment), false, 'one wrong bit');
        },
      ),
    );
  });

  test('a UDP datagram and an echo are read as they were written; a wrong bit refuses them', () => {
    fc.assert(
      fc.property(
        addresses,
        port,
        port,
        fc.uint8Array({ maxLength: 900 }),
        (ends, sourcePort, destinationPort, data) => {
          const ip = createIpPacket();
          const udp = packetOf(ends, 17, 8 + data.length);
          const udpEnd = writeUdp(udp.packet, udp.at, { sourcePort, destinationPort, data });
          assert.ok(readIpPacket(udp.packet.subarray(0, udpEnd), ip));
          const read = parseUdp(udp.packet, ip);
          assert.deepEqual([read?.sourcePort, read?.destinationPort], [sourcePort, destinationPort]);
          const protocol = ends[0].length === 4 ? 1 : 58;
          const icmp = packetOf(ends, protocol, 8 + data.length);
          const end = writeIcmp(icmp.packet, icmp.at, {
            type: 'echo-request',
            rest: (5 << 16) | 6,
            body: data,
          });
          assert.ok(readIpPacket(icmp.packet.subarray(0, end), ip));
          assert.deepEqual(parseIcmp(icmp.packet, ip), { type: 'echo-request', identifier: 5, sequence: 6 });
          icmp.packet[end - 1] = (icmp.packet[end - 1] ?? 0) ^ 4;
          assert.equal(parseIcmp(icmp.packet, ip), null);
        },
      ),
    );
  });

  test('any bytes, and any damage to good bytes, are read without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => readEverything(Buffer.from(bytes))),
      {
        numRuns: 2000,
      },
    );
    fc.assert(
      fc.property(
        addresses,
        fc.constantFrom(1, 6, 17, 58, 0, 44, 60),
        fc.uint8Array({ maxLength: 120 }),
        fc.nat(160),
        (ends, protocol, payload, cut) => {
          const { packet, at } = packetOf(ends, protocol, payload.length);
          packet.set(payload, at);
          readEverything(packet.subarray(0, at + payload.length));
          readEverything(packet.subarray(0, cut));
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('fragments are recognized in both families (RFC 791, RFC 8200 section 4.5); an atomic one is whole', () => {
    const ip = createIpPacket();
    const v4 = packetOf([Buffer.of(1, 2, 3, 4), Buffer.of(5, 6, 7, 8)], 17, 8);
    v4.packet[6] = 0x20;
    v4.packet.writeUInt16BE(0, 10);
    v4.packet.writeUInt16BE(finishChecksum(addToChecksum(0, v4.packet, 0, 20)), 10);
    assert.ok(readIpPacket(v4.packet.subarray(0, 28), ip));
    assert.equal(ip.isFragment, true);
    const v6 = packetOf([Buffer.alloc(16, 1), Buffer.alloc(16, 2)], 44, 16);
    v6.packet.set([17, 0, 0, 1], 40);
    assert.ok(readIpPacket(v6.packet.subarray(0, 56), ip));
    assert.equal(ip.isFragment, true);
    v6.packet[43] = 0;
    assert.ok(readIpPacket(v6.packet.subarray(0, 56), ip));
    assert.deepEqual([ip.isFragment, ip.protocol, ip.payloadAt], [false, 17, 48]);
  });

  test('addresses and their bytes', () => {
    for (const text of ['100.64.0.1', 'fd7a:115c:a1e0::1']) {
      const ip = parseIp(text);
      assert.ok(ip);
      assert.equal(formatIp(ipFromBytes(ipToBytes(ip))), text);
    }
  });

  test('capture files begin as tcpdump expects', () => {
    assert.equal(pcapFileHeader().toString('hex'), 'd4c3b2a10200040000000000000000000000040065000000');
    assert.equal(pcapRecordHeader(1500.5, 9).toString('hex'), '0100000014a307000900000009000000');
  });
});
