/** The ways in which a connection ends, and the timers that have no sending to them. */
import { NEVER, stopTimers, type TcpBlock, type TcpFailure } from './block.ts';

/** Twice the maximum segment lifetime, taken as 30 s like Linux: RFC 9293 section 3.4.2 leaves the value open. */
const TIME_WAIT_MS = 60_000;
/** How long a connection that nobody owns waits for the peer's FIN. */
const ORPHAN_WAIT_MS = 60_000;

/** It is over: by `failure`, or in order. What came in order can still be read. */
export function endConnection(block: TcpBlock, failure: TcpFailure | null): void {
  block.state = 'closed';
  stopTimers(block);
  block.sendBuffer.clear();
  block.inFlight.clear();
  block.ackNow = false;
  if (block.handlers === null) block.receiveQueue.clear();
  else if (failure !== null) block.tellFailure = failure;
  block.host.forget(block);
}

/** Enters TIME-WAIT, or begins it again: RFC 9293 section 3.10.7.4. */
export function enterTimeWait(block: TcpBlock, now: number): void {
  stopTimers(block);
  block.sendBuffer.clear();
  block.inFlight.clear();
  block.closeAt = now + TIME_WAIT_MS;
  if (block.state === 'time-wait') return;
  block.state = 'time-wait';
  block.host.noteTimeWait(block);
}

/** Our FIN is acknowledged; without an owner, the peer's is not waited for without end. */
export function enterFinWait2(block: TcpBlock, now: number): void {
  block.state = 'fin-wait-2';
  if (block.isOrphan) block.closeAt = now + ORPHAN_WAIT_MS;
}

/** The retransmission timer of SYN or SYN,ACK. */
export function startHandshakeTimer(block: TcpBlock, now: number): void {
  block.retransmitAt = now + block.roundTrip.timeoutMs;
  block.host.reschedule(block);
}

/** Keep-alive counts from the last sign of life. */
export function setKeepAliveTimer(block: TcpBlock, now: number): void {
  block.keepAliveAt = block.keepAliveMs > 0 ? now + block.keepAliveMs : NEVER;
}
