/** Pages of a device that waits for a person: what it is, how it is let in, and what came of it. Text only, no script. */
import { fingerprintOf } from './fingerprint.ts';
import type { PendingLogin } from './pending-logins.ts';

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}code{background:#8882;padding:.2em .4em;border-radius:.3em}dt{opacity:.7}dd{margin:0 0 .7em}button{font:inherit;padding:.4em 1em;margin:.2em .4em .2em 0}fieldset{border:0;padding:0;margin:1em 0}label{display:block}';

/** Sent with every page: it runs nothing, loads nothing, and sends its forms here only. Forms need their own origin as referrer. */
export const LOGIN_PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
};

/** How a person may sign in from this page. */
export type SignInChoice =
  | { readonly type: 'none' }
  /** The same page at the address that providers send people back to. */
  | { readonly type: 'elsewhere'; readonly url: string }
  | { readonly type: 'here'; readonly providers: readonly { readonly id: string; readonly title: string }[] };

/** HTML. */
export function loginPage(login: PendingLogin, choice: SignInChoice = { type: 'none' }): string {
  return page(
    'A device wants to join',
    `${deviceRows(login)}
${choiceHtml(login, choice)}
<p>${choice.type === 'none' ? 'An' : 'Or an'} admin lets it in with this command, where Postern runs. Compare the fingerprint with what the command shows.</p>
<p><code>postern device approve ${escape(login.id)}</code></p>
<p>If this is not your device, leave it: the request ends by itself in 15 minutes.</p>`,
  );
}

function choiceHtml(login: PendingLogin, choice: SignInChoice): string {
  if (choice.type === 'none') return '';
  if (choice.type === 'elsewhere')
    return `<p>If it is your device: <a href="${escape(choice.url)}">sign in</a>.</p>`;
  const buttons = choice.providers.map(
    ({ id, title }) => `<button name="provider" value="${escape(id)}">Sign in with ${escape(title)}</button>`,
  );
  return `<form method="post" action="/a/${escape(login.id)}/sign-in"><p>If it is your device:</p>${buttons.join('')}</form>`;
}

/** HTML; a form cannot lead to another origin, so that the page does. */
export function onwardPage(title: string, url: string): string {
  return page(
    `To ${escape(title)}`,
    `<meta http-equiv="refresh" content="0;url=${escape(url)}"><p><a href="${escape(url)}">Go on to ${escape(title)}</a></p>`,
  );
}

export interface ConfirmQuestion {
  readonly login: PendingLogin;
  readonly token: string;
  readonly person: string;
  /** Names; at least one. */
  readonly tailnets: readonly string[];
}

/** HTML: whose device it is, before anything is let in. A link from a stranger would show the stranger's. */
export function confirmPage({ login, token, person, tailnets }: ConfirmQuestion): string {
  const choices = tailnets.map(
    (name, at) =>
      `<label><input type="radio" name="tailnet" value="${escape(name)}"${at === 0 && tailnets.length === 1 ? ' checked' : ''} required> ${escape(name)}</label>`,
  );
  return page(
    'Is this your device?',
    `<p>You are signed in as <b>${escape(person)}</b>. This device would act in your name:</p>${deviceRows(login)}
<p>Let it in only if you started this on that very device yourself, just now. If somebody sent you the link, it is theirs.</p>
<form method="post" action="/a/${escape(login.id)}/decide"><input type="hidden" name="token" value="${escape(token)}">
<fieldset><legend>${tailnets.length === 1 ? 'Network' : 'Choose its network'}</legend>${choices.join('')}</fieldset>
<button name="answer" value="mine">It is mine: let it in</button><button name="answer" value="other" formnovalidate>It is not mine</button></form>`,
  );
}

/** HTML of one sentence, in our own words or those of a refusal. */
export function sentencePage(title: string, sentence: string): string {
  return page(escape(title), `<p>${escape(sentence)}</p>`);
}

/** HTML, for an address that leads nowhere (any more). */
export function goneLoginPage(): string {
  return page(
    'Nothing waits here',
    '<p>The device was let in or refused already, or it waited too long. Ask it again: <code>tailscale up</code>.</p>',
  );
}

function deviceRows(login: PendingLogin): string {
  const facts = login.host?.facts;
  const tags = login.host?.requestTags ?? [];
  const rows = [
    ['Device', facts?.hostname ?? ''],
    ['System', facts?.os ?? ''],
    ['Fingerprint', fingerprintOf(login.machineKey)],
    ['Code', login.id],
    ...(tags.length === 0 ? [] : [['Asks for', tags.join(', ')]]),
  ];
  return `<dl>${rows.map(([name = '', value = '']) => `<dt>${escape(name)}</dt><dd><b>${escape(value)}</b></dd>`).join('')}</dl>`;
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${STYLE}</style><h1>${title}</h1>${body}</html>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"'\p{Cc}\p{Cf}]/gu, (char) => `&#${char.codePointAt(0) ?? 0};`);
}
