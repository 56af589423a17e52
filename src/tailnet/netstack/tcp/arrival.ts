/**
 * A segment arrives at a connection: RFC 9293 section 3.10.7.3 (SYN-SENT) and 3.10.7.4 (every other
 * state), in their order of checks, with RFC 7323 (timestamps, PAWS) and RFC 5961 (blind attacks).
 */
import { TCP_FLAG, type TcpSegment } from '../../../wire/tcp.ts';
import { type TcpBlock, NEVER, stopTimers } from './block.ts';
import { acknowledge } from './acknowledgment.ts';
import { ownMss, sendAck, sendChallenge, sendReset, sendSyn } from './emit.ts';
import {
  endConnection,
  enterFinWait2,
  enterTimeWait,
  setKeepAliveTimer,
  startHandshakeTimer,
} from './closing.ts';
import { advance, distance, isBefore } from './sequence.ts';

/** RFC 9293 section 3.7.1: what an absent MSS option means, IPv4 and IPv6. */
const DEFAULT_MSS = { 4: 536, 6: 1220 } as const;
/** A smaller offer would make us send mostly headers. */
const MSS_MIN = 64;
/** RFC 7323 section 5.5: an older timestamp than this says nothing. */
const TIMESTAMP_VALID_MS = 24 * 24 * 3600 * 1000;
/** An acknowledgment waits at most so long for data to ride on (RFC 9293 section 3.8.6.3: less than 500). */
const DELAYED_ACK_MS = 40;

/** Takes over what the peer's SYN offers. */
export function takeSyn(block: TcpBlock, segment: TcpSegment, now: number): void {
  const family = block.remoteAddress.length === 4 ? 4 : 6;
  block.receiveNext = advance(segment.sequence, 1);
  block.receiveEdge = block.receiveNext;
  const offered = segment.mss > 0 ? Math.max(segment.mss, MSS_MIN) : DEFAULT_MSS[family];
  block.mss = Math.min(offered, ownMss(block));
  block.sendScale = segment.windowScale;
  block.sackPermitted = segment.sackPermitted;
  block.timestamps = segment.hasTimestamps;
  if (segment.hasTimestamps) rememberTimestamp(block, segment, now);
  block.lastAckSent = block.receiveNext;
  block.congestion.setMss(block.mss);
  block.lastHeardAt = now;
  takeWindow(block, segment, 0);
}

function rememberTimestamp(block: TcpBlock, segment: TcpSegment, now: number): void {
  block.timestampRecent = segment.timestamp;
  block.timestampRecentAt = now;
}

/** The window of a segment that is not older than the one that the last came from. */
function takeWindow(block: TcpBlock, segment: TcpSegment, scale: number): void {
  block.sendWindow = segment.window * 2 ** scale;
  if (block.sendWindow > block.sendWindowMax) block.sendWindowMax = block.sendWindow;
  block.windowSequence = segment.sequence;
  block.windowAcknowledgment = segment.acknowledgment;
}

/** Processes a segment, its data in `data`. Sends nothing new yet: the caller does by `transmit`. */
export function arrive(block: TcpBlock, segment: TcpSegment, data: Buffer, now: number): void {
  if (block.state === 'syn-sent') arriveInSynSent(block, segment, now);
  else if (block.state !== 'closed') arriveSynchronized(block, segment, data, now);
}

function arriveInSynSent(block: TcpBlock, segment: TcpSegment, now: number): void {
  const { flags } = segment;
  const hasAck = (flags & TCP_FLAG.ack) !== 0;
  if (hasAck && segment.acknowledgment !== block.sendNext) {
    /* Half-open on the other side, from before a restart: the reset clears it and the next SYN succeeds. */
    block.host.counters.unacceptable += 1;
    if ((flags & TCP_FLAG.rst) === 0) resetFor(block, segment, now);
    return;
  }
  if ((flags & TCP_FLAG.rst) !== 0) {
    if (hasAck) endConnection(block, 'ECONNREFUSED');
    return;
  }
  if ((flags & TCP_FLAG.syn) === 0) return;
  takeSyn(block, segment, now);
  /* What the SYN offered, never scaled. */
  block.receiveEdge = advance(block.receiveNext, 0xffff);
  if (!hasAck) {
    /* Both opened at once: RFC 9293 figure 7. */
    block.state = 'syn-received';
    sendSyn(block, now);
    startHandshakeTimer(block, now);
    return;
  }
  establish(block, now);
  block.ackNow = true;
}

/** A reset that answers a segment, from the number that the segment itself acknowledges. */
function resetFor(block: TcpBlock, segment: TcpSegment, now: number): void {
  const { sendNext } = block;
  block.sendNext = segment.acknowledgment;
  sendReset(block, now);
  block.sendNext = sendNext;
}

