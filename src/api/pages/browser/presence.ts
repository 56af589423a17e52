/** The pages for the claim and for presence. */
import { answerOf, assertPasskey, needPasskeySupport, refusedByBrowser } from './passkeys.ts';
import {
  at,
  call,
  create,
  element,
  field,
  keepPresence,
  listOf,
  onClick,
  onEnter,
  say,
  sayFailure,
  takeFragment,
  textOf,
  typed,
  wrap,
} from './shared.ts';

/** Starts the claim page. The code stays in memory until the button is pressed. */
export function startClaim(): void {
  if (movedToName()) return;
  const code = takeFragment();
  if (code !== '') field('code').value = code;
  onClick('claim', async () => {
    keepPresence(await call('POST', '/api/v1/claim', { code: typed('code', 'the code of the claim link') }));
    element('ask').hidden = true;
    element('done').hidden = false;
    say('You administer this server now.');
  });
  onEnter('code', 'claim');
  onClick('add-passkey', async () => {
    await addPasskey();
    element('passkey-part').hidden = true;
    say('The passkey is added. Next time it shows your presence, without the terminal.');
  });
  showClaimant().catch(sayFailure);
}

/** Says who would become the admin. */
export async function showClaimant(): Promise<void> {
  const me = await call('GET', '/api/v1/whoami');
  element('who').textContent = `${textOf(me, 'label') ?? ''} (${textOf(me, 'principal') ?? ''})`;
  element('who-part').hidden = false;
}

/** Starts the presence page. */
export function startPresence(): void {
  if (movedToName()) return;
  const code = takeFragment();
  if (code !== '') field('code').value = code;
  onClick('use-passkey', usePasskey);
  onClick('use-code', useCode);
  onEnter('code', 'use-code');
  onClick('ask-code', askCode);
  onClick('add-passkey', () =>
    whilePresent(async () => {
      await addPasskey();
      say('The passkey is added.');
      await showPresence();
    }),
  );
  onClick('end', async () => {
    await call('DELETE', '/api/v1/presence');
    localStorage.removeItem('postern_presence_proof');
    say('Your presence has ended, in this browser and in every command line.');
    await showPresence();
  });
  onClick('approve', () => whilePresent(approveRequest));
  showPresence().catch(sayFailure);
}

/** Passkeys and presence belong to a name: a page opened by address says so and does nothing else. */
export function movedToName(): boolean {
  const host = location.hostname;
  if (!/^[\d.]+$/.test(host) && !host.startsWith('[')) return false;
  const code = takeFragment();
  for (const id of ['ask', 'done']) element(id).hidden = true;
  if (!host.startsWith('127.') && host !== '[::1]') {
    say('This page works at the name of the server, not at an address: open it by its name.', true);
    return true;
  }
  const path = `${location.pathname}${location.search}${code === '' ? '' : `#${code}`}`;
  say('This page works at the name localhost, not at an address. ');
  element('message').append(
    create('a', 'Go on at localhost', { href: `http://localhost:${location.port}${path}` }),
  );
  return true;
}

export async function showPresence(): Promise<void> {
  const [me, passkeyList] = await Promise.all([
    call('GET', '/api/v1/whoami'),
    call('GET', '/api/v1/presence/passkeys'),
  ]);
  const passkeys = listOf(passkeyList, 'items');
  const until = textOf(me, 'presence_until');
  const isPresent = until !== null;
  element('who').textContent = textOf(me, 'label') ?? '';
  element('state').textContent = isPresent
    ? `You are present until ${new Date(until).toLocaleTimeString()}.`
    : 'You are not present.';
  element('state').className = isPresent ? 'good' : '';
  element('passkey-way').hidden = passkeys.length === 0;
  element('use-code').className = passkeys.length === 0 ? 'main' : '';
  element('ask').hidden = isPresent;
  element('done').hidden = !isPresent;
  showPasskeys(passkeys);
  await showRequest(isPresent);
  // Not below 5 s: the clocks of browser and server may differ.
  if (isPresent)
    setTimeout(
      () => void showPresence().catch(sayFailure),
      Math.max(5_000, Date.parse(until) - Date.now() + 500),
    );
}

