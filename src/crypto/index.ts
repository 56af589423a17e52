/** Cryptography: the only folder that imports `node:crypto`. */
export { open, seal } from './aead.ts';
export { blake2s, BLAKE2S_BYTES, blake2sMac } from './blake2s.ts';
export { canonicalJson } from './canonical-json.ts';
export { CHACHA_TAG_BYTES, ChaChaKey } from './chacha-key.ts';
export type { CounterOrder } from './chacha-key.ts';
export { createSelfSignedCertificate, readCertificate } from './certificate.ts';
export type { CertificateFacts, CertificatePair, SelfSignedOptions } from './certificate.ts';
export type { CryptoErrorCode } from './errors.ts';
export {
  constantTimeEqual,
  hashChainNext,
  hmacSha256,
  keyedHash,
  sha256,
  sha256Hex,
  SHA256_BYTES,
} from './hash.ts';
export { createKeyring, deriveKey, KEY_BYTES } from './keyring.ts';
export type { Keyring } from './keyring.ts';
export { KEY_LABELS } from './labels.ts';
export { NaclBox } from './nacl-box.ts';
export {
  createNoiseProtocol,
  NOISE_MESSAGE_1_BYTES,
  NOISE_MESSAGE_2_BYTES,
  NoiseInitiator,
  NoiseResponder,
} from './noise.ts';
export type { NoiseKeys, NoiseOpened, NoisePattern, NoisePeer, NoiseProtocol } from './noise.ts';
export { SecretBytes } from './secret-bytes.ts';
export { X25519_KEY_BYTES, X25519PrivateKey, X25519PublicKey } from './x25519.ts';
export { openXChaCha, sealXChaCha, XCHACHA_NONCE_BYTES } from './xchacha.ts';
export type { XChaChaOptions } from './xchacha.ts';
