/** Passkeys in the browser (Web Authentication Level 3), on every page where somebody shows presence. */
import { call, keepPresence, listOf, textOf } from './shared.ts';

/** Shows presence with a passkey; rejects in words for people. */
export async function assertPasskey(): Promise<void> {
  needPasskeySupport();
  const options = await call('POST', '/api/v1/presence/assertion/options');
  const credential = await navigator.credentials
    .get({
      publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the browser checks every member
        options as PublicKeyCredentialRequestOptionsJSON,
      ),
    })
    .catch(refusedByBrowser);
  keepPresence(await call('POST', '/api/v1/presence/assertion', { response: answerOf(credential) }));
}

/**
 * Runs what needs presence. Where it is missing, a passkey is asked for in place and the action runs
 * once more; who has none here gets the failure, which leads to the presence page.
 */
export async function inPerson<Result>(action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    if (textOf(error, 'code') !== 'presence_required' || !(await mayUsePasskey())) throw error;
  }
  await assertPasskey();
  return action();
}

/** Passkeys belong to a name: at an address there are none. */
export async function mayUsePasskey(): Promise<boolean> {
  if (/^[\d.]+$/.test(location.hostname) || location.hostname.startsWith('[')) return false;
  if (typeof PublicKeyCredential !== 'function') return false;
  return listOf(await call('GET', '/api/v1/presence/passkeys'), 'items').length > 0;
}

/** The browser's own words are for programmers (Web Authentication section 14.5.1). */
export function refusedByBrowser(error: unknown): never {
  const name = textOf(error, 'name');
  if (name === 'InvalidStateError')
    throw new Error('This device has a passkey here already.', { cause: error });
  if (name === 'NotAllowedError')
    throw new Error('No passkey was used: it was cancelled, or took too long.', { cause: error });
  throw error;
}

/** What an authenticator said, as JSON. */
export function answerOf(credential: Credential | null): unknown {
  if (!(credential instanceof PublicKeyCredential)) throw new Error('the browser gave no passkey');
  return credential.toJSON();
}

export function needPasskeySupport(): void {
  if (
    typeof PublicKeyCredential !== 'function' ||
    typeof PublicKeyCredential.parseCreationOptionsFromJSON !== 'function'
  ) {
    throw new Error('This browser cannot use passkeys here: use the code of the terminal.');
  }
}
