/**
 * Handshakes of a device in both roles (white paper, sections 5.4.2 to 5.4.7 and 6.4 to 6.6).
 *
 * Our own handshake goes on while we answer the other side's, so two that cross give two sessions,
 * each of which both sides can open; nothing has to be tried again.
 */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { createNoiseProtocol, NoiseInitiator, NoiseResponder } from '../../crypto/index.ts';
import type { NoiseProtocol, X25519PrivateKey } from '../../crypto/index.ts';
import {
  buildInitiation,
  buildResponse,
  readCookieReply,
  readInitiation,
  readResponse,
} from '../../wire/wireguard.ts';
import {
  INITIATION_SPACING_MS,
  REKEY_JITTER_MAX_MS,
  REKEY_TIMEOUT_MS,
  WIREGUARD_PROLOGUE,
} from './constants.ts';
import { CookieIssuer } from './cookies.ts';
import type { WireguardCounters } from './counters.ts';
import { COOKIE_REPLIES_PER_SEC, HandshakeLoad, SecondLimit, SourceLimit } from './handshake-load.ts';
import type { IndexTable } from './index-table.ts';
import type { Peer } from './peer.ts';
import { Session } from './session.ts';
import type { SessionLimits } from './session.ts';
import { isLater, nextTai64n, TAI64N_BYTES } from './tai64n.ts';
import type { Endpoint, PeerKey } from './types.ts';

const EMPTY = Buffer.alloc(0);

/** What handshakes need of their device. */
export interface HandshakeHost {
  readonly counters: WireguardCounters;
  readonly indices: IndexTable;
  find(key: PeerKey): Peer | null;
  /** Sends to where the peer is, counts bytes. */
  transmit(peer: Peer, datagram: Buffer): void;
  /** Sends to a stranger, who is no peer yet as far as we know. */
  answerStranger(to: Endpoint, datagram: Buffer): void;
  /** An authenticated message of the peer came from there. */
  moveEndpoint(peer: Peer, from: Endpoint): void;
  /** Ends a session. */
  retire(session: Session<Peer> | null): void;
  /** The timers of a peer changed. */
  reschedule(peer: Peer): void;
  /** Keys that both sides are known to have are in use. */
  ready(peer: Peer, now: number): void;
  announce(peer: Peer, role: 'initiator' | 'responder'): void;
}

export interface HandshakesOptions {
  readonly privateKey: X25519PrivateKey;
  readonly random: Random;
  /** For timestamps; may jump. */
  readonly wallClock: Pick<Clock, 'now'>;
  readonly limits: SessionLimits;
  /** See `UNDER_LOAD_PER_SEC`. */
  readonly underLoadPerSec: number;
}

/** A number of milliseconds from 0 to 333. */
export function drawJitterMs(random: Random): number {
  const [high = 0, low = 0] = random.bytes(2);
  return ((high * 256 + low) * REKEY_JITTER_MAX_MS) / 65_535;
}

/** All handshakes of one device. */
export class Handshakes {
  readonly #host: HandshakeHost;
  readonly #options: HandshakesOptions;
  readonly #protocol: NoiseProtocol;
  readonly #issuer: CookieIssuer;
  readonly #load: HandshakeLoad;
  readonly #sources = new SourceLimit();
  readonly #cookieReplies = new SecondLimit(COOKIE_REPLIES_PER_SEC);

  constructor(host: HandshakeHost, options: HandshakesOptions) {
    this.#host = host;
    this.#options = options;
    this.#protocol = createNoiseProtocol('IKpsk2', Buffer.from(WIREGUARD_PROLOGUE));
    this.#issuer = new CookieIssuer(options.privateKey.publicKey.bytes, options.random);
    this.#load = new HandshakeLoad(options.underLoadPerSec);
  }

