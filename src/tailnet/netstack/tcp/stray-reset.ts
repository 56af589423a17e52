/** The answer to a segment that belongs to no connection: RFC 9293 section 3.10.7.1. */
import { IP_PROTOCOL, ipHeaderBytes, writeIpHeader } from '../../../wire/ip-packet.ts';
import { sealTcp, TCP_FLAG, type TcpSegment, writeTcpHeader } from '../../../wire/tcp.ts';
import type { TcpHost } from './block.ts';
import { HOP_LIMIT } from './emit.ts';
import type { FlowKey } from './flows.ts';
import { advance } from './sequence.ts';

/** Sends a reset to where `segment` came from; never called for a reset. */
export function sendStrayReset(host: TcpHost, segment: TcpSegment, flow: FlowKey): void {
  const { header, packet } = host;
  const { bytes, localAt, remoteAt, length } = flow;
  const hasAck = (segment.flags & TCP_FLAG.ack) !== 0;
  const taken =
    segment.dataEnd -
    segment.dataAt +
    ((segment.flags & TCP_FLAG.syn) === 0 ? 0 : 1) +
    ((segment.flags & TCP_FLAG.fin) === 0 ? 0 : 1);
  header.sourcePort = segment.destinationPort;
  header.destinationPort = segment.sourcePort;
  header.sequence = hasAck ? segment.acknowledgment : 0;
  header.acknowledgment = advance(segment.sequence, taken);
  header.flags = hasAck ? TCP_FLAG.rst : TCP_FLAG.rst | TCP_FLAG.ack;
  header.window = 0;
  header.mss = 0;
  header.windowScale = -1;
  header.sackPermitted = false;
  header.hasTimestamps = false;
  header.sackCount = 0;
  const ipBytes = ipHeaderBytes(length === 4 ? 4 : 6);
  const end = writeTcpHeader(packet, ipBytes, header);
  writeIpHeader(packet, {
    source: bytes.subarray(localAt, localAt + length),
    destination: bytes.subarray(remoteAt, remoteAt + length),
    protocol: IP_PROTOCOL.tcp,
    payloadBytes: end - ipBytes,
    hopLimit: HOP_LIMIT,
  });
  sealTcp(packet, length === 4 ? 12 : 8, ipBytes, end);
  host.transmit(end);
}
