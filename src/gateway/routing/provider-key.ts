/** Which of Postern's keys a provider is asked with, and whether it can be asked at all. */
import type { Provider } from '../../policy/index.ts';
import type { OwnedObject } from '../../store/index.ts';
import type { ProviderKey } from '../../vault/index.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused } from '../reasons.ts';

type KeyParts = Pick<GatewayParts, 'vault'>;

/** Kinds that go on where no key was ever entered: with the operator's own credentials, or servers that ask for none. */
const MAY_LACK_KEY: ReadonlySet<string> = new Set(['vertex', 'bedrock', 'compatible']);

function needsNone({ kind, authMode }: Provider): boolean {
  return kind === 'echo' || authMode === 'none';
}

/** Any usable key, by turns; null where there is none or none is needed. Counts a use. */
export function selectKey({ vault }: KeyParts, provider: Provider): ProviderKey | null {
  return needsNone(provider) ? null : vault.select(provider.id, provider.baseUrl.origin);
}

/** Id of the key that `selectKey` would give; counts none. */
export function peekKey({ vault }: KeyParts, provider: Provider): string | null {
  return needsNone(provider) ? null : vault.peek(provider.id, provider.baseUrl.origin);
}

/** The key that an object was made with stays its key. Throws `key_missing`. */
export function selectPinnedKey(
  { vault }: KeyParts,
  provider: Provider,
  objects: readonly OwnedObject[],
): ProviderKey | null | 'unpinned' {
  if (needsNone(provider)) return null;
  const pinned = objects.find((object) => object.keyId !== null)?.keyId ?? null;
  if (pinned === null) return 'unpinned';
  const key = vault.selectById(pinned, provider.baseUrl.origin);
  if (key === null)
    throw new Refused('key_missing', 'the provider key with which this object was made is no longer usable');
  return key;
}

/**
 * Whether a provider without a usable key may not be asked: one that was revoked or belongs to another
 * address must not turn into the operator's own, or into none. A staged key takes no part until it is promoted.
 */
export function mustHaveKey(
  { vault }: KeyParts,
  { id, kind, authMode }: Pick<Provider, 'id' | 'authMode'> & { readonly kind: string },
): boolean {
  if (authMode !== 'override') return false;
  if (!MAY_LACK_KEY.has(kind)) return true;
  return vault.list().some(({ provider, state }) => provider === id && state !== 'staged');
}
