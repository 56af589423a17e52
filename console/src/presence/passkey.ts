/** Showing presence (DESIGN section 5): a passkey by Web Authentication Level 3, or a printed one-time code. */
import { startAuthentication, startRegistration } from '@simplewebauthn/browser';
import { api, dataOf } from '../api/client.ts';
import { forgetPresenceProof, keepPresenceProof } from './proof.ts';

/** Passkeys and presence belong to a name: at an address there are none. */
export function isAtAddress(hostname = location.hostname): boolean {
  return /^[\d.]+$/.test(hostname) || hostname.startsWith('[');
}

/** The same page at `localhost` for one opened at an address of this machine; null where the name is not known. */
export function addressByName(at: Location = location): string | null {
  const isLocal = at.hostname.startsWith('127.') || at.hostname === '[::1]';
  return isLocal ? `http://localhost:${at.port}${at.pathname}${at.search}` : null;
}

/** Whether this browser has Web Authentication here. */
export function supportsPasskeys(): boolean {
  return !isAtAddress() && typeof PublicKeyCredential === 'function';
}

/** Shows presence with a passkey. Throws in words for people. */
export async function assertPasskey(): Promise<void> {
  const options = await dataOf(api.POST('/api/v1/presence/assertion/options'));
  const response = await startAuthentication({
    optionsJSON: options,
  }).catch(refusedByBrowser);
  const shown = await dataOf(api.POST('/api/v1/presence/assertion', { body: { response: { ...response } } }));
  keepPresenceProof(shown.proof);
}

/** Shows presence with the code of the operator's terminal. Throws `ApiProblem`. */
export async function redeemCode(code: string): Promise<void> {
  keepPresenceProof(
    (await dataOf(api.POST('/api/v1/presence/redeem', { body: { code: code.trim() } }))).proof,
  );
}

/** Has a code printed on the operator's terminal. Null if the server prints none now, else the mark beside it. */
export async function printCode(): Promise<string | null> {
  const asked = await dataOf(
    api.POST('/api/v1/presence/requests', { body: { client: 'this browser', announce: true } }),
  );
  return asked.announced ? asked.user_code : null;
}

/** Registers a passkey of this device under a name; needs presence. */
export async function addPasskey(name: string): Promise<void> {
  const options = await dataOf(api.POST('/api/v1/presence/passkeys/options'));
  const response = await startRegistration({
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the browser checks every member
    optionsJSON: options as unknown as Parameters<typeof startRegistration>[0]['optionsJSON'],
  }).catch(refusedByBrowser);
  await dataOf(api.POST('/api/v1/presence/passkeys', { body: { name, response: { ...response } } }));
}

/** Ends presence in every browser and command line of the viewer. */
export async function endPresence(): Promise<void> {
  await dataOf(api.DELETE('/api/v1/presence'));
  forgetPresenceProof();
}

/** The browser's own words are for programmers (Web Authentication section 14.5.1). */
function refusedByBrowser(error: unknown): never {
  const name = error instanceof Error ? error.name : '';
  if (name === 'InvalidStateError')
    throw new Error('This device has a passkey here already.', { cause: error });
  if (name === 'NotAllowedError' || name === 'AbortError')
    throw new Error('No passkey was used: it was cancelled, or took too long.', { cause: error });
  throw error;
}
