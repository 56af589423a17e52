/**
 * The acknowledgment of a segment: RFC 9293 section 3.10.7.4 (fifth check), RFC 5961 section 5, and what
 * follows for recovery: RFC 6675 and RFC 8985 with SACK, RFC 6582 without.
 */
import type { TcpSegment } from '../../../wire/tcp.ts';
import { NEVER, type TcpBlock } from './block.ts';
import { sendChallenge, timestampNow } from './emit.ts';
import { advance, distance, isBefore } from './sequence.ts';
import { setTailProbe } from './transmit.ts';

/** RFC 5681 section 3.2. */
const DUPLICATE_ACKS_FOR_LOSS = 3;
/** A round trip by timestamps above this is nonsense. */
const ROUND_TRIP_MAX_MS = 600_000;
/** RFC 5961 section 5.2: an acknowledgment older than the largest window, at least one without scaling. */
const OLD_ACK_MIN_BYTES = 0xffff;

/** Processes the acknowledgment; false if it cannot be and the segment must be dropped. */
export function acknowledge(block: TcpBlock, segment: TcpSegment, dataBytes: number, now: number): boolean {
  const ack = segment.acknowledgment;
  const gained = distance(ack, block.sendUnacknowledged);
  const outstanding = distance(block.sendNext, block.sendUnacknowledged);
  if (gained > outstanding || gained < -Math.max(block.sendWindowMax, OLD_ACK_MIN_BYTES)) {
    block.host.counters.unacceptable += 1;
    sendChallenge(block, now);
    return false;
  }
  if (gained < 0) return true;
  const { inFlight } = block;
  const windowBefore = block.sendWindow;
  takeWindow(block, segment);
  if (gained === 0 && inFlight.count === 0) {
    if (windowBefore === 0 && block.sendWindow > 0) block.persistAt = NEVER;
    return true;
  }
  const flight = inFlight.totalBytes;
  inFlight.beginAck();
  if (segment.sackCount > 0 && block.sackPermitted) inFlight.readSack(segment, ack, block.sendNext, now);
  if (gained > 0) advanceSend(block, gained, now);
  else if (dataBytes === 0 && block.sendWindow === windowBefore) block.duplicateAcks += 1;
  measure(block, segment, now);
  if (windowBefore === 0 && block.sendWindow > 0) reopen(block);
  if (block.sendWindow === 0) block.troubleSince = -1;
  if (inFlight.sawDuplicateSack) noteNeedlessRepeat(block);
  recover(block, gained, flight, now);
  finishTailProbe(block, flight);
  if (gained > 0) setTailProbe(block, now);
  return true;
}

/** RFC 9293 section 3.10.7.4: the window comes from the newest segment only. */
function takeWindow(block: TcpBlock, segment: TcpSegment): void {
  const age = distance(segment.sequence, block.windowSequence);
  if (age < 0 || (age === 0 && isBefore(segment.acknowledgment, block.windowAcknowledgment))) return;
  block.sendWindow = segment.window * 2 ** Math.max(block.sendScale, 0);
  if (block.sendWindow > block.sendWindowMax) block.sendWindowMax = block.sendWindow;
  block.windowSequence = segment.sequence;
  block.windowAcknowledgment = segment.acknowledgment;
}

function advanceSend(block: TcpBlock, gained: number, now: number): void {
  block.sendUnacknowledged = advance(block.sendUnacknowledged, gained);
  const bytes = Math.min(distance(block.sendUnacknowledged, block.bufferSequence), block.sendBuffer.length);
  block.sendBuffer.release(bytes);
  block.bufferSequence = advance(block.bufferSequence, bytes);
  block.inFlight.acknowledge(block.sendUnacknowledged, now);
  block.duplicateAcks = 0;
  block.troubleSince = -1;
  block.retransmitAt = NEVER;
}

/** By a segment that was sent once; else by the timestamp that the peer returned (RFC 7323 section 4). */
function measure(block: TcpBlock, segment: TcpSegment, now: number): void {
  const { roundTripSample, acknowledgedRepeat } = block.inFlight;
  if (roundTripSample >= 0) {
    block.roundTrip.sample(roundTripSample);
  } else if (acknowledgedRepeat && block.timestamps && segment.hasTimestamps && segment.timestampEcho !== 0) {
    const ms = distance(timestampNow(block, now), segment.timestampEcho);
    if (ms >= 0 && ms < ROUND_TRIP_MAX_MS) block.roundTrip.sample(ms);
  }
}

