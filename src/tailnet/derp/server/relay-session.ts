/**
 * One connection to the relay: the login, then frames both ways. It knows no socket and no timer; the
 * hub looks at it every few seconds.
 *
 *   relay -> client   server key
 *   client -> relay   client info: its key, and a box that only that key's owner can seal
 *   relay -> client   server info: the version, and the rate that is held against it
 *
 * The relay's key is fresh for every connection. DERP has no challenge, so that with a lasting key a
 * recorded login would let anyone in who plays it back; clients take whatever key they are greeted
 * with, as TLS has told them whom they reached.
 */
import { assert } from '../../../base/errors.ts';
import type { Random } from '../../../base/random.ts';
import { NaclBox, X25519PrivateKey, X25519PublicKey } from '../../../crypto/index.ts';
import {
  DERP_FRAME,
  DERP_HEADER_BYTES,
  DERP_KEY_BYTES,
  DERP_NONCE_BYTES,
  DERP_PACKET_MAX_BYTES,
  DERP_PING_BYTES,
  DERP_PROTOCOL_VERSION,
  encodeDerpFrame,
  encodeDerpServerKey,
} from '../../../wire/derp.ts';
import {
  DERP_MESH_FRAMES,
  encodeDerpPeerGone,
  parseDerpClientInfo,
  parseDerpNotePreferred,
  parseDerpPing,
  turnDerpSendIntoReceive,
} from '../../../wire/derp-relay.ts';
import { looksLikeDisco } from '../../../wire/disco.ts';
import { asObject } from '../../protocol/wire-fields.ts';
import { FrameReader } from './frame-reader.ts';
import type { RelayPipe } from './ports.ts';
import type { RelayCounters } from './relay-counters.ts';
import type { RelayKey } from './relay-key.ts';
import type { RelayLimits, RelayRate } from './relay-limits.ts';
import type { SendQueue } from './send-queue.ts';

/** The info of a client that nobody knows yet. */
const LOGIN_BODY_MAX_BYTES = 16 * 1024;
const BODY_MAX_BYTES = DERP_KEY_BYTES + DERP_PACKET_MAX_BYTES;
/** A client takes a relay for dead after 120 s of silence. */
const KEEP_ALIVE_MS = 60_000;
/** Spread over clients, so that those of one moment do not stay together. */
const KEEP_ALIVE_JITTER_MS = 5_000;
/** A client that answers pings has had at least one by then. */
const SILENCE_MAX_MS = 150_000;
/** "The peer is not here", in the time between two looks. */
const NOT_HERE_PER_SWEEP = 5;

/** Why a connection ends: the counter that tells of it. `closed`: the client has gone, or the relay goes. */
export type SessionEnd =
  | 'closed'
  | 'failedLogins'
  | 'refusedStrangers'
  | 'refusedFull'
  | 'cutRevoked'
  | 'cutProtocol'
  | 'cutSilent'
  | 'cutReplaced';

/** What a session asks of the hub. */
export interface SessionHost {
  readonly random: Random;
  readonly limits: RelayLimits;
  readonly rate: RelayRate | null;
  readonly counters: RelayCounters;
  /** Takes a client that has proved its key; what it may send through, or why not. */
  enter(session: RelaySession, key: Buffer): Entered | 'refusedStrangers' | 'refusedFull';
  /** The connection that packets for the key at `keyAt` go to, or null if the sender has no such peer here. */
  route(from: RelayKey, bytes: Buffer, keyAt: number): RelaySession | null;
  /** The session sent packets, which makes it the one that its key receives on. */
  noteSender(session: RelaySession): void;
  leave(session: RelaySession, why: SessionEnd): void;
}

export interface Entered {
  readonly key: RelayKey;
  readonly queue: SendQueue;
}

export class RelaySession {
  /** What limits for strangers count by. */
  readonly source: string;
  readonly #host: SessionHost;
  readonly #pipe: RelayPipe;
  readonly #reader = new FrameReader(LOGIN_BODY_MAX_BYTES);
  readonly #startedAt: number;
  #ownKey: X25519PrivateKey | null;
  #entered: Entered | null = null;
  #isEnded = false;
  #isHome = false;
  #answersPings = false;
  #isBlocked = false;
  #blockedAt = 0;
  #wasHeard = false;
  #heardAt: number;
  #keepAliveAt: number;
  #notHereLeft = NOT_HERE_PER_SWEEP;
  #pong: Buffer | null = null;
  /** Packets in a row for one client, which are sent in one piece. */
  #runTo: RelaySession | null = null;
  #runBytes: Buffer = Buffer.alloc(0);
  #runStart = 0;
  #runEnd = 0;
  #runFrames = 0;

