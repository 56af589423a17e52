/**
 * What may be sent now: retransmissions first, then new data, as far as the peer's window and the
 * congestion window allow (RFC 9293 section 3.8, RFC 6675 section 5), with Nagle's rule and the sender's
 * silly-window avoidance (RFC 9293 sections 3.7.4 and 3.8.6.2.1). Then the timers that follow from it.
 */
import { TCP_FLAG } from '../../../wire/tcp.ts';
import { maySend, NEVER, type TcpBlock, unsentBytes } from './block.ts';
import { segmentDataMax, sendAck, sendSegment } from './emit.ts';
import type { SentSegment } from './in-flight.ts';
import { advance, distance, isBefore } from './sequence.ts';

/** Records kept; a sender of tiny segments waits here for acknowledgments. */
const RECORDS_MAX = 4096;
/** RFC 8985 section 7.2: what the peer may wait before it acknowledges a single segment. */
const PEER_ACK_DELAY_MS = 200;
/** RFC 8985 section 7.2, before any round trip was measured. */
const FIRST_PROBE_MS = 1000;

/** Sends what may be sent, an acknowledgment if one is still due, and sets the timers. */
export function transmit(block: TcpBlock, now: number): void {
  if (maySend(block.state)) {
    const before = block.sendNext;
    restartAfterIdle(block, now);
    block.windowLimited = false;
    while (sendNext(block, now));
    setTimers(block, now, block.sendNext !== before);
  }
  if (block.ackNow) sendAck(block, now);
  block.host.reschedule(block);
}

function restartAfterIdle(block: TcpBlock, now: number): void {
  if (block.inFlight.count > 0 || now - block.lastSentAt <= block.roundTrip.timeoutMs) return;
  if (unsentBytes(block) > 0) block.congestion.restartAfterIdle();
}

/** Sends one segment if one may be sent. */
function sendNext(block: TcpBlock, now: number): boolean {
  const lost = block.inFlight.firstLost();
  return lost === undefined ? sendNew(block, now) : retransmitLost(block, lost, now);
}

function retransmitLost(block: TcpBlock, lost: SentSegment, now: number): boolean {
  const room = block.congestion.window - block.inFlight.pipeBytes;
  if (room < lost.length && !block.mustRetransmit) {
    block.windowLimited = true;
    return false;
  }
  const windowEnd = advance(block.sendUnacknowledged, block.sendWindow);
  const isFirst = lost.sequence === block.sendUnacknowledged;
  /* The window was taken back: the timer probes with the first segment. */
  if (!isFirst && isBefore(windowEnd, advance(lost.sequence, lost.length))) return false;
  if (isFirst && block.sendWindow === 0 && !block.mustRetransmit) return false;
  block.mustRetransmit = false;
  retransmit(block, lost, now);
  return true;
}

/** Sends a segment again; one that no longer fits the path goes in parts. */
export function retransmit(block: TcpBlock, segment: SentSegment, now: number): void {
  const most = segmentDataMax(block);
  const part = segment.length - (segment.fin ? 1 : 0) > most ? block.inFlight.split(segment, most) : segment;
  block.inFlight.noteRetransmission(part, now);
  block.host.counters.retransmitted += 1;
  if (block.undoCount >= 0) block.undoCount += 1;
  const dataBytes = part.length - (part.fin ? 1 : 0);
  const flags = TCP_FLAG.ack | (part.fin ? TCP_FLAG.fin : 0) | (dataBytes > 0 ? TCP_FLAG.psh : 0);
  sendSegment(block, part.sequence, flags, dataBytes, now);
}

function sendNew(block: TcpBlock, now: number): boolean {
  const unsent = unsentBytes(block);
  const finWaits = block.finQueued && !block.finSent;
  if ((unsent === 0 && !finWaits) || block.inFlight.count >= RECORDS_MAX) return false;
  const most = segmentDataMax(block);
  const window = distance(advance(block.sendUnacknowledged, block.sendWindow), block.sendNext);
  const size = Math.min(unsent, most, window);
  if (size < 0 || (size === 0 && (window <= 0 || !finWaits))) return false;
  if (size < most && !maySendPartial(block, size, unsent, finWaits)) return false;
  const room = block.congestion.window - block.inFlight.pipeBytes;
  /* A segment is never cut to what the congestion window has left. */
  if (room < size && block.inFlight.pipeBytes > 0) {
    block.windowLimited = true;
    return false;
  }
  sendFresh(block, size, now);
  return true;
}

/** Less than a full segment goes if it is all there is (Nagle), or half of the largest window seen. */
function maySendPartial(block: TcpBlock, size: number, unsent: number, finWaits: boolean): boolean {
  if (size === unsent) return block.noDelay || finWaits || block.inFlight.count === 0;
  return size >= block.sendWindowMax / 2;
}

/** Sends `size` new bytes, and the FIN if it comes next and the window has room for it. */
export function sendFresh(block: TcpBlock, size: number, now: number): void {
  const unsent = unsentBytes(block);
  const windowEnd = advance(block.sendUnacknowledged, block.sendWindow);
  const sequence = block.sendNext;
  const isLast = size === unsent;
  const fin =
    block.finQueued &&
    !block.finSent &&
    isLast &&
    (size === 0 || isBefore(advance(sequence, size), windowEnd));
  const length = size + (fin ? 1 : 0);
  block.sendNext = advance(sequence, length);
  if (fin) block.finSent = true;
  block.inFlight.push(sequence, length, fin, now);
  const flags = TCP_FLAG.ack | (fin ? TCP_FLAG.fin : 0) | (isLast && size > 0 ? TCP_FLAG.psh : 0);
  sendSegment(block, sequence, flags, size, now);
}

function setTimers(block: TcpBlock, now: number, hasSentNew: boolean): void {
  const { inFlight } = block;
  if (inFlight.count > 0) {
    block.persistAt = NEVER;
    if (block.retransmitAt === NEVER) block.retransmitAt = now + block.roundTrip.timeoutMs;
    if (hasSentNew) setTailProbe(block, now);
    return;
  }
  block.retransmitAt = NEVER;
  block.probeAt = NEVER;
  block.reorderAt = NEVER;
  const waits = unsentBytes(block) > 0 || (block.finQueued && !block.finSent);
  if (!waits) block.persistAt = NEVER;
  else if (block.persistAt === NEVER) block.persistAt = now + block.roundTrip.timeoutMs;
}

/** RFC 8985 section 7.2: when to probe for a lost tail; only where SACK can tell the answer. */
export function setTailProbe(block: TcpBlock, now: number): void {
  block.probeAt = NEVER;
  if (!block.sackPermitted || block.recovery !== 'none' || block.probeEnd !== null) return;
  if (block.inFlight.count === 0 || block.inFlight.sackedSegments > 0 || block.sendWindow === 0) return;
  const { smoothedMs } = block.roundTrip;
  let wait = smoothedMs > 0 ? 2 * smoothedMs : FIRST_PROBE_MS;
  if (block.inFlight.count === 1) wait += PEER_ACK_DELAY_MS;
  /* Timers have a resolution of about 1 ms: a shorter wait would probe what is merely on its way. */
  const at = now + Math.max(wait, 2);
  if (at < block.retransmitAt) block.probeAt = at;
}
