/** The pages for the claim and for presence. */
import { at, call, create, element, keepPresence, listOf, onClick, say, takeFragment, textOf } from './shared.ts';

/** Starts the claim page. The code stays in memory until the button is pressed. */
export function startClaim(): void {
  if (movedToName()) return;
  const code = takeFragment();
  if (code !== '') (element('code') as HTMLInputElement).value = code;
  onClick('claim', async () => {
    const answer = await call('POST', '/api/v1/claim', { code: (element('code') as HTMLInputElement).value.trim() });
    keepPresence(answer);
    element('ask').hidden = true;
    element('done').hidden = false;
    say('You administer this server now.');
  });
  onClick('add-passkey', addPasskey);
}

/** Starts the presence page. */
export function startPresence(): void {
  if (movedToName()) return;
  const code = takeFragment();
  if (code !== '') (element('code') as HTMLInputElement).value = code;
  onClick('use-passkey', usePasskey);
  onClick('use-code', async () => {
    const answer = await call('POST', '/api/v1/presence/redeem', { code: (element('code') as HTMLInputElement).value.trim() });
    keepPresence(answer);
    await showPresence();
  });
  onClick('ask-code', async () => {
    const asked = await call('POST', '/api/v1/presence/requests', { client: 'this browser', announce: true });
    say(
      at(asked, 'announced') === true
        ? `The server printed a code on its terminal, beside ${textOf(asked, 'user_code') ?? ''}.`
        : 'The server printed a code a moment ago; look at its terminal.',
    );
  });
  onClick('add-passkey', addPasskey);
  onClick('end', async () => {
    await call('DELETE', '/api/v1/presence');
    localStorage.removeItem('postern_presence_proof');
    await showPresence();
  });
  onClick('approve', approveRequest);
  showPresence()
    .then(showRequest)
    .catch((error: unknown) => say(error instanceof Error ? error.message : String(error), true));
}

/** Passkeys and presence belong to a name: a page opened by address links to it and does nothing else. */
export function movedToName(): boolean {
  const isAddress = /^[\d.]+$/.test(location.hostname) || location.hostname.startsWith('[');
  if (!isAddress) return false;
  const link = create('a', 'Go on at localhost', { href: `http://localhost:${location.port}${location.pathname}${location.search}${location.hash}` });
  say('This page works at the name localhost, not at an address. ');
  element('message').append(link);
  return true;
}

export async function showPresence(): Promise<void> {
  const me = await call('GET', '/api/v1/whoami');
  const until = textOf(me, 'presence_until');
  element('who').textContent = textOf(me, 'label') ?? '';
  element('state').textContent = until === null ? 'not shown' : `shown until ${new Date(until).toLocaleTimeString()}`;
  element('ask').hidden = until !== null;
  element('done').hidden = until === null;
  if (until === null) return;
  const passkeys = listOf(await call('GET', '/api/v1/presence/passkeys'), 'items');
  element('passkeys').textContent = passkeys.length === 0 ? 'You have no passkey yet: with one, no code is needed next time.' : `Your passkeys: ${passkeys.map((passkey) => textOf(passkey, 'name') ?? '').join(', ')}.`;
}

/** What asks for presence, where the address names it. */
export async function showRequest(): Promise<void> {
  const id = new URLSearchParams(location.search).get('request');
  if (id === null) return;
  const request = await call('GET', `/api/v1/presence/requests/${encodeURIComponent(id)}`);
  element('request').hidden = false;
  element('request-text').textContent = `“${textOf(request, 'client') ?? ''}” asks for your presence and shows ${textOf(request, 'user_code') ?? ''}. Approve only if you see the same there.`;
}

export async function approveRequest(): Promise<void> {
  const id = new URLSearchParams(location.search).get('request') ?? '';
  await call('POST', `/api/v1/presence/requests/${encodeURIComponent(id)}/approve`);
  element('request').hidden = true;
  say('Approved: the command line goes on by itself.');
}

export async function usePasskey(): Promise<void> {
  needPasskeySupport();
  const options = await call('POST', '/api/v1/presence/assertion/options');
  const credential = await navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options as PublicKeyCredentialRequestOptionsJSON),
  });
  keepPresence(await call('POST', '/api/v1/presence/assertion', { response: (credential as PublicKeyCredential).toJSON() }));
  await showPresence();
}

export async function addPasskey(): Promise<void> {
  needPasskeySupport();
  const options = await call('POST', '/api/v1/presence/passkeys/options');
  const credential = await navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options as PublicKeyCredentialCreationOptionsJSON),
  });
  const name = (element('passkey-name') as HTMLInputElement).value.trim() || 'passkey';
  await call('POST', '/api/v1/presence/passkeys', { name, response: (credential as PublicKeyCredential).toJSON() });
  say('The passkey is added.');
}

export function needPasskeySupport(): void {
  if (typeof PublicKeyCredential !== 'function' || typeof PublicKeyCredential.parseCreationOptionsFromJSON !== 'function') {
    throw new Error('this browser cannot use passkeys here: use the code of the terminal');
  }
}