function establish(block: TcpBlock, now: number): void {
  stopTimers(block);
  if (block.attempts === 0) block.roundTrip.sample(now - block.lastSentAt);
  else block.congestion.window = block.mss;
  block.sendUnacknowledged = block.sendNext;
  block.bufferSequence = block.sendNext;
  block.attempts = 0;
  block.troubleSince = -1;
  block.state = block.finQueued ? 'fin-wait-1' : 'established';
  block.tellConnected = true;
  setKeepAliveTimer(block, now);
}

function arriveSynchronized(block: TcpBlock, segment: TcpSegment, data: Buffer, now: number): void {
  const { flags } = segment;
  const isReset = (flags & TCP_FLAG.rst) !== 0;
  if (!passesTimestamps(block, segment, isReset, now)) return;
  const start = distance(segment.sequence, block.receiveNext);
  const length = data.length + ((flags & TCP_FLAG.fin) === 0 ? 0 : 1);
  const isAcceptable = isInWindow(block, start, length);
  if (isReset) {
    arriveReset(block, start, isAcceptable, now);
    return;
  }
  if ((flags & TCP_FLAG.syn) !== 0) {
    arriveSyn(block, segment, now);
    return;
  }
  /* At a closed window the acknowledgment still counts: both ends may be probing at once. */
  if (!isAcceptable && !(start === 0 && length > 0)) {
    refuseOutOfWindow(block, start, length, now);
    return;
  }
  if ((flags & TCP_FLAG.ack) === 0) return;
  block.lastHeardAt = now;
  block.keepAliveProbes = 0;
  if (block.state === 'syn-received' && !completeHandshake(block, segment, now)) return;
  /* RFC 7323 section 4.3: only from a segment that the last acknowledgment reaches. */
  if (segment.hasTimestamps && block.timestamps && !isBefore(block.lastAckSent, segment.sequence)) {
    rememberTimestamp(block, segment, now);
  }
  if (!acknowledge(block, segment, data.length, now)) return;
  finishClosing(block, now);
  /* Closed by the acknowledgment just read; the state may have changed under the checker's eyes. */
  if (isClosed(block)) return;
  if (length > 0) arriveData(block, segment, data, start, now);
}

function isClosed(block: TcpBlock): boolean {
  return block.state === 'closed';
}

/** RFC 7323 section 5.3 (R1): an old duplicate is dropped, and answered unless it is a reset. */
function passesTimestamps(block: TcpBlock, segment: TcpSegment, isReset: boolean, now: number): boolean {
  if (!block.timestamps || isReset) return true;
  if (!segment.hasTimestamps) {
    block.host.counters.unacceptable += 1;
    return false;
  }
  if (!isBefore(segment.timestamp, block.timestampRecent)) return true;
  if (now - block.timestampRecentAt > TIMESTAMP_VALID_MS) return true;
  block.host.counters.oldTimestamp += 1;
  sendChallenge(block, now);
  return false;
}

/** RFC 9293 section 3.4, the four cases of acceptability; `start` is relative to what comes next. */
function isInWindow(block: TcpBlock, start: number, length: number): boolean {
  const window = distance(block.receiveEdge, block.receiveNext);
  if (length === 0) return start === 0 || (start > 0 && start < window);
  return window > 0 && start < window && start + length > 0;
}

/** RFC 5961 section 3.2: a reset counts only at exactly the next number; elsewhere in the window it is challenged. */
function arriveReset(block: TcpBlock, start: number, isAcceptable: boolean, now: number): void {
  if (start === 0) {
    const isQuiet = block.state === 'time-wait' || block.state === 'last-ack' || block.state === 'closing';
    if (block.state === 'syn-received' && !block.isPassive) endConnection(block, 'ECONNREFUSED');
    else endConnection(block, isQuiet ? null : 'ECONNRESET');
  } else if (isAcceptable) sendChallenge(block, now);
  else block.host.counters.unacceptable += 1;
}

/** RFC 5961 section 4.2; but a repeated SYN of a handshake that is not complete is answered again. */
function arriveSyn(block: TcpBlock, segment: TcpSegment, now: number): void {
  block.host.counters.unacceptable += 1;
  const isRepeated = advance(segment.sequence, 1) === block.receiveNext;
  if (block.state !== 'syn-received' || !isRepeated) {
    sendChallenge(block, now);
    return;
  }
  if ((segment.flags & TCP_FLAG.ack) !== 0 && segment.acknowledgment === block.sendNext) {
    /* The answer to our SYN of a simultaneous open carries the acknowledgment that is missing. */
    establish(block, now);
    takeWindow(block, segment, 0);
    block.ackNow = true;
  } else if (now >= block.challengeAllowedAt) {
    block.challengeAllowedAt = now + 500;
    sendSyn(block, now);
  }
}