  /** Greets. `nowMs` is monotonic, as everywhere here. */
  constructor(host: SessionHost, pipe: RelayPipe, { source, nowMs }: { source: string; nowMs: number }) {
    this.#host = host;
    this.#pipe = pipe;
    this.source = source;
    this.#startedAt = nowMs;
    this.#heardAt = nowMs;
    const jitter = ((host.random.bytes(1)[0] ?? 0) / 256) * KEEP_ALIVE_JITTER_MS;
    this.#keepAliveAt = nowMs + KEEP_ALIVE_MS + jitter;
    this.#ownKey = X25519PrivateKey.generate(host.random);
    this.#write(encodeDerpServerKey(this.#ownKey.publicKey.bytes));
  }

  /** Null until it has logged in. */
  get key(): RelayKey | null {
    return this.#entered?.key ?? null;
  }

  get isHome(): boolean {
    return this.#isHome;
  }

  /** Bytes from the client. They are the session's from now on, which alters them. */
  receive(chunk: Buffer): void {
    if (this.#isEnded) return;
    this.#wasHeard = true;
    const isSound = this.#reader.push(chunk, this.#onFrame);
    this.#flushRun();
    if (!isSound) this.end(this.#entered === null ? 'failedLogins' : 'cutProtocol');
    else if (this.#pong !== null) this.#answerPing(this.#pong);
  }

  /** The pipe takes bytes again. */
  drained(): void {
    if (this.#isEnded) return;
    this.#isBlocked = false;
    this.#blockedAt = 0;
    while (!this.#isBlocked) {
      const frames = this.#entered?.queue.shift() ?? null;
      if (frames === null) return;
      this.#write(frames);
    }
  }

  /** Ends it. The first reason is the one that counts. */
  end(why: SessionEnd): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#ownKey?.wipe();
    this.#ownKey = null;
    this.#entered?.queue.clear();
    if (why === 'closed') this.#pipe.finish();
    else this.#pipe.destroy();
    this.#host.leave(this, why);
  }

  /** Whole frames to this client; the oldest are dropped if it reads too slowly. The memory is kept. */
  send(frames: Buffer): void {
    if (this.#isEnded) return;
    if (!this.#isBlocked) this.#write(withoutSlack(frames));
    else if (this.#entered !== null) {
      this.#host.counters.droppedQueueFull += this.#entered.queue.push(withoutSlack(frames));
    }
  }

  /** Limits of time, and keep-alives. To be called every `RELAY_SWEEP_MS`. */
  sweep(nowMs: number): void {
    const { limits } = this.#host;
    if (this.#entered === null) {
      if (nowMs - this.#startedAt >= limits.loginMs) this.end('failedLogins');
      return;
    }
    if (this.#wasHeard) this.#heardAt = nowMs;
    this.#wasHeard = false;
    this.#notHereLeft = NOT_HERE_PER_SWEEP;
    const silentMs = nowMs - this.#heardAt;
    if (this.#isBlocked && this.#blockedAt === 0) this.#blockedAt = nowMs;
    const isStalled = this.#isBlocked && nowMs - this.#blockedAt >= limits.writeStallMs;
    if (isStalled || (this.#answersPings && silentMs >= SILENCE_MAX_MS)) this.end('cutSilent');
    else if (nowMs >= this.#keepAliveAt && !this.#isBlocked) {
      this.#keepAliveAt = nowMs + KEEP_ALIVE_MS;
      this.#write(encodeDerpFrame(DERP_FRAME.keepAlive));
      if (this.#answersPings && silentMs > 0) {
        this.#write(encodeDerpFrame(DERP_FRAME.ping, this.#host.random.bytes(DERP_PING_BYTES)));
      }
    }
  }

  #write(frames: Buffer): void {
    if (!this.#pipe.write(frames)) this.#isBlocked = true;
  }

  readonly #onFrame = (bytes: Buffer, start: number, end: number): boolean => {
    const type = bytes[start] ?? 0;
    const entered = this.#entered;
    if (entered === null) return this.#logIn(type, bytes.subarray(start + DERP_HEADER_BYTES, end));
    if (type !== DERP_FRAME.sendPacket)
      return this.#obey(type, bytes.subarray(start + DERP_HEADER_BYTES, end));
    if (end - start < DERP_HEADER_BYTES + DERP_KEY_BYTES) return false;
    this.#relay(entered.key, bytes, start, end);
    return !this.#isEnded;
  };

  #relay(from: RelayKey, bytes: Buffer, start: number, end: number): void {
    if (from.sessions.length > 1) this.#host.noteSender(this);
    const keyAt = start + DERP_HEADER_BYTES;
    const to = this.#host.route(from, bytes, keyAt);
    if (to === null) {
      this.#sayNotHere(
        bytes.subarray(keyAt, keyAt + DERP_KEY_BYTES),
        bytes.subarray(keyAt + DERP_KEY_BYTES, end),
      );
      return;
    }
    turnDerpSendIntoReceive(bytes, start, from.bytes);
    if (to === this.#runTo && start === this.#runEnd && bytes === this.#runBytes) {
      this.#runEnd = end;
      this.#runFrames += 1;
      return;
    }
    this.#flushRun();
    this.#runTo = to;
    this.#runBytes = bytes;
    this.#runStart = start;
    this.#runEnd = end;
    this.#runFrames = 1;
  }

  #flushRun(): void {
    const to = this.#runTo;
    if (to === null) return;
    this.#runTo = null;
    const frames = this.#runBytes.subarray(this.#runStart, this.#runEnd);
    const { counters } = this.#host;
    counters.packets += this.#runFrames;
    counters.bytes += frames.length;
    if (this.#entered !== null) to.key?.noteHeard(this.#entered.key);
    to.send(frames);
  }

  /** Only to who looks for a way to the peer: that is when it helps, and packets in flight are many. */
  #sayNotHere(peer: Buffer, packet: Buffer): void {
    if (this.#notHereLeft === 0 || !looksLikeDisco(packet)) return;
    this.#notHereLeft -= 1;
    this.send(encodeDerpPeerGone(peer, 'not_here'));
  }

  #obey(type: number, body: Buffer): boolean {
    switch (type) {
      case DERP_FRAME.notePreferred: {
        const isHome = parseDerpNotePreferred(body);
        if (isHome !== null) this.#isHome = isHome;
        return isHome !== null;
      }
      case DERP_FRAME.ping:
        this.#pong = parseDerpPing(body);
        return this.#pong !== null;
      default:
        return !DERP_MESH_FRAMES.has(type);
    }
  }

  /** One pong for all pings of a chunk: who pings faster than that measures nothing. */
  #answerPing(data: Buffer): void {
    this.#pong = null;
    if (!this.#isBlocked) this.#write(encodeDerpFrame(DERP_FRAME.pong, data));
  }

  #logIn(type: number, body: Buffer): boolean {
    const ownKey = this.#ownKey;
    assert(ownKey !== null, 'a session that has not logged in has its key');
    const info = type === DERP_FRAME.clientInfo ? parseDerpClientInfo(body) : null;
    const box = info === null ? null : NaclBox.between(ownKey, X25519PublicKey.fromBytes(info.key));
    const plain = info === null ? null : (box?.open(info.nonce, info.box) ?? null);
    const fields = plain === null ? null : parseObject(plain);
    if (info === null || box === null || fields === null) return false;
    const entered = this.#host.enter(this, info.key);
    if (typeof entered === 'string') {
      this.end(entered);
      return false;
    }
    this.#entered = entered;
    this.#answersPings = fields['CanAckPings'] === true;
    this.#reader.bodyMaxBytes = BODY_MAX_BYTES;
    ownKey.wipe();
    this.#ownKey = null;
    const nonce = this.#host.random.bytes(DERP_NONCE_BYTES);
    this.#write(encodeDerpFrame(DERP_FRAME.serverInfo, nonce, box.seal(nonce, serverInfo(this.#host.rate))));
    return true;
  }
}

function serverInfo(rate: RelayRate | null): Buffer {
  const limits =
    rate === null
      ? {}
      : {
          TokenBucketBytesPerSecond: Math.floor(rate.bytesPerSecond),
          TokenBucketBytesBurst: Math.floor(rate.burstBytes),
        };
  return Buffer.from(JSON.stringify({ version: DERP_PROTOCOL_VERSION, ...limits }));
}

function parseObject(plain: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    return asObject(JSON.parse(plain.toString('utf8')));
  } catch {
    return null;
  }
}

/** A view that holds on to much more memory than it shows is copied before it waits. */
function withoutSlack(frames: Buffer): Buffer {
  return frames.length * 2 >= frames.buffer.byteLength ? frames : Buffer.from(frames);
}
