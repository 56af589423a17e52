/** The keys of one finished handshake (white paper, section 5.4.5) and what has passed under them. */
import { CHACHA_TAG_BYTES, ChaChaKey } from '../../crypto/index.ts';
import type { NoiseKeys } from '../../crypto/index.ts';
import { DATA_HEADER_BYTES, writeDataHeader } from '../../wire/wireguard.ts';
import { PADDING_BYTES, REJECT_AFTER_MS } from './constants.ts';
import { ReplayWindow } from './replay-window.ts';

/** Counts after which a session is renewed and ended. */
export interface SessionLimits {
  readonly rekeyAfterMessages: number;
  readonly rejectAfterMessages: number;
}

export interface SessionOptions<Owner> {
  readonly owner: Owner;
  /** Consumed: the session wipes them. */
  readonly keys: NoiseKeys;
  /** Our index, in what we receive. */
  readonly localIndex: number;
  /** The other side's index, in what we send. */
  readonly remoteIndex: number;
  /** Whether this side began the handshake; only that side renews the session by its age. */
  readonly isInitiator: boolean;
  /** Monotonic milliseconds. */
  readonly createdAt: number;
  readonly limits: SessionLimits;
}

/** One session with a peer. `wipe` ends it. */
export class Session<Owner> {
  readonly kind = 'session';
  readonly owner: Owner;
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly isInitiator: boolean;
  readonly createdAt: number;
  readonly replay = new ReplayWindow();
  readonly #limits: SessionLimits;
  readonly #sendKey: ChaChaKey;
  readonly #receiveKey: ChaChaKey;
  #sendCounter = 0;

  constructor(options: SessionOptions<Owner>) {
    this.owner = options.owner;
    this.localIndex = options.localIndex;
    this.remoteIndex = options.remoteIndex;
    this.isInitiator = options.isInitiator;
    this.createdAt = options.createdAt;
    this.#limits = options.limits;
    this.#sendKey = new ChaChaKey(options.keys.send, 'little-endian');
    this.#receiveKey = new ChaChaKey(options.keys.receive, 'little-endian');
    options.keys.send.fill(0);
    options.keys.receive.fill(0);
  }

  /** Whether something may still be sealed under it. */
  canSend(now: number): boolean {
    return now - this.createdAt < REJECT_AFTER_MS && this.#sendCounter < this.#limits.rejectAfterMessages;
  }

  /** Whether a packet with this counter may still be opened under it. */
  canReceive(counter: number, now: number): boolean {
    return now - this.createdAt < REJECT_AFTER_MS && counter < this.#limits.rejectAfterMessages;
  }

  /** Whether so much was sent that the session should be renewed. */
  isWorn(): boolean {
    return this.#sendCounter > this.#limits.rekeyAfterMessages;
  }

  /**
   * A datagram of transport data around an inner packet, which is padded to a multiple of 16 bytes
   * but not beyond `mtu` (a packet above it stays as it is).
   */
  seal(packet: Buffer, mtu: number): Buffer {
    const length = packet.byteLength;
    const rounded = length + ((PADDING_BYTES - (length % PADDING_BYTES)) % PADDING_BYTES);
    const padded = Math.min(rounded, Math.max(mtu, length));
    const datagram = Buffer.allocUnsafe(DATA_HEADER_BYTES + padded + CHACHA_TAG_BYTES);
    const counter = this.#sendCounter;
    this.#sendCounter += 1;
    writeDataHeader(datagram, this.remoteIndex, counter);
    let plaintext = packet;
    if (padded !== length) {
      plaintext = datagram.subarray(DATA_HEADER_BYTES, DATA_HEADER_BYTES + padded);
      packet.copy(plaintext);
      plaintext.fill(0, length);
    }
    this.#sendKey.sealInto(counter, plaintext, datagram, DATA_HEADER_BYTES);
    return datagram;
  }

  /** The padded inner packet of transport data, or null if it is not genuine. */
  open(datagram: Buffer, counter: number): Buffer | null {
    return this.#receiveKey.open(counter, datagram.subarray(DATA_HEADER_BYTES));
  }

  /** Drops the keys; the session must not be used again. */
  wipe(): void {
    this.#sendKey.wipe();
    this.#receiveKey.wipe();
  }
}
