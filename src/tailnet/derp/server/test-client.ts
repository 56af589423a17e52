/** For tests: clients of a relay hub on a virtual clock, without sockets. */
import { systemRandom } from '../../../base/random.ts';
import { NaclBox, X25519PrivateKey, X25519PublicKey } from '../../../crypto/index.ts';
import {
  DERP_FRAME,
  type DerpServerFrame,
  encodeDerpFrame,
  parseDerpServerFrame,
} from '../../../wire/derp.ts';
import { FrameReader } from './frame-reader.ts';
import type { RelayPipe } from './ports.ts';
import type { RelayHub } from './relay-hub.ts';
import type { RelaySession } from './relay-session.ts';

const UNTOLD: ReadonlySet<string> = new Set(['server_key', 'server_info', 'peer_present']);

export class VirtualClock {
  ms = 1_000_000;

  now(): number {
    return this.ms;
  }

  monotonicMs(): number {
    return this.ms;
  }
}

export interface TestClientOptions {
  readonly key?: X25519PrivateKey;
  readonly source?: string;
  /** What its info says beside the version. Default: that it answers pings. */
  readonly info?: object;
}

/** A client that keeps what it is told, as text: `packet 12ab hello`, `peer_gone 12ab not_here`, … */
export class TestClient implements RelayPipe {
  readonly key: X25519PrivateKey;
  readonly session: RelaySession | null;
  readonly frames: DerpServerFrame[] = [];
  /** Bytes that it takes before it is full; refilled by `read`. */
  roomBytes = Infinity;
  ended: 'finish' | 'destroy' | null = null;
  readonly #reader = new FrameReader(1 << 20);
  readonly #info: object;
  #serverKey: X25519PublicKey | null = null;

  constructor(
    hub: RelayHub,
    { key, source = '192.0.2.1', info = { CanAckPings: true } }: TestClientOptions = {},
  ) {
    this.key = key ?? X25519PrivateKey.generate(systemRandom);
    this.#info = info;
    this.session = hub.accept(this, source);
  }

  get hex(): string {
    return this.key.publicKey.bytes.toString('hex');
  }

  get isOpen(): boolean {
    return this.session !== null && this.ended === null;
  }

  write(frames: Buffer): boolean {
    this.#reader.push(Buffer.from(frames), (bytes, start, end) => {
      const frame = parseDerpServerFrame(bytes[start] ?? 0, Buffer.from(bytes.subarray(start + 5, end)));
      if (frame !== null) this.frames.push(frame);
      if (frame?.type === 'server_key') this.#serverKey = X25519PublicKey.fromBytes(frame.key);
      return true;
    });
    this.roomBytes -= frames.length;
    return this.roomBytes > 0;
  }

  finish(): void {
    this.ended = 'finish';
  }

  destroy(): void {
    this.ended = 'destroy';
  }

  /** Takes `bytes` more from the relay. */
  read(bytes: number): void {
    this.roomBytes = Math.max(this.roomBytes, 0) + bytes;
    this.session?.drained();
  }

  loginFrame(): Buffer {
    const { publicKey } = this.key;
    const nonce = systemRandom.bytes(24);
    const box = this.#serverKey === null ? null : NaclBox.between(this.key, this.#serverKey);
    const sealed = box?.seal(nonce, Buffer.from(JSON.stringify({ version: 2, ...this.#info })));
    return encodeDerpFrame(DERP_FRAME.clientInfo, publicKey.bytes, nonce, sealed ?? Buffer.alloc(0));
  }

  logIn(): this {
    this.say(this.loginFrame());
    return this;
  }

  /** The opened info that the relay answered the login with, or null. */
  serverInfo(): unknown {
    const frame = this.frames.find(({ type }) => type === 'server_info');
    if (frame?.type !== 'server_info' || this.#serverKey === null) return null;
    const plain = NaclBox.between(this.key, this.#serverKey)?.open(frame.nonce, frame.box);
    return plain === null || plain === undefined ? null : JSON.parse(plain.toString());
  }

  /** Raw bytes; copied, as the relay alters them. */
  say(bytes: Uint8Array): void {
    this.session?.receive(Buffer.from(bytes));
  }

  send(to: TestClient | Buffer, packet: string | Uint8Array): void {
    this.say(sendFrame(to, packet));
  }

  /** What it was told since it was last asked, without greeting and info. */
  told(): string[] {
    return this.frames.splice(0).flatMap((frame) => {
      if (frame.type === 'packet') return [`packet ${shortOf(frame.source)} ${frame.packet.toString()}`];
      if (frame.type === 'peer_gone') return [`gone ${shortOf(frame.peer)} ${frame.reason}`];
      if (frame.type === 'health') return [`health ${frame.problem.slice(0, 14)}`];
      if (frame.type === 'restarting') return [`restarting ${frame.reconnectInMs}`];
      return UNTOLD.has(frame.type) ? [] : [frame.type];
    });
  }

  /** As it stands in `told`. */
  get short(): string {
    return shortOf(this.key.publicKey.bytes);
  }
}

function shortOf(key: Buffer): string {
  return key.toString('hex', 0, 4);
}

export function sendFrame(to: TestClient | Buffer, packet: string | Uint8Array): Buffer {
  const key = Buffer.isBuffer(to) ? to : to.key.publicKey.bytes;
  return encodeDerpFrame(DERP_FRAME.sendPacket, key, Buffer.from(packet));
}

/** A datagram that begins as disco does. */
export function discoPacket(): Buffer {
  return Buffer.concat([Buffer.from('TS\u{1F4AC}', 'utf8'), Buffer.alloc(80)]);
}
