/**
 * Noise handshakes (Noise Protocol Framework, revision 34) of the two patterns that tailnets use:
 * `Noise_IK_25519_ChaChaPoly_BLAKE2s` (control protocol) and `Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s`
 * (WireGuard), in both roles.
 *
 * | message | bytes  | what                                                         |
 * | ------- | ------ | ------------------------------------------------------------ |
 * | 1, →    | 32     | e: ephemeral public key                                      |
 * |         | 48     | s: the initiator's static public key, sealed (after es)      |
 * |         | n + 16 | payload, sealed (after ss)                                   |
 * | 2, ←    | 32     | e: ephemeral public key                                      |
 * |         | n + 16 | payload, sealed (after ee, se and, in IKpsk2, psk)           |
 *
 * A read that fails leaves the state as it was, so that a forged message does not end a handshake.
 * Nothing that arrives throws. Other patterns, curves and ciphers are left out. Transport messages
 * are sealed by `ChaChaKey` with the keys of `split`.
 */
import { assert } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { BLAKE2S_BYTES } from './blake2s.ts';
import { SymmetricState } from './noise-state.ts';
import type { SecretBytes } from './secret-bytes.ts';
import { X25519_KEY_BYTES, X25519PrivateKey, X25519PublicKey } from './x25519.ts';

/** The handshake patterns; `psk2` mixes a preshared key into the second message. */
export type NoisePattern = 'IK' | 'IKpsk2';

/** Bytes of message 1 with an empty payload. */
export const NOISE_MESSAGE_1_BYTES = 96;
/** Bytes of message 2 with an empty payload. */
export const NOISE_MESSAGE_2_BYTES = 48;
/** Bytes of a preshared key. */
const PRESHARED_KEY_BYTES = 32;

const TAG_BYTES = 16;
const MESSAGE_MAX_BYTES = 65_535;
const SEALED_STATIC_BYTES = X25519_KEY_BYTES + TAG_BYTES;

/** A pattern and a prologue, hashed once. */
export interface NoiseProtocol {
  readonly pattern: NoisePattern;
  /** A copy of the state before the responder's static key is mixed in. */
  start(): SymmetricState;
}

/** Prepares a protocol; both sides must have the same prologue. */
export function createNoiseProtocol(pattern: NoisePattern, prologue: Uint8Array): NoiseProtocol {
  const state = SymmetricState.named(`Noise_${pattern}_25519_ChaChaPoly_BLAKE2s`);
  state.mixHash(prologue);
  return { pattern, start: () => state.fork() };
}

/** The other side, as far as a handshake needs it. */
export interface NoisePeer {
  readonly publicKey: X25519PublicKey;
  /** 32 bytes; absent means zeros in IKpsk2 (as WireGuard has it) and is the rule in IK. */
  readonly presharedKey?: SecretBytes | null;
  /** The agreement of both static keys, if it was computed before: saves its time. Never altered here. */
  readonly staticShared?: SecretBytes | null;
}

/** The keys of a finished handshake. The caller wipes them after use. */
export interface NoiseKeys {
  /** 32 bytes: for what this side sends. */
  readonly send: Buffer;
  /** 32 bytes: for what the other side sends. */
  readonly receive: Buffer;
  /** 32 bytes, the same on both sides, unique to this handshake: for channel binding. */
  readonly handshakeHash: Buffer;
}

export interface NoiseInitiatorOptions {
  readonly protocol: NoiseProtocol;
  readonly localStatic: X25519PrivateKey;
  readonly peer: NoisePeer;
  /** Gives the ephemeral key. */
  readonly random: Random;
}

/** The side that sends first. One object is one handshake. */
export class NoiseInitiator {
  readonly #options: NoiseInitiatorOptions;
  readonly #ephemeral: X25519PrivateKey;
  #state: SymmetricState;
  #stage: 'new' | 'waiting' | 'done' | 'over' = 'new';

  constructor(options: NoiseInitiatorOptions) {
    this.#options = options;
    this.#ephemeral = X25519PrivateKey.generate(options.random);
    this.#state = options.protocol.start();
    this.#state.mixHash(options.peer.publicKey.bytes);
  }

