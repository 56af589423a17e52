/** A session over a socket: plain DERP after an upgrade, or DERP in WebSocket messages. */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../../base/clock.ts';
import type { RelayPipe } from './ports.ts';
import { ReadPace } from './read-pace.ts';
import type { RelayCounters } from './relay-counters.ts';
import type { RelayRate } from './relay-limits.ts';
import type { RelaySession } from './relay-session.ts';
import { websocketClose, websocketHeader, WebsocketReader } from './websocket.ts';

/** For what was written to arrive. */
const FINISH_MS = 1_000;
/** RFC 6455 section 7.4.1. */
const CLOSE_NORMAL = 1000;

export interface SocketPipeOptions {
  readonly isWebsocket: boolean;
  readonly clock: Clock;
  readonly rate: RelayRate | null;
  readonly counters: RelayCounters;
}

export class SocketPipe implements RelayPipe {
  readonly #stream: Duplex;
  readonly #isWebsocket: boolean;
  readonly #pace: ReadPace | null;
  readonly #clock: Clock;
  readonly #counters: RelayCounters;
  #closeStatus = CLOSE_NORMAL;
  #pause: NodeJS.Timeout | null = null;

  constructor(stream: Duplex, { isWebsocket, clock, rate, counters }: SocketPipeOptions) {
    this.#stream = stream;
    this.#isWebsocket = isWebsocket;
    this.#clock = clock;
    this.#counters = counters;
    this.#pace = rate === null ? null : new ReadPace(rate, clock.monotonicMs());
  }

  /** Gives the socket's bytes to the session, `head` first, and tells it of the socket's end. */
  attach(session: RelaySession, head: Buffer): void {
    const stream = this.#stream;
    const receive = this.#isWebsocket
      ? this.#websocketReceiver(session)
      : (chunk: Buffer): void => session.receive(chunk);
    const onData = (chunk: Buffer): void => {
      receive(chunk);
      if (this.#pace !== null) this.#keepPace(this.#pace, chunk.length);
    };
    stream.on('drain', () => session.drained());
    stream.on('end', () => session.end('closed'));
    stream.on('close', () => session.end('closed'));
    stream.on('data', onData);
    if (head.length > 0) onData(head);
    if (this.#pause === null) stream.resume();
  }

  write(frames: Buffer): boolean {
    const stream = this.#stream;
    if (stream.writableEnded || stream.destroyed) return true;
    if (!this.#isWebsocket) return stream.write(frames);
    stream.cork();
    stream.write(websocketHeader(frames.length));
    stream.write(frames);
    stream.uncork();
    return !stream.writableNeedDrain;
  }

  finish(): void {
    const stream = this.#stream;
    this.#stopPause();
    if (stream.destroyed) return;
    if (this.#isWebsocket && !stream.writableEnded) stream.write(websocketClose(this.#closeStatus));
    stream.end();
    const cut = setTimeout(() => stream.destroy(), FINISH_MS).unref();
    stream.once('close', () => clearTimeout(cut));
  }

  destroy(): void {
    this.#stopPause();
    this.#stream.destroy();
  }

  #websocketReceiver(session: RelaySession): (chunk: Buffer) => void {
    const stream = this.#stream;
    const reader = new WebsocketReader({
      onBytes: (bytes) => session.receive(bytes),
      onAnswer: (frame) => {
        if (!stream.writableNeedDrain && !stream.writableEnded) stream.write(frame);
      },
    });
    return (chunk) => {
      if (stream.writableEnded || stream.destroyed) return;
      const pushed = reader.push(chunk);
      if (pushed === 'open') return;
      if (pushed !== 'closed') {
        this.#closeStatus = pushed;
        this.#counters.cutProtocol += 1;
      }
      session.end('closed');
    };
  }

  /** Over its rate, a client is not read from for a while: TCP slows it down. */
  #keepPace(pace: ReadPace, bytes: number): void {
    const waitMs = pace.spend(bytes, this.#clock.monotonicMs());
    if (waitMs === 0 || this.#stream.destroyed || this.#pause !== null) return;
    this.#counters.ratePauses += 1;
    this.#stream.pause();
    this.#pause = setTimeout(() => {
      this.#pause = null;
      this.#stream.resume();
    }, waitMs).unref();
  }

  #stopPause(): void {
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#pause = null;
  }
}