/** The window opened after a probe that the peer had no room for: it goes again at once. */
function reopen(block: TcpBlock): void {
  block.persistAt = NEVER;
  block.roundTrip.endBackOff();
  if (block.inFlight.count === 0) return;
  block.inFlight.markAllLost();
  block.recovery = 'timeout';
  block.recoveryPoint = block.sendNext;
  block.mustRetransmit = true;
  block.undoCount = -1;
}

/** RFC 2883: if all that was repeated had arrived, nothing was lost and the window comes back. */
function noteNeedlessRepeat(block: TcpBlock): void {
  if (block.undoCount <= 0) return;
  block.undoCount -= 1;
  if (block.undoCount > 0) return;
  block.congestion.undo();
  block.host.counters.undone += 1;
  block.undoCount = -1;
}

function recover(block: TcpBlock, gained: number, flight: number, now: number): void {
  if (gained > 0 && block.recovery !== 'none') {
    if (!isBefore(block.sendUnacknowledged, block.recoveryPoint)) endRecovery(block);
    else if (block.recovery === 'fast' && !block.sackPermitted) takePartialAck(block, gained);
  }
  if (block.sackPermitted) findLosses(block, now, flight);
  else countDuplicates(block, flight);
  if (gained > 0 && block.recovery !== 'fast' && block.windowLimited) {
    block.congestion.onAck(gained, now, block.roundTrip.smoothedMs);
  }
}

function endRecovery(block: TcpBlock): void {
  if (block.recovery === 'fast' && !block.sackPermitted) block.congestion.window = block.congestion.threshold;
  block.recovery = 'none';
  block.duplicateAcks = 0;
  block.inFlight.noteRecoveryEnd();
}

/** RFC 6582 section 3.2, step 3: the next hole is lost too. */
function takePartialAck(block: TcpBlock, gained: number): void {
  const { congestion } = block;
  congestion.window = Math.max(congestion.window - gained + block.mss, block.mss);
  block.inFlight.markFirstLost();
  block.mustRetransmit = true;
}

/** Without SACK: RFC 5681 section 3.2 and RFC 6582 section 3.2. */
function countDuplicates(block: TcpBlock, flight: number): void {
  if (block.recovery === 'fast') {
    if (block.duplicateAcks > 0) block.congestion.window += block.mss;
    return;
  }
  if (block.recovery !== 'none' || block.duplicateAcks !== DUPLICATE_ACKS_FOR_LOSS) return;
  if (isBefore(block.sendUnacknowledged, block.recoveryPoint)) return;
  block.inFlight.markFirstLost();
  startRecovery(block, flight);
  block.congestion.window += DUPLICATE_ACKS_FOR_LOSS * block.mss;
}

/** With SACK: marks what time says is lost, and enters recovery if anything is. Also for the reordering timer. */
export function findLosses(block: TcpBlock, now: number, flight: number): void {
  const wait = block.inFlight.detectLoss(now, block.recovery !== 'none');
  block.reorderAt = wait > 0 ? now + wait : NEVER;
  if (block.recovery === 'none' && block.inFlight.lostSegments > 0) startRecovery(block, flight);
}

function startRecovery(block: TcpBlock, flight: number): void {
  block.congestion.onLoss(flight);
  block.recovery = 'fast';
  block.recoveryPoint = block.sendNext;
  block.mustRetransmit = true;
  block.undoCount = 0;
  block.probeAt = NEVER;
  block.host.counters.fastRecoveries += 1;
}

/** RFC 8985 section 7.4.2: a probe that repaired a loss unseen counts as one. */
function finishTailProbe(block: TcpBlock, flight: number): void {
  if (block.probeEnd === null || isBefore(block.sendUnacknowledged, block.probeEnd)) return;
  if (block.probeRepeated && !block.inFlight.sawDuplicateSack && block.recovery === 'none') {
    block.congestion.onLoss(flight);
  }
  block.probeEnd = null;
}