  /** Sends an initiation; if one went out within the last 5 s, after these. `isRetry` goes on counting tries. */
  begin(peer: Peer, now: number, isRetry: boolean): void {
    if (!isRetry) peer.tries = 0;
    if (now - peer.initiationSentAt < REKEY_TIMEOUT_MS) {
      if (peer.initiation === null) this.#beginLater(peer);
      return;
    }
    this.abandon(peer);
    const { privateKey, random, wallClock } = this.#options;
    const noise = new NoiseInitiator({ protocol: this.#protocol, localStatic: privateKey, peer, random });
    const timestamp = nextTai64n(wallClock.now(), peer.timestampSent);
    const message = noise.writeMessage(timestamp);
    /* Only a key of low order gives null, and no such peer is let in. */
    if (message === null) return;
    peer.timestampSent = timestamp;
    peer.initiationSentAt = now;
    peer.retryAt = now + REKEY_TIMEOUT_MS + drawJitterMs(random);
    peer.initiation = { kind: 'initiation', owner: peer, localIndex: this.#host.indices.free(), noise };
    this.#host.indices.set(peer.initiation);
    const datagram = buildInitiation(peer.initiation.localIndex, message);
    peer.cookies.sign(datagram, now);
    peer.noteSent(now);
    this.#host.counters.initiationsSent += 1;
    this.#host.reschedule(peer);
    this.#host.transmit(peer, datagram);
  }

  /** No handshake runs, and it is too early for the next: what waits must not wait for another packet. */
  #beginLater(peer: Peer): void {
    peer.retryAt = Math.min(peer.retryAt, peer.initiationSentAt + REKEY_TIMEOUT_MS);
    this.#host.reschedule(peer);
  }

  /** Forgets our handshake with a peer, if one runs. */
  abandon(peer: Peer): void {
    if (peer.initiation === null) return;
    this.#host.indices.delete(peer.initiation);
    peer.initiation.noise.wipe();
    peer.initiation = null;
  }

  /** Takes an initiation; answers it if all is right. */
  takeInitiation(datagram: Buffer, from: Endpoint, now: number): void {
    const { counters } = this.#host;
    const { sender, noise } = readInitiation(datagram);
    if (!this.#admits(datagram, { from, sender, now })) return;
    const { privateKey, random } = this.#options;
    const responder = new NoiseResponder({ protocol: this.#protocol, localStatic: privateKey, random });
    const opened = responder.readMessage(noise, (publicKey) => this.#host.find(publicKey.toString('hex')));
    if (opened === null) {
      counters.dropped.unknown_peer += 1;
      return;
    }
    const { peer, payload } = opened;
    const isNew =
      payload.byteLength === TAI64N_BYTES &&
      (peer.timestampReceived === null || isLater(payload, peer.timestampReceived)) &&
      now - peer.initiationAcceptedAt >= INITIATION_SPACING_MS;
    if (!isNew) {
      counters.dropped.old_initiation += 1;
      return;
    }
    const message = responder.writeMessage(EMPTY);
    if (message === null) {
      counters.dropped.unknown_peer += 1;
      return;
    }
    counters.initiationsReceived += 1;
    peer.timestampReceived = payload;
    peer.initiationAcceptedAt = now;
    peer.receivedBytes += datagram.byteLength;
    this.#answer({ peer, responder, message, remoteIndex: sender, from, now });
  }

  #answer(made: {
    readonly peer: Peer;
    readonly responder: NoiseResponder;
    readonly message: Buffer;
    readonly remoteIndex: number;
    readonly from: Endpoint;
    readonly now: number;
  }): void {
    const { peer, responder, message, remoteIndex, from, now } = made;
    const session = this.#session(peer, {
      keys: responder.split(),
      localIndex: this.#host.indices.free(),
      remoteIndex,
      isInitiator: false,
      createdAt: now,
    });
    for (const over of peer.installAsResponder(session)) this.#host.retire(over);
    this.#host.moveEndpoint(peer, from);
    peer.noteReceived(now);
    peer.noteKeys(now);
    const datagram = buildResponse(session.localIndex, remoteIndex, message);
    peer.cookies.sign(datagram, now);
    peer.noteSent(now);
    this.#host.counters.responsesSent += 1;
    this.#host.reschedule(peer);
    this.#host.transmit(peer, datagram);
  }

  /** Takes a response to our initiation. */
  takeResponse(datagram: Buffer, from: Endpoint, now: number): void {
    const { counters, indices } = this.#host;
    const { sender, receiver, noise } = readResponse(datagram);
    if (!this.#admits(datagram, { from, sender, now })) return;
    const initiation = indices.get(receiver);
    if (initiation?.kind !== 'initiation' || initiation.noise.readMessage(noise) === null) {
      counters.dropped.bad_response += 1;
      return;
    }
    counters.responsesReceived += 1;
    const peer = initiation.owner;
    const session = this.#session(peer, {
      keys: initiation.noise.split(),
      localIndex: receiver,
      remoteIndex: sender,
      isInitiator: true,
      createdAt: now,
    });
    peer.initiation = null;
    for (const over of peer.installAsInitiator(session)) this.#host.retire(over);
    peer.receivedBytes += datagram.byteLength;
    this.#host.moveEndpoint(peer, from);
    peer.noteReceived(now);
    peer.noteKeys(now);
    peer.noteHandshakeDone(now);
    this.#host.reschedule(peer);
    this.#host.announce(peer, 'initiator');
    this.#host.ready(peer, now);
  }

  /** Takes a cookie for the next handshake message to a peer. */
  takeCookieReply(datagram: Buffer, now: number): void {
    const { counters, indices } = this.#host;
    const reply = readCookieReply(datagram);
    const owner = indices.get(reply.receiver)?.owner;
    if (owner?.cookies.accept(reply, now) === true) counters.cookieRepliesReceived += 1;
    else counters.dropped.bad_cookie += 1;
  }

  /** Whether a handshake message is worth the key agreements. */
  #admits(
    datagram: Buffer,
    { from, sender, now }: { readonly from: Endpoint; readonly sender: number; readonly now: number },
  ): boolean {
    const { counters } = this.#host;
    if (!this.#issuer.checkMac1(datagram)) {
      counters.dropped.mac1 += 1;
      return false;
    }
    if (!this.#load.note(now)) return true;
    if (!this.#issuer.checkMac2(datagram, from.key, now)) {
      counters.dropped.no_cookie += 1;
      if (!this.#cookieReplies.take(now)) return false;
      counters.cookieRepliesSent += 1;
      this.#host.answerStranger(
        from,
        this.#issuer.reply(datagram, { sender: from.key, receiver: sender }, now),
      );
      return false;
    }
    if (this.#sources.take(from.source ?? from.key, now)) return true;
    counters.dropped.source_rate += 1;
    return false;
  }

  #session(
    owner: Peer,
    made: Omit<ConstructorParameters<typeof Session<Peer>>[0], 'owner' | 'limits'>,
  ): Session<Peer> {
    const session = new Session<Peer>({ ...made, owner, limits: this.#options.limits });
    this.#host.indices.set(session);
    return session;
  }
}
