import { AppError } from '../base/errors.ts';

/** Closed set of failure codes of the vault. */
export type VaultErrorCode =
  | 'vault_key_unknown'
  /** Revocation is final; add the key anew. */
  | 'vault_key_revoked'
  /** A key that does not open under this master key cannot be used. */
  | 'vault_key_unreadable'
  | 'vault_invalid_key'
  | 'vault_invalid_origin'
  | 'vault_too_many_keys';

export function vaultError(code: VaultErrorCode, message: string): AppError<VaultErrorCode> {
  return new AppError(code, message);
}
