/** One peer: its configuration, sessions, timers and what waits for it. Data and the rules about its own fields; `device.ts` acts. */
import type { NoiseInitiator, SecretBytes, X25519PublicKey } from '../../crypto/index.ts';
import type { Cidr } from '../../wire/ip.ts';
import { KEEPALIVE_MS, LOST_AFTER_MS, WIPE_AFTER_MS } from './constants.ts';
import { CookieHolder } from './cookies.ts';
import type { Session } from './session.ts';
import type { Endpoint, PeerKey } from './types.ts';
import type { WakePlace } from './wake-heap.ts';

/** Our handshake that waits for an answer. */
export interface Initiation {
  readonly kind: 'initiation';
  readonly owner: Peer;
  readonly localIndex: number;
  readonly noise: NoiseInitiator;
}

export interface PeerIdentity {
  readonly key: PeerKey;
  readonly publicKey: X25519PublicKey;
  /** The agreement of both static keys. */
  readonly staticShared: SecretBytes;
}

/** A peer. Times are monotonic milliseconds; a timer that is off is Infinity. */
export class Peer implements WakePlace {
  readonly key: PeerKey;
  readonly publicKey: X25519PublicKey;
  readonly staticShared: SecretBytes;
  readonly cookies: CookieHolder;
  presharedKey: SecretBytes | null = null;
  allowedIps: readonly Cidr[] = [];
  endpoint: Endpoint | null = null;
  persistentKeepaliveMs = 0;

  /** What is sent under. */
  current: Session<Peer> | null = null;
  /** The one before: packets under it may still be on their way. */
  previous: Session<Peer> | null = null;
  /** Made as responder, and not used before the other side is known to have it. */
  next: Session<Peer> | null = null;
  initiation: Initiation | null = null;

  /** The newest timestamps of initiations, received and sent. */
  timestampReceived: Buffer | null = null;
  timestampSent: Buffer | null = null;
  initiationAcceptedAt = -Infinity;
  initiationSentAt = -Infinity;
  /** Tries of the handshake that had no answer. */
  tries = 0;
  /** Whether this session was already renewed because of its age while receiving. */
  renewedWhileReceiving = false;

  /** Try the handshake again. */
  retryAt = Infinity;
  /** Answer received data by an empty packet. */
  keepaliveAt = Infinity;
  keepaliveAgain = false;
  /** Data was sent and nothing came back: begin anew. */
  lostAt = Infinity;
  /** Forget all keys. */
  wipeAt = Infinity;
  persistentAt = Infinity;
  wakeAt = Infinity;
  heapIndex = -1;

  /** Copies of packets that wait for a session, oldest first. */
  readonly staged: Buffer[] = [];
  lastHandshakeAt: number | null = null;
  lastReceivedAt: number | null = null;
  receivedBytes = 0;
  sentBytes = 0;

  constructor({ key, publicKey, staticShared }: PeerIdentity) {
    this.key = key;
    this.publicKey = publicKey;
    this.staticShared = staticShared;
    this.cookies = new CookieHolder(publicKey.bytes);
  }

  /** The next time at which anything is due. */
  nextDue(): number {
    return Math.min(this.retryAt, this.keepaliveAt, this.lostAt, this.wipeAt, this.persistentAt);
  }

  /** After anything authenticated was sent. */
  noteSent(now: number): void {
    this.keepaliveAt = Infinity;
    this.keepaliveAgain = false;
    if (this.persistentKeepaliveMs > 0) this.persistentAt = now + this.persistentKeepaliveMs;
  }

  /** After anything authenticated was received. */
  noteReceived(now: number): void {
    this.lostAt = Infinity;
    this.lastReceivedAt = now;
    if (this.persistentKeepaliveMs > 0) this.persistentAt = now + this.persistentKeepaliveMs;
  }

  /** After data, not a keepalive, was sent: an answer is due, if only an empty one. */
  noteDataSent(now: number, jitterMs: number): void {
    if (this.lostAt === Infinity) this.lostAt = now + LOST_AFTER_MS + jitterMs;
  }

  /** After data, not a keepalive, was received: we owe an answer, if only an empty one. */
  noteDataReceived(now: number): void {
    if (this.keepaliveAt === Infinity) this.keepaliveAt = now + KEEPALIVE_MS;
    else this.keepaliveAgain = true;
  }

  /** After a handshake made keys. */
  noteKeys(now: number): void {
    this.wipeAt = now + WIPE_AFTER_MS;
  }

  /** After both sides are known to have the keys. */
  noteHandshakeDone(now: number): void {
    this.retryAt = Infinity;
    this.tries = 0;
    this.renewedWhileReceiving = false;
    this.lastHandshakeAt = now;
  }

  /** Puts a session of our own making in use. Gives the sessions that are over. */
  installAsInitiator(session: Session<Peer>): (Session<Peer> | null)[] {
    const { next, current, previous } = this;
    this.next = null;
    this.current = session;
    if (next === null) {
      this.previous = current;
      return [previous];
    }
    /* The other side also made one at the same time and may send under it. */
    this.previous = next;
    return [current, previous];
  }

  /** Keeps a session that the other side began, until it uses it. Gives the sessions that are over. */
  installAsResponder(session: Session<Peer>): (Session<Peer> | null)[] {
    const { next, previous } = this;
    this.next = session;
    this.previous = null;
    return [next, previous];
  }

  /** The other side used the session that waited: it is the current one now. Gives the session that is over. */
  promoteNext(): Session<Peer> | null {
    const { next, current, previous } = this;
    this.next = null;
    this.current = next;
    this.previous = current;
    return previous;
  }
}
