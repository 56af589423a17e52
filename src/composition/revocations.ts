/** A right that ends, ends what uses it: open exchanges are cut within a second (DESIGN section 5). */
import type { ActiveExchanges } from '../gateway/index.ts';
import type { Documents } from '../gateway/documents/index.ts';
import type { Vault } from '../vault/index.ts';
import type { Doors } from './doors.ts';

export interface RevocationSources {
  readonly active: ActiveExchanges;
  readonly doors: Doors;
  readonly vault: Vault;
  readonly documents: Documents;
}

/** Watches until the returned function is called. */
export function watchRevocations({ active, doors, vault, documents }: RevocationSources): () => void {
  const stops = [
    doors.onRevoked((revocation) => {
      active.cut(({ caller }) => revocation.matches(caller), 'access_revoked', 'the right to this answer was withdrawn');
    }),
    vault.onRevoked((keyId) => {
      active.cut((exchange) => exchange.keyId === keyId, 'key_revoked', 'the provider key of this answer was revoked');
    }),
    documents.onChange((policy) => {
      active.cut(
        ({ caller, provider, model }) => policy.accessOf(caller).grant(provider, model) === null,
        'access_revoked',
        'a change of policy withdrew the right to this answer',
      );
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
