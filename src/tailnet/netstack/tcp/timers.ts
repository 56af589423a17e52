/** What a connection does when time passes: RFC 6298, RFC 8985 section 7, RFC 9293 sections 3.8.4 and 3.8.6. */
import { TCP_FLAG } from '../../../wire/tcp.ts';
import { findLosses } from './acknowledgment.ts';
import { maySend, NEVER, type TcpBlock, unsentBytes } from './block.ts';
import { endConnection, setKeepAliveTimer, startHandshakeTimer } from './closing.ts';
import { segmentDataMax, sendSegment, sendSyn } from './emit.ts';
import { advance, distance } from './sequence.ts';
import { retransmit, sendFresh, transmit } from './transmit.ts';

/** SYN: 1 + 2 + … + 64 s, as Linux; RFC 9293 section 3.8.3 asks for 3 minutes or the application's own limit. */
const SYN_REPEATS_MAX = 6;
/** SYN,ACK: 31 s and one more wait. */
const SYN_ACK_REPEATS_MAX = 5;
/** RFC 9293 section 3.8.3: at least 100 s without an answer. */
const GIVE_UP_MS = 180_000;
/** The same for a connection that nobody owns. */
const ORPHAN_GIVE_UP_MS = 60_000;
/** As libuv sets the kernel's. */
const KEEP_ALIVE_INTERVAL_MS = 1000;
const KEEP_ALIVE_PROBES_MAX = 10;

/** Does what is due at `now`. */
export function fireTimers(block: TcpBlock, now: number): void {
  if (block.closeAt <= now) {
    endConnection(block, null);
    return;
  }
  if (block.delayedAckAt <= now) {
    block.delayedAckAt = NEVER;
    block.ackNow = true;
  }
  if (block.keepAliveAt <= now) keepAlive(block, now);
  if (block.reorderAt <= now) {
    block.reorderAt = NEVER;
    findLosses(block, now, block.inFlight.totalBytes);
  }
  if (block.retransmitAt <= now) onRetransmissionTimeout(block, now);
  else if (block.probeAt <= now) sendTailProbe(block, now);
  if (block.persistAt <= now) sendWindowProbe(block, now);
  if (block.state !== 'closed') transmit(block, now);
}

function onRetransmissionTimeout(block: TcpBlock, now: number): void {
  block.retransmitAt = NEVER;
  block.probeAt = NEVER;
  if (block.state === 'syn-sent' || block.state === 'syn-received') {
    repeatHandshake(block, now);
    return;
  }
  if (!maySend(block.state) || block.inFlight.count === 0) return;
  if (block.troubleSince < 0) block.troubleSince = now;
  if (now - block.troubleSince >= (block.isOrphan ? ORPHAN_GIVE_UP_MS : GIVE_UP_MS)) {
    endConnection(block, 'ETIMEDOUT');
    return;
  }
  if (block.sendWindow === 0) {
    block.host.counters.windowProbes += 1;
    const { first } = block.inFlight;
    if (first !== undefined) retransmit(block, first, now);
  } else {
    block.host.counters.timeouts += 1;
    const isFirst = block.recovery !== 'timeout' || block.inFlight.first?.transmissions === 1;
    block.congestion.onTimeout(block.inFlight.totalBytes, isFirst);
    block.inFlight.markAllLost();
    block.recovery = 'timeout';
    block.recoveryPoint = block.sendNext;
    block.mustRetransmit = true;
    block.undoCount = isFirst ? 0 : block.undoCount;
    block.duplicateAcks = 0;
    block.probeEnd = null;
  }
  block.roundTrip.backOff();
  block.retransmitAt = now + block.roundTrip.timeoutMs;
}

function repeatHandshake(block: TcpBlock, now: number): void {
  const most = block.state === 'syn-sent' ? SYN_REPEATS_MAX : SYN_ACK_REPEATS_MAX;
  if (block.attempts >= most) {
    endConnection(block, 'ETIMEDOUT');
    return;
  }
  block.attempts += 1;
  block.roundTrip.backOff();
  sendSyn(block, now);
  startHandshakeTimer(block, now);
}

/** RFC 8985 section 7.3: new data if there is any and the window takes it, else the last segment again. */
function sendTailProbe(block: TcpBlock, now: number): void {
  block.probeAt = NEVER;
  const { inFlight } = block;
  const { last } = inFlight;
  if (last === undefined || block.recovery !== 'none') return;
  block.host.counters.tailProbes += 1;
  const window = distance(advance(block.sendUnacknowledged, block.sendWindow), block.sendNext);
  const size = Math.min(unsentBytes(block), segmentDataMax(block), window);
  if (size > 0) sendFresh(block, size, now);
  else retransmit(block, last, now);
  block.probeRepeated = size <= 0;
  block.probeEnd = block.sendNext;
  block.retransmitAt = now + block.roundTrip.timeoutMs;
}

/** RFC 9293 section 3.8.6.1: at least one byte goes beyond a closed window, or what a tiny window takes. */
function sendWindowProbe(block: TcpBlock, now: number): void {
  block.persistAt = NEVER;
  if (!maySend(block.state) || block.inFlight.count > 0) return;
  block.host.counters.windowProbes += 1;
  const size = Math.min(unsentBytes(block), segmentDataMax(block), Math.max(block.sendWindow, 1));
  sendFresh(block, size, now);
  block.roundTrip.backOff();
}

/** RFC 9293 section 3.8.4: a segment just before the window, which the peer must answer. */
function keepAlive(block: TcpBlock, now: number): void {
  const due = block.lastHeardAt + block.keepAliveMs;
  if (block.keepAliveProbes === 0 && due > now) {
    block.keepAliveAt = due;
    return;
  }
  if (block.keepAliveProbes >= KEEP_ALIVE_PROBES_MAX) {
    endConnection(block, 'ETIMEDOUT');
    return;
  }
  if (block.inFlight.count > 0) {
    /* Retransmission finds out by itself. */
    setKeepAliveTimer(block, now);
    return;
  }
  block.keepAliveProbes += 1;
  sendSegment(block, advance(block.sendNext, -1), TCP_FLAG.ack, 0, now);
  block.keepAliveAt = now + KEEP_ALIVE_INTERVAL_MS;
}
