/** Cryptography: the only folder that imports `node:crypto`. */
export { open, seal, SEAL_OVERHEAD_BYTES } from './aead.ts';
export { canonicalJson, CANONICAL_DEPTH_MAX } from './canonical-json.ts';
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