/** Not in the window: the peer is told where we are. Data that came before is reported as D-SACK. */
function refuseOutOfWindow(block: TcpBlock, start: number, length: number, now: number): void {
  block.host.counters.unacceptable += 1;
  if (block.state === 'time-wait') {
    if (length > 0) enterTimeWait(block, now);
    sendAck(block, now);
  } else if (length > 0) {
    if (start < 0) noteDuplicate(block, advance(block.receiveNext, start), Math.min(length, -start));
    block.ackNow = true;
  } else sendChallenge(block, now);
}

function noteDuplicate(block: TcpBlock, left: number, bytes: number): void {
  block.duplicateLeft = left;
  block.duplicateRight = advance(left, bytes);
}

/** RFC 9293 section 3.10.7.4, fifth check, SYN-RECEIVED. */
function completeHandshake(block: TcpBlock, segment: TcpSegment, now: number): boolean {
  if (segment.acknowledgment !== block.sendNext) {
    block.host.counters.unacceptable += 1;
    resetFor(block, segment, now);
    return false;
  }
  establish(block, now);
  takeWindow(block, segment, Math.max(block.sendScale, 0));
  return true;
}

/** What the acknowledgment of our FIN does. */
function finishClosing(block: TcpBlock, now: number): void {
  if (!block.finSent || block.sendUnacknowledged !== block.sendNext) return;
  if (block.state === 'fin-wait-1') {
    enterFinWait2(block, now);
  } else if (block.state === 'closing') enterTimeWait(block, now);
  else if (block.state === 'last-ack') endConnection(block, null);
}

function arriveData(block: TcpBlock, segment: TcpSegment, data: Buffer, start: number, now: number): void {
  const { state } = block;
  if (state !== 'established' && state !== 'fin-wait-1' && state !== 'fin-wait-2') {
    /* The peer's FIN came before: what follows it can only be a repetition. */
    block.ackNow = true;
    return;
  }
  if (block.isOrphan && start + data.length > 0 && data.length > 0) {
    /* Nobody will ever read it: RFC 9293 section 3.6.1 (RFC 2525 section 2.17). */
    sendReset(block, now);
    endConnection(block, null);
    return;
  }
  const window = distance(block.receiveEdge, block.receiveNext);
  const skip = Math.max(0, -start);
  const keep = Math.min(data.length, window - start);
  if (skip > 0) noteDuplicate(block, segment.sequence, Math.min(skip, data.length));
  if ((segment.flags & TCP_FLAG.fin) !== 0 && keep === data.length) {
    block.heldFin = advance(segment.sequence, data.length);
  }
  if (keep > skip) storeData(block, data.subarray(skip, keep), Math.max(start, 0), now);
  else if (data.length > 0) block.ackNow = true;
  if (block.heldFin === block.receiveNext && !block.finReceived) arriveFin(block, now);
  else if ((segment.flags & TCP_FLAG.fin) !== 0) block.ackNow = true;
}

function storeData(block: TcpBlock, data: Buffer, start: number, now: number): void {
  const { receiveQueue } = block;
  if (data.length > block.receiveMss) block.receiveMss = Math.min(data.length, ownMss(block));
  if (start > 0) {
    const left = advance(block.receiveNext, start);
    const outcome = receiveQueue.hold(data, left);
    if (outcome === 'dropped') block.host.counters.heldDropped += 1;
    else if (outcome === 'known') noteDuplicate(block, left, data.length);
    block.ackNow = true;
    return;
  }
  const hadGap = receiveQueue.hasGap;
  block.receiveNext = receiveQueue.append(data, block.receiveNext);
  if (isBefore(block.receiveEdge, block.receiveNext)) block.receiveEdge = block.receiveNext;
  block.tellReadable = true;
  block.unacknowledgedBytes += data.length;
  if (hadGap || block.unacknowledgedBytes >= 2 * block.receiveMss) block.ackNow = true;
  else if (block.delayedAckAt === NEVER) block.delayedAckAt = now + DELAYED_ACK_MS;
}

function arriveFin(block: TcpBlock, now: number): void {
  block.finReceived = true;
  block.receiveNext = advance(block.receiveNext, 1);
  if (isBefore(block.receiveEdge, block.receiveNext)) block.receiveEdge = block.receiveNext;
  block.tellReadable = true;
  block.ackNow = true;
  if (block.state === 'established') block.state = 'close-wait';
  else if (block.state === 'fin-wait-1') block.state = 'closing';
  else if (block.state === 'fin-wait-2') enterTimeWait(block, now);
}
