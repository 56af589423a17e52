/** A TCP connection as its owner sees it: the user calls of RFC 9293 section 3.10. Times in ms. */
import { type TcpBlock, type TcpHandlers, type TcpState } from './block.ts';
import { endConnection, setKeepAliveTimer } from './closing.ts';
import { isWindowUpdateDue, sendReset } from './emit.ts';
import { transmit } from './transmit.ts';

export class TcpConnection {
  readonly #block: TcpBlock;

  constructor(block: TcpBlock) {
    this.#block = block;
  }

  get state(): TcpState {
    return this.#block.state;
  }

  /** 4 or 16 bytes; not to be changed. */
  get localAddress(): Buffer {
    return this.#block.localAddress;
  }

  get remoteAddress(): Buffer {
    return this.#block.remoteAddress;
  }

  get localPort(): number {
    return this.#block.localPort;
  }

  get remotePort(): number {
    return this.#block.remotePort;
  }

  /** Bytes written that the peer has not acknowledged. */
  get unacknowledgedBytes(): number {
    return this.#block.sendBuffer.length;
  }

  /** Smoothed round-trip time in ms, 0 before the first; congestion window in bytes. */
  get path(): { readonly roundTripMs: number; readonly congestionWindowBytes: number; readonly mss: number } {
    const { roundTrip, congestion, mss } = this.#block;
    return { roundTripMs: roundTrip.smoothedMs, congestionWindowBytes: congestion.window, mss };
  }

  /** Whom to tell; at once after `accept`, before the stack is called again. */
  setHandlers(handlers: TcpHandlers): void {
    this.#block.handlers = handlers;
  }

  /**
   * Takes bytes of `chunk` from `offset` into the send buffer, without sending: `flush` does. Returns how
   * many; if fewer than there are, `writable` is told once there is room. 0 after `end` or a failure.
   */
  write(chunk: Uint8Array, offset: number): number {
    const block = this.#block;
    if (block.finQueued || block.state === 'closed' || block.state === 'time-wait') return 0;
    const taken = block.sendBuffer.write(chunk, offset);
    block.wantsWritable = offset + taken < chunk.length;
    return taken;
  }

  /** Sends what may be sent of what was written. */
  flush(now: number): void {
    transmit(this.#block, now);
  }

  /** No more will be written: FIN follows the last byte. */
  end(now: number): void {
    const block = this.#block;
    if (block.finQueued) return;
    if (block.state === 'established' || block.state === 'syn-received') block.state = 'fin-wait-1';
    else if (block.state === 'close-wait') block.state = 'last-ack';
    else if (block.state !== 'syn-sent') return;
    block.finQueued = true;
    transmit(block, now);
  }

  /** The next bytes, or null. They belong to the caller; call `noteRead` after the last one. */
  read(): Buffer | null {
    return this.#block.receiveQueue.readGathered();
  }

  /** The peer's FIN came and everything before it was read. */
  get isAtEnd(): boolean {
    return this.#block.finReceived && this.#block.receiveQueue.queuedBytes === 0;
  }

  /** Tells the peer of the room that reading made, if it may be waiting for it. */
  noteRead(now: number): void {
    const block = this.#block;
    const receives =
      block.state === 'established' || block.state === 'fin-wait-1' || block.state === 'fin-wait-2';
    if (!receives || !isWindowUpdateDue(block)) return;
    block.ackNow = true;
    transmit(block, now);
  }

  /**
   * The owner is done with both directions and hears nothing more. What was written is still sent;
   * bytes that were not read, or that still come, reset the connection (RFC 2525 section 2.17).
   */
  close(now: number): void {
    const block = this.#block;
    block.handlers = null;
    block.isOrphan = true;
    const hasUnread = block.receiveQueue.queuedBytes > 0;
    block.receiveQueue.clear();
    if (block.state === 'closed' || block.state === 'time-wait') return;
    if (block.state === 'syn-sent') {
      endConnection(block, null);
      return;
    }
    if (hasUnread) {
      this.#reset(now);
      return;
    }
    if (block.state === 'fin-wait-2') block.closeAt = now + 60_000;
    this.end(now);
    block.host.reschedule(block);
  }

  /** Resets the connection; nothing more is sent or told. */
  abort(now: number): void {
    const block = this.#block;
    block.handlers = null;
    block.isOrphan = true;
    block.receiveQueue.clear();
    if (block.state === 'closed') return;
    if (block.state === 'syn-sent' || block.state === 'time-wait') endConnection(block, null);
    else this.#reset(now);
  }

  #reset(now: number): void {
    sendReset(this.#block, now);
    endConnection(this.#block, null);
  }

  /** Nagle's rule off: small writes leave at once. */
  setNoDelay(isOn: boolean): void {
    this.#block.noDelay = isOn;
  }

  /** Probes after `idleMs` of silence, then each second; ten unanswered ones end the connection. 0: off. */
  setKeepAlive(idleMs: number, now: number): void {
    const block = this.#block;
    block.keepAliveMs = idleMs;
    block.keepAliveProbes = 0;
    if (block.state !== 'established' && block.state !== 'close-wait') return;
    block.lastHeardAt = Math.max(block.lastHeardAt, now);
    setKeepAliveTimer(block, now);
    block.host.reschedule(block);
  }
}
