/** Writes segments of a connection: header, options, data from the send buffer, checksum (RFC 9293, 7323, 2018). */
import { ipHeaderBytes, writeIpHeader, IP_PROTOCOL } from '../../../wire/ip-packet.ts';
import {
  sealTcp,
  TCP_FLAG,
  TCP_HEADER_BYTES,
  TIMESTAMP_OPTION_BYTES,
  writeTcpHeader,
} from '../../../wire/tcp.ts';
import { NEVER, type TcpBlock } from './block.ts';
import { advance, distance, isBefore } from './sequence.ts';

/** Linux, BSD and RFC 1700 agree. */
export const HOP_LIMIT = 64;
/** 2 bytes of a window field. */
const WINDOW_FIELD_MAX = 0xffff;
/** With timestamps three fit in the 40 bytes of options. */
const SACK_BLOCKS_BESIDE_TIMESTAMPS = 3;
/** What is offered to each connection when memory runs out: enough to move, too little to hurt. */
const SCARCE_WINDOW_BYTES = 16_384;

/** The most data that fits a segment beside the options that data segments always have. */
export function segmentDataMax(block: TcpBlock): number {
  return block.mss - (block.timestamps ? TIMESTAMP_OPTION_BYTES : 0);
}

/** The largest segment that we can receive, for the MSS option: RFC 6691. */
export function ownMss(block: TcpBlock): number {
  return block.host.mtu - ipHeaderBytes(block.remoteAddress.length === 4 ? 4 : 6) - TCP_HEADER_BYTES;
}

/**
 * The window to offer now. Its right edge never moves back, and forward only by a segment or half
 * the buffer (silly-window avoidance, RFC 9293 section 3.8.6.2.2).
 */
function offerWindow(block: TcpBlock): number {
  const offered = distance(block.receiveEdge, block.receiveNext);
  const grown = freeWindow(block) - offered;
  const limit = windowLimit(block);
  if (grown < Math.min(limit / 2, block.receiveMss)) return Math.max(offered, 0);
  return offered + grown;
}

/** The buffer, or less if the window field cannot say as much. */
function windowLimit(block: TcpBlock): number {
  const scale = block.sendScale < 0 ? 0 : block.receiveScale;
  return Math.min(block.host.limits.receiveBufferBytes, WINDOW_FIELD_MAX << scale);
}

function freeWindow(block: TcpBlock): number {
  const free = windowLimit(block) - block.receiveQueue.queuedBytes;
  return block.host.memory.isScarce ? Math.min(free, SCARCE_WINDOW_BYTES) : free;
}

/** Whether the application read enough that the peer should hear of it: it may be waiting. */
export function isWindowUpdateDue(block: TcpBlock): boolean {
  const offered = distance(block.receiveEdge, block.receiveNext);
  const limit = windowLimit(block);
  if (offered > limit / 2) return false;
  return freeWindow(block) - offered >= Math.min(limit / 2, 2 * block.receiveMss);
}

/**
 * Sends one segment from `sequence` with `dataBytes` of the send buffer. Carries the acknowledgment,
 * the window and what is to report; nothing is due after it.
 */
export function sendSegment(
  block: TcpBlock,
  sequence: number,
  flags: number,
  dataBytes: number,
  now: number,
): void {
  const { host } = block;
  const { header } = host;
  const isSyn = (flags & TCP_FLAG.syn) !== 0;
  header.sourcePort = block.localPort;
  header.destinationPort = block.remotePort;
  header.sequence = sequence;
  header.acknowledgment = block.receiveNext;
  header.flags = flags;
  header.mss = 0;
  header.windowScale = -1;
  header.sackPermitted = false;
  header.hasTimestamps = block.timestamps;
  header.timestamp = timestampNow(block, now);
  header.timestampEcho = block.timestampRecent;
  header.sackCount = 0;
  if (isSyn) setSynOptions(block, flags);
  else if (block.sackPermitted) header.sackCount = setSackBlocks(block, dataBytes);
  header.window = takeWindow(block, isSyn, flags);
  const ipBytes = ipHeaderBytes(block.localAddress.length === 4 ? 4 : 6);
  const dataAt = writeTcpHeader(host.packet, ipBytes, header);
  if (dataBytes > 0) {
    block.sendBuffer.copy(host.packet, dataAt, distance(sequence, block.bufferSequence), dataBytes);
  }
  const end = dataAt + dataBytes;
  writeIpHeader(host.packet, {
    source: block.localAddress,
    destination: block.remoteAddress,
    protocol: IP_PROTOCOL.tcp,
    payloadBytes: end - ipBytes,
    hopLimit: HOP_LIMIT,
  });
  sealTcp(host.packet, block.localAddress.length === 4 ? 12 : 8, ipBytes, end);
  if ((flags & TCP_FLAG.ack) !== 0) {
    block.lastAckSent = block.receiveNext;
    block.ackNow = false;
    block.unacknowledgedBytes = 0;
    block.delayedAckAt = NEVER;
  }
  block.lastSentAt = now;
  host.transmit(end);
}

