/** Provider keys: sealed at rest, in memory while in use, bound to their origin. */
export type { VaultErrorCode } from './errors.ts';
export type { KeyStore } from './ports.ts';
export type { KeyOutcome } from './key-health.ts';
export type { FoundKey, KeyView, NewKey, ProviderKey, Vault, VaultOptions } from './shapes.ts';
export { openVault } from './vault.ts';
export { SIGNING_SECRET_ORIGIN, signingSecretProvider } from './signing-secrets.ts';
