/**
 * Macs and cookies of handshake messages (white paper, sections 5.3, 5.4.4 and 5.4.7).
 *
 * mac1 shows that the sender knows our public key; without it we are silent. Under load mac2 must
 * show that the sender receives at the address it sends from: it is keyed with a cookie that we
 * sent there.
 */
import type { Random } from '../../base/random.ts';
import {
  blake2s,
  blake2sMac,
  constantTimeEqual,
  openXChaCha,
  sealXChaCha,
  XCHACHA_NONCE_BYTES,
} from '../../crypto/index.ts';
import { buildCookieReply, macsOf } from '../../wire/wireguard.ts';
import type { WireguardCookieReply } from '../../wire/wireguard.ts';
import { COOKIE_LIFETIME_MS } from './constants.ts';

const MAC1_LABEL = Buffer.from('mac1----');
const COOKIE_LABEL = Buffer.from('cookie--');
const SECRET_BYTES = 32;

/** The key of mac1 for messages to the owner of a public key. */
function mac1KeyOf(publicKey: Uint8Array): Buffer {
  return blake2s(MAC1_LABEL, publicKey);
}

/** The key that seals cookies which the owner of a public key hands out. */
function cookieKeyOf(publicKey: Uint8Array): Buffer {
  return blake2s(COOKIE_LABEL, publicKey);
}

/** Checks what arrives and hands out cookies. One per device. */
export class CookieIssuer {
  readonly #mac1Key: Buffer;
  readonly #cookieKey: Buffer;
  readonly #random: Random;
  #secret: Uint8Array | null = null;
  #secretMadeAt = 0;

  constructor(publicKey: Uint8Array, random: Random) {
    this.#mac1Key = mac1KeyOf(publicKey);
    this.#cookieKey = cookieKeyOf(publicKey);
    this.#random = random;
  }

  /** Whether mac1 of an initiation or a response is right. */
  checkMac1(datagram: Buffer): boolean {
    const { mac1, coveredByMac1 } = macsOf(datagram);
    return constantTimeEqual(blake2sMac(this.#mac1Key, coveredByMac1), mac1);
  }

  /** Whether mac2 is keyed with the cookie of this sender's address and port. */
  checkMac2(datagram: Buffer, sender: string, now: number): boolean {
    if (this.#secret === null || now - this.#secretMadeAt >= COOKIE_LIFETIME_MS) return false;
    const { mac2, coveredByMac2 } = macsOf(datagram);
    return constantTimeEqual(blake2sMac(blake2sMac(this.#secret, Buffer.from(sender)), coveredByMac2), mac2);
  }

  /** The answer to a message with index `receiver` that came without a valid mac2. */
  reply(datagram: Buffer, { sender, receiver }: { sender: string; receiver: number }, now: number): Buffer {
    if (this.#secret === null || now - this.#secretMadeAt >= COOKIE_LIFETIME_MS) {
      this.#secret = this.#random.bytes(SECRET_BYTES);
      this.#secretMadeAt = now;
    }
    const cookie = blake2sMac(this.#secret, Buffer.from(sender));
    const nonce = this.#random.bytes(XCHACHA_NONCE_BYTES);
    const { mac1 } = macsOf(datagram);
    const sealedCookie = sealXChaCha({ key: this.#cookieKey, nonce, additional: mac1 }, cookie);
    return buildCookieReply({ receiver, nonce, sealedCookie });
  }
}

/** Signs what we send to one peer, with the cookie that it handed out last. */
export class CookieHolder {
  readonly #mac1Key: Buffer;
  readonly #cookieKey: Buffer;
  #lastMac1: Buffer | null = null;
  #cookie: Buffer | null = null;
  #cookieAt = 0;

  constructor(publicKey: Uint8Array) {
    this.#mac1Key = mac1KeyOf(publicKey);
    this.#cookieKey = cookieKeyOf(publicKey);
  }

  /** Writes mac1, and mac2 if there is a cookie younger than 120 s. */
  sign(datagram: Buffer, now: number): void {
    const { mac1, mac2, coveredByMac1, coveredByMac2 } = macsOf(datagram);
    const made = blake2sMac(this.#mac1Key, coveredByMac1);
    made.copy(mac1);
    this.#lastMac1 = made;
    if (this.#cookie === null || now - this.#cookieAt >= COOKIE_LIFETIME_MS) return;
    blake2sMac(this.#cookie, coveredByMac2).copy(mac2);
  }

  /** Takes a cookie; false if it does not answer the message that was signed last. */
  accept({ nonce, sealedCookie }: WireguardCookieReply, now: number): boolean {
    if (this.#lastMac1 === null) return false;
    const cookie = openXChaCha({ key: this.#cookieKey, nonce, additional: this.#lastMac1 }, sealedCookie);
    if (cookie === null) return false;
    this.#cookie = cookie;
    this.#cookieAt = now;
    /* One cookie per message: a reply that is repeated later must not refresh an old cookie. */
    this.#lastMac1 = null;
    return true;
  }
}
