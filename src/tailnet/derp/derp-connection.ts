/**
 * One connection to a relay: upgrade, login, frames. Packets are datagrams: what cannot be sent at
 * once is dropped and counted, never waited for.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { NaclBox, type X25519PrivateKey, X25519PublicKey } from '../../crypto/index.ts';
import {
  DERP_FRAME,
  DERP_HEADER_BYTES,
  DERP_NONCE_BYTES,
  DERP_PACKET_MAX_BYTES,
  DERP_PROTOCOL_VERSION,
  derpBodyBytes,
  type DerpGoneReason,
  encodeDerpFrame,
  encodeDerpNotePreferred,
  parseDerpServerFrame,
} from '../../wire/derp.ts';
import { controlError } from '../protocol/errors.ts';
import { FrameSplitter } from '../protocol/frame-splitter.ts';
import { upgrade } from '../protocol/http-upgrade.ts';
import type { StreamDialer, StreamTarget } from '../protocol/ports.ts';
import { asCount, asObject } from '../protocol/wire-fields.ts';
import { TokenBucket } from './token-bucket.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** A relay speaks every minute; twice that is the protocol's own measure. */
const SILENCE_MAX_MS = 120_000;
/** Bytes that wait for the relay to take them, beyond which packets are dropped. */
const SEND_QUEUE_MAX_BYTES = 512 * 1024;
/** What a server's info may be. */
const INFO_MAX_BYTES = 65_536;

/** What became of a packet; everything but `sent` is a counter. */
export type DerpSent = 'sent' | 'queue_full' | 'rate_limited' | 'too_large' | 'closed';

export interface DerpHandlers {
  /** A packet that `source` (32 bytes) sent through this relay. Both share memory: copy what stays. */
  onPacket(source: Buffer, packet: Buffer): void;
  onPeerGone(peer: Buffer, reason: DerpGoneReason): void;
  /** A text for people; empty when all is well again. */
  onHealth(problem: string): void;
  /** The relay restarts: reconnect after this many ms. */
  onRestarting(reconnectInMs: number): void;
}

export interface DerpConnectOptions extends DerpHandlers {
  readonly dialer: StreamDialer;
  readonly target: StreamTarget;
  /** The WireGuard key, under whose public half others send to us. */
  readonly nodeKey: X25519PrivateKey;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

const DERP_SHAPE = { headerBytes: DERP_HEADER_BYTES, bodyBytes: derpBodyBytes };

export class DerpConnection {
  readonly #options: DerpConnectOptions;
  readonly #stream: Duplex;
  readonly #splitter = new FrameSplitter(DERP_SHAPE);
  readonly #ended = Promise.withResolvers<Error | null>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #watchdog: ReturnType<typeof setTimeout>;
  #box: NaclBox | null = null;
  #rate: TokenBucket | null = null;
  #isOpen = true;

  private constructor(options: DerpConnectOptions, stream: Duplex) {
    this.#options = options;
    this.#stream = stream;
    this.#watchdog = setTimeout(
      () =>
        this.#end(controlError('control_timed_out', `the relay was silent for ${SILENCE_MAX_MS / 1000} s`)),
      SILENCE_MAX_MS,
    ).unref();
    /* Whoever does not wait for it is told by `ended`. */
    this.#ready.promise.catch(() => undefined);
  }

  /**
   * Connects and logs in; resolves when the relay takes packets.
   * @throws AppError<ControlErrorCode>
   */
  static async connect(options: DerpConnectOptions): Promise<DerpConnection> {
    const { stream, head } = await upgrade({
      ...options,
      method: 'GET',
      path: '/derp',
      upgrade: 'DERP',
      timeoutMs: CONNECT_TIMEOUT_MS,
    });
    const connection = new DerpConnection(options, stream);
    connection.#begin(head);
    await connection.#ready.promise;
    return connection;
  }