  /** Message 1; null if the peer's static key is of low order. */
  writeMessage(payload: Uint8Array): Buffer | null {
    assert(this.#stage === 'new', 'an initiator writes once, first');
    checkLength(NOISE_MESSAGE_1_BYTES + payload.byteLength);
    const { localStatic, peer, protocol } = this.#options;
    const state = this.#state;
    const message = Buffer.allocUnsafe(NOISE_MESSAGE_1_BYTES + payload.byteLength);
    this.#ephemeral.publicKey.bytes.copy(message, 0);
    mixEphemeral(state, protocol.pattern, this.#ephemeral.publicKey.bytes);
    if (!mixAgreement(state, this.#ephemeral, peer.publicKey)) return null;
    state.encryptAndHash(localStatic.publicKey.bytes).copy(message, X25519_KEY_BYTES);
    if (!mixStatics(state, localStatic, peer)) return null;
    state.encryptAndHash(payload).copy(message, X25519_KEY_BYTES + SEALED_STATIC_BYTES);
    this.#stage = 'waiting';
    return message;
  }

  /** The payload of message 2, or null if it is not this handshake's; then another may be tried. */
  readMessage(message: Uint8Array): Buffer | null {
    if (this.#stage !== 'waiting' || message.byteLength < NOISE_MESSAGE_2_BYTES) return null;
    const { localStatic, peer, protocol } = this.#options;
    const state = this.#state.fork();
    const remote = X25519PublicKey.fromBytes(message.subarray(0, X25519_KEY_BYTES));
    mixEphemeral(state, protocol.pattern, remote.bytes);
    if (!mixAgreement(state, this.#ephemeral, remote)) return null;
    if (!mixAgreement(state, localStatic, remote)) return null;
    mixPreshared(state, protocol.pattern, peer);
    const payload = state.decryptAndHash(message.subarray(X25519_KEY_BYTES));
    if (payload === null) {
      state.wipe();
      return null;
    }
    this.#state.wipe();
    this.#state = state;
    this.#stage = 'done';
    this.#ephemeral.wipe();
    return payload;
  }

  /** The transport keys, after `readMessage` gave a payload. Ends the handshake. */
  split(): NoiseKeys {
    assert(this.#stage === 'done', 'a handshake is split after its last message');
    const [send, receive, handshakeHash] = this.#state.split();
    return { send, receive, handshakeHash };
  }

  /** Forgets everything; a message that arrives later is refused. */
  wipe(): void {
    this.#state.wipe();
    this.#ephemeral.wipe();
    this.#stage = 'over';
  }
}

export interface NoiseResponderOptions {
  readonly protocol: NoiseProtocol;
  readonly localStatic: X25519PrivateKey;
  /** Gives the ephemeral key. */
  readonly random: Random;
}

/** What message 1 told. */
export interface NoiseOpened<Peer extends NoisePeer> {
  readonly peer: Peer;
  readonly payload: Buffer;
}

/** The side that answers. One object is one handshake. */
export class NoiseResponder {
  readonly #options: NoiseResponderOptions;
  #state: SymmetricState;
  #remoteEphemeral: X25519PublicKey | null = null;
  #peer: NoisePeer | null = null;
  #stage: 'new' | 'read' | 'done' = 'new';

  constructor(options: NoiseResponderOptions) {
    this.#options = options;
    this.#state = options.protocol.start();
    this.#state.mixHash(options.localStatic.publicKey.bytes);
  }

  /**
   * Reads message 1. `accept` gets the initiator's static key (32 bytes, a view, not yet proven: only
   * the payload proves it) and gives what is known about it, or null to refuse. Null as a result
   * means refused or forged.
   */
  readMessage<Peer extends NoisePeer>(
    message: Uint8Array,
    accept: (publicKey: Buffer) => Peer | null,
  ): NoiseOpened<Peer> | null {
    assert(this.#stage === 'new', 'a responder reads once, first');
    if (message.byteLength < NOISE_MESSAGE_1_BYTES) return null;
    const { localStatic, protocol } = this.#options;
    const state = this.#state.fork();
    const ephemeral = X25519PublicKey.fromBytes(message.subarray(0, X25519_KEY_BYTES));
    mixEphemeral(state, protocol.pattern, ephemeral.bytes);
    if (!mixAgreement(state, localStatic, ephemeral)) return null;
    const afterStatic = X25519_KEY_BYTES + SEALED_STATIC_BYTES;
    const publicKey = state.decryptAndHash(message.subarray(X25519_KEY_BYTES, afterStatic));
    if (publicKey === null) return null;
    const peer = accept(publicKey);
    if (peer === null || !mixStatics(state, localStatic, peer)) return null;
    const payload = state.decryptAndHash(message.subarray(afterStatic));
    if (payload === null) return null;
    this.#state = state;
    this.#remoteEphemeral = ephemeral;
    this.#peer = peer;
    this.#stage = 'read';
    return { peer, payload };
  }

  /** Message 2; null if one of the initiator's keys is of low order. */
  writeMessage(payload: Uint8Array): Buffer | null {
    const ephemeralPublic = this.#remoteEphemeral;
    const peer = this.#peer;
    assert(
      this.#stage === 'read' && ephemeralPublic !== null && peer !== null,
      'a responder writes once, after reading',
    );
    checkLength(NOISE_MESSAGE_2_BYTES + payload.byteLength);
    const { protocol, random } = this.#options;
    const state = this.#state;
    const message = Buffer.allocUnsafe(NOISE_MESSAGE_2_BYTES + payload.byteLength);
    const ephemeral = X25519PrivateKey.generate(random);
    ephemeral.publicKey.bytes.copy(message, 0);
    mixEphemeral(state, protocol.pattern, ephemeral.publicKey.bytes);
    const agreed =
      mixAgreement(state, ephemeral, ephemeralPublic) && mixAgreement(state, ephemeral, peer.publicKey);
    ephemeral.wipe();
    if (!agreed) return null;
    mixPreshared(state, protocol.pattern, peer);
    state.encryptAndHash(payload).copy(message, X25519_KEY_BYTES);
    this.#stage = 'done';
    return message;
  }

  /** The transport keys, after `writeMessage`. Ends the handshake. */
  split(): NoiseKeys {
    assert(this.#stage === 'done', 'a handshake is split after its last message');
    const [receive, send, handshakeHash] = this.#state.split();
    return { send, receive, handshakeHash };
  }
}

function checkLength(bytes: number): void {
  assert(bytes <= MESSAGE_MAX_BYTES, `a Noise message has at most 65535 bytes, got ${bytes}`);
}

/** Token e: with a preshared key in the pattern the ephemeral key also goes into the keys (section 9.2). */
function mixEphemeral(state: SymmetricState, pattern: NoisePattern, bytes: Uint8Array): void {
  state.mixHash(bytes);
  if (pattern === 'IKpsk2') state.mixKey(bytes);
}

/** Tokens es, ee and se. False for a key of low order. */
function mixAgreement(state: SymmetricState, own: X25519PrivateKey, other: X25519PublicKey): boolean {
  const shared = own.agree(other);
  if (shared === null) return false;
  state.mixKey(shared);
  shared.fill(0);
  return true;
}

/** Token ss. False for a key of low order. */
function mixStatics(state: SymmetricState, own: X25519PrivateKey, peer: NoisePeer): boolean {
  if (peer.staticShared === undefined || peer.staticShared === null) {
    return mixAgreement(state, own, peer.publicKey);
  }
  state.mixKey(peer.staticShared.reveal());
  return true;
}

/** Token psk. */
function mixPreshared(state: SymmetricState, pattern: NoisePattern, peer: NoisePeer): void {
  if (pattern !== 'IKpsk2') return;
  const key = peer.presharedKey?.reveal() ?? Buffer.alloc(BLAKE2S_BYTES);
  assert(key.byteLength === PRESHARED_KEY_BYTES, `a preshared key has 32 bytes, got ${key.byteLength}`);
  state.mixKeyAndHash(key);
}