/** Our timestamp: milliseconds with an offset of the connection's own, so that it tells nothing else. */
export function timestampNow(block: TcpBlock, now: number): number {
  return (Math.floor(now) + block.timestampOffset) | 0;
}

/** In the first SYN we offer everything; in an answer only what the peer offered. */
function setSynOptions(block: TcpBlock, flags: number): void {
  const { header } = block.host;
  const isAnswer = (flags & TCP_FLAG.ack) !== 0;
  header.mss = ownMss(block);
  header.windowScale = !isAnswer || block.sendScale >= 0 ? block.receiveScale : -1;
  header.sackPermitted = !isAnswer || block.sackPermitted;
  header.hasTimestamps = !isAnswer || block.timestamps;
}

/** D-SACK first, then what is held; as many as fit beside the data. */
function setSackBlocks(block: TcpBlock, dataBytes: number): number {
  const { receiveQueue } = block;
  const hasDuplicate = block.duplicateLeft !== block.duplicateRight;
  if (!hasDuplicate && !receiveQueue.hasGap) return 0;
  const room = segmentDataMax(block) - dataBytes;
  const fitting = Math.floor((room - 4) / 8);
  const most = Math.min(block.timestamps ? SACK_BLOCKS_BESIDE_TIMESTAMPS : 4, fitting);
  if (most <= 0) return 0;
  const edges = block.host.header.sackEdges;
  let count = 0;
  if (hasDuplicate) {
    edges[0] = block.duplicateLeft;
    edges[1] = block.duplicateRight;
    block.duplicateLeft = block.duplicateRight;
    count = 1;
  }
  return count + receiveQueue.writeSackBlocks(edges, count * 2, most - count);
}

/** The window field, and the edge that it moves. In a SYN it is never scaled (RFC 7323 section 2.2). */
function takeWindow(block: TcpBlock, isSyn: boolean, flags: number): number {
  if ((flags & TCP_FLAG.rst) !== 0) return 0;
  if (isSyn && (flags & TCP_FLAG.ack) === 0) return WINDOW_FIELD_MAX;
  const scale = isSyn || block.sendScale < 0 ? 0 : block.receiveScale;
  const window = Math.min(offerWindow(block), WINDOW_FIELD_MAX << scale);
  /* Rounded up, so that the edge stays where it was offered. */
  const field = Math.min(Math.ceil(window / (1 << scale)), WINDOW_FIELD_MAX);
  const edge = advance(block.receiveNext, field << scale);
  if (isBefore(block.receiveEdge, edge)) block.receiveEdge = edge;
  return field;
}

/** A segment without data: an acknowledgment. */
export function sendAck(block: TcpBlock, now: number): void {
  sendSegment(block, block.sendNext, TCP_FLAG.ack, 0, now);
}

/** SYN or SYN,ACK, by the state. */
export function sendSyn(block: TcpBlock, now: number): void {
  const flags = block.state === 'syn-received' ? TCP_FLAG.syn | TCP_FLAG.ack : TCP_FLAG.syn;
  sendSegment(block, block.initialSequence, flags, 0, now);
}

/** Tells the peer that the connection is gone. */
export function sendReset(block: TcpBlock, now: number): void {
  block.host.counters.resetsSent += 1;
  sendSegment(block, block.sendNext, TCP_FLAG.rst | TCP_FLAG.ack, 0, now);
}

/** At least this long between challenges of one connection; as Linux, and no other connection can tell. */
const CHALLENGE_INTERVAL_MS = 500;

/** RFC 5961: an acknowledgment that only the real peer can make use of; limited per connection. */
export function sendChallenge(block: TcpBlock, now: number): void {
  if (now < block.challengeAllowedAt) {
    block.host.counters.challengesHeldBack += 1;
    return;
  }
  block.challengeAllowedAt = now + CHALLENGE_INTERVAL_MS;
  block.host.counters.challengesSent += 1;
  sendAck(block, now);
}
