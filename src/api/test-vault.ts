/** Provider keys in memory, for the tests of this folder. */
import { AppError } from '../base/errors.ts';
import type { KeyView, NewKey, VaultPort } from './ports.ts';

export function memoryVault(keys: KeyView[], now: () => number): VaultPort {
  const change = (id: string, state: KeyView['state']): Promise<KeyView> => {
    const at = keys.findIndex((key) => key.id === id);
    const key = keys[at];
    if (key === undefined) return Promise.reject(new AppError('vault_key_unknown', 'there is no such key'));
    const changed = { ...key, state };
    keys[at] = changed;
    return Promise.resolve(changed);
  };
  return {
    list: () => keys,
    async add(key: NewKey) {
      const view: KeyView = {
        id: key.id,
        provider: key.provider,
        name: key.name,
        state: key.state,
        origin: key.origin,
        header: key.header,
        hint: key.secret.hint(),
        source: 'store',
        createdAt: now(),
        createdBy: key.createdBy,
        lastUsedAt: null,
        uses: 0,
        failures: 0,
        lastError: null,
        cooldownUntil: null,
      };
      keys.push(view);
      return view;
    },
    promote: (id) => change(id, 'active'),
    retire: (id) => change(id, 'retired'),
    revoke: (id) => change(id, 'revoked'),
  };
}
