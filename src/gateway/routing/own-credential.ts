/** A credential of a provider's that the caller brings itself, and where it may go. */
import { TOKEN_PREFIX, type Caller } from '../../identity/index.ts';
import type { Provider } from '../../policy/index.ts';
import type { Exchange } from '../exchange.ts';

/** The one header in which a caller sent a provider's own credential, or null. Never one of Postern's. */
export function ownCredentialHeader(
  exchange: Pick<Exchange, 'req'>,
  caller: Pick<Caller, 'door'>,
): string | null {
  // Behind the token door the standard headers may hold the Postern token itself.
  const presented = exchange.req.headers['x-postern-authorization'];
  if (caller.door === 'token' && presented === undefined) return null;
  const identity = typeof presented === 'string' ? presented.replace(/^bearer +/i, '').trim() : '';
  for (const name of ['authorization', 'x-api-key'] as const) {
    const value = exchange.req.headers[name];
    if (typeof value !== 'string' || value === '' || /^(Bearer )?-$/.test(value)) continue;
    // SDKs may send one credential twice: what says who the caller is stays here.
    if (!value.includes(TOKEN_PREFIX) && (identity === '' || !value.includes(identity))) return name;
  }
  return null;
}

/**
 * The targets that may be tried with it: it was meant for one address and is shown to no other. Where the
 * preferred target takes none, those that would pass it on are left out.
 */
export function withinCredential<T extends { readonly provider: Pick<Provider, 'authMode' | 'baseUrl'> }>(
  targets: readonly T[],
): readonly T[] {
  const [first] = targets;
  if (first === undefined || first.provider.authMode !== 'passthrough')
    return targets.filter(({ provider }) => provider.authMode !== 'passthrough');
  const { origin } = first.provider.baseUrl;
  return targets.filter(
    ({ provider }) => provider.authMode === 'passthrough' && provider.baseUrl.origin === origin,
  );
}