  #begin(head: Buffer): void {
    const stream = this.#stream;
    const { signal } = this.#options;
    const onAbort = (): void => this.close();
    signal.addEventListener('abort', onAbort, { once: true });
    const loginTimer = setTimeout(
      () => this.#end(controlError('control_timed_out', 'the relay did not finish the login in time')),
      CONNECT_TIMEOUT_MS,
    ).unref();
    void this.#ended.promise.then(() => signal.removeEventListener('abort', onAbort));
    const settled = (): void => clearTimeout(loginTimer);
    this.#ready.promise.then(settled, settled);
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('error', (cause) =>
      this.#end(controlError('control_unreachable', 'the connection to the relay broke', { cause })),
    );
    stream.on('close', () =>
      this.#end(controlError('control_unreachable', 'the relay ended the connection')),
    );
    if (head.length > 0) this.#receive(head);
    stream.resume();
  }

  /** Sends to the peer with this public key (32 bytes). */
  send(destination: Uint8Array, packet: Uint8Array): DerpSent {
    if (!this.#isOpen) return 'closed';
    if (packet.length > DERP_PACKET_MAX_BYTES) return 'too_large';
    if (this.#stream.writableLength > SEND_QUEUE_MAX_BYTES) return 'queue_full';
    const frameBytes = DERP_HEADER_BYTES + destination.length + packet.length;
    if (this.#rate !== null && !this.#rate.take(frameBytes, this.#options.clock.monotonicMs()))
      return 'rate_limited';
    this.#stream.write(encodeDerpFrame(DERP_FRAME.sendPacket, destination, packet));
    return 'sent';
  }

  /** Tells the relay whether it is our home. */
  notePreferred(isHome: boolean): void {
    if (this.#isOpen) this.#stream.write(encodeDerpNotePreferred(isHome));
  }

  /** Resolves when the connection is over: null if we closed it, else why. */
  get ended(): Promise<Error | null> {
    return this.#ended.promise;
  }

  close(): void {
    this.#end(null);
  }

  #end(why: Error | null): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#watchdog);
    this.#stream.destroy();
    this.#ready.reject(why ?? controlError('control_closed', 'the connection to the relay was ended'));
    this.#ended.resolve(why);
  }

  #receive(chunk: Buffer): void {
    if (!this.#isOpen) return;
    this.#watchdog.refresh();
    const isWhole = this.#splitter.push(chunk, (header, body) => {
      this.#handle(header[0] ?? 0, body);
      return this.#isOpen;
    });
    if (!isWhole) this.#end(controlError('control_protocol', 'the relay sent a frame that is too large'));
  }

  #handle(type: number, body: Buffer): void {
    if (this.#box === null) {
      this.#logIn(type, body);
      return;
    }
    const frame = parseDerpServerFrame(type, body);
    switch (frame?.type) {
      case 'packet':
        this.#options.onPacket(frame.source, frame.packet);
        return;
      case 'server_info':
        this.#readInfo(frame.nonce, frame.box);
        return;
      case 'peer_gone':
        this.#options.onPeerGone(frame.peer, frame.reason);
        return;
      case 'ping':
        if (this.#stream.writableLength <= SEND_QUEUE_MAX_BYTES) {
          this.#stream.write(encodeDerpFrame(DERP_FRAME.pong, frame.data));
        }
        return;
      case 'health':
        this.#options.onHealth(frame.problem);
        return;
      case 'restarting':
        this.#options.onRestarting(frame.reconnectInMs);
        return;
      case 'server_key':
      case 'keep_alive':
      case 'peer_present':
      case 'pong':
      case undefined:
    }
  }

  /** The greeting is the first frame; our info answers it. */
  #logIn(type: number, body: Buffer): void {
    const { nodeKey, random } = this.#options;
    const frame = parseDerpServerFrame(type, body);
    const box =
      frame?.type === 'server_key' ? NaclBox.between(nodeKey, X25519PublicKey.fromBytes(frame.key)) : null;
    if (box === null) {
      this.#end(controlError('control_protocol', 'what was reached is no relay: it did not greet as one'));
      return;
    }
    this.#box = box;
    const info = Buffer.from(JSON.stringify({ version: DERP_PROTOCOL_VERSION, CanAckPings: true }));
    const nonce = random.bytes(DERP_NONCE_BYTES);
    this.#stream.write(
      encodeDerpFrame(DERP_FRAME.clientInfo, nodeKey.publicKey.bytes, nonce, box.seal(nonce, info)),
    );
  }

  /** Its rate limit, if it states one. The first one is the sign that the relay has let us in. */
  #readInfo(nonce: Buffer, sealed: Buffer): void {
    const plain = sealed.length > INFO_MAX_BYTES ? null : (this.#box?.open(nonce, sealed) ?? null);
    const fields = plain === null ? null : parseObject(plain);
    if (fields === null) {
      this.#end(controlError('control_protocol', 'the relay does not have the key that it greeted with'));
      return;
    }
    const bytesPerSecond = asCount(fields['TokenBucketBytesPerSecond']) ?? 0;
    const burstBytes = asCount(fields['TokenBucketBytesBurst']) ?? 0;
    const now = this.#options.clock.monotonicMs();
    this.#rate = bytesPerSecond === 0 ? null : new TokenBucket({ bytesPerSecond, burstBytes, nowMs: now });
    this.#ready.resolve();
  }
}

function parseObject(plain: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    return asObject(JSON.parse(plain.toString('utf8')));
  } catch {
    return null;
  }
}