export function showPasskeys(passkeys: unknown[]): void {
  const rows = passkeys.map((passkey) => {
    const name = textOf(passkey, 'name') ?? '';
    const day = new Date(textOf(passkey, 'created_at') ?? 0).toLocaleDateString();
    const button = create('button', 'Remove', {
      type: 'button',
      class: 'small',
      'aria-label': `Remove ${name}`,
    });
    button.addEventListener('click', () => {
      whilePresent(async () => {
        await call('DELETE', `/api/v1/presence/passkeys/${encodeURIComponent(textOf(passkey, 'id') ?? '')}`);
        say(`The passkey “${name}” is removed.`);
        await showPresence();
      }).catch(sayFailure);
    });
    return wrap('li', create('span', name), create('span', ` since ${day} `, { class: 'soft' }), button);
  });
  element('passkeys').replaceChildren(
    ...(rows.length > 0 ? rows : [create('li', 'None yet: with one, no code is needed next time.')]),
  );
}

/** What asks for presence, where the address names it. */
export async function showRequest(isPresent: boolean): Promise<void> {
  const id = new URLSearchParams(location.search).get('request');
  if (id === null) return;
  const request = await call('GET', `/api/v1/presence/requests/${encodeURIComponent(id)}`).catch(
    (error: unknown) => {
      if (textOf(error, 'code') !== 'not_found') throw error;
      return null;
    },
  );
  const isOpen = request !== null && at(request, 'approved') !== true;
  element('request').hidden = false;
  element('request-open').hidden = !isOpen;
  element('request-over').hidden = isOpen;
  element('request-client').textContent = textOf(request, 'client') ?? '';
  element('request-code').textContent = textOf(request, 'user_code') ?? '';
  element('request-wait').hidden = isPresent;
  element('approve').hidden = !isPresent;
  element('request-over').textContent =
    request === null
      ? 'What asked has gone on already, or five minutes are over: ask again.'
      : 'Approved: the command line goes on by itself. You can close this page.';
}

export async function approveRequest(): Promise<void> {
  const id = new URLSearchParams(location.search).get('request') ?? '';
  await call('POST', `/api/v1/presence/requests/${encodeURIComponent(id)}/approve`);
  element('request-open').hidden = true;
  element('request-over').hidden = false;
  element('request-over').textContent =
    'Approved: the command line goes on by itself. You can close this page.';
}

export async function useCode(): Promise<void> {
  const code = typed('code', 'the code that the server printed');
  keepPresence(await call('POST', '/api/v1/presence/redeem', { code }));
  field('code').value = '';
  say('The code is right. What asked for it goes on by itself.');
  await showPresence();
}

export async function askCode(): Promise<void> {
  const asked = await call('POST', '/api/v1/presence/requests', { client: 'this browser', announce: true });
  const mark = textOf(asked, 'user_code') ?? '';
  say(
    at(asked, 'announced') === true
      ? `The server printed a code on its terminal, beside ${mark}: open the link there, or enter the code after its #.`
      : 'No code was printed: the server prints few in a row. Ask again in a moment, and take no code beside another mark than yours.',
  );
  field('code').focus();
}

/** Runs what needs presence; if it has ended, the page asks for it again. */
export async function whilePresent(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (textOf(error, 'code') !== 'presence_required') throw error;
    await showPresence();
    throw new Error('Your presence has ended: show it again.', { cause: error });
  }
}

export async function usePasskey(): Promise<void> {
  await assertPasskey();
  say('');
  await showPresence();
}

export async function addPasskey(): Promise<void> {
  needPasskeySupport();
  const options = await call('POST', '/api/v1/presence/passkeys/options');
  const credential = await navigator.credentials
    .create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the browser checks every member
        options as PublicKeyCredentialCreationOptionsJSON,
      ),
    })
    .catch(refusedByBrowser);
  const name = field('passkey-name').value.trim() || 'passkey';
  await call('POST', '/api/v1/presence/passkeys', { name, response: answerOf(credential) });
}
