/** The page of a device that waits for a person: what it is, and how an admin lets it in. Text only. */
import type { PendingLogin } from './pending-logins.ts';
import { fingerprintOf } from './fingerprint.ts';

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}code{background:#8882;padding:.2em .4em;border-radius:.3em}dt{opacity:.7}dd{margin:0 0 .7em}';

/** Sent with the page: it runs nothing and loads nothing. */
export const LOGIN_PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
};

/** HTML. */
export function loginPage(login: PendingLogin): string {
  const facts = login.host?.facts;
  const tags = login.host?.requestTags ?? [];
  const rows = [
    ['Device', facts?.hostname ?? ''],
    ['System', facts?.os ?? ''],
    ['Fingerprint', fingerprintOf(login.machineKey)],
    ...(tags.length === 0 ? [] : [['Asks for', tags.join(', ')]]),
  ];
  return page(
    'A device wants to join',
    `<dl>${rows.map(([name = '', value = '']) => `<dt>${escape(name)}</dt><dd><b>${escape(value)}</b></dd>`).join('')}</dl>
<p>An admin lets it in with this command, where Postern runs. Compare the fingerprint with what the command shows.</p>
<p><code>postern device approve ${escape(login.id)}</code></p>
<p>If this is not your device, leave it: the request ends by itself in 15 minutes.</p>`,
  );
}

/** HTML, for an address that leads nowhere (any more). */
export function goneLoginPage(): string {
  return page(
    'Nothing waits here',
    '<p>The device was let in or refused already, or it waited too long. Ask it again: <code>tailscale up</code>.</p>',
  );
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${STYLE}</style><h1>${title}</h1>${body}</html>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"'\p{Cc}\p{Cf}]/gu, (char) => `&#${char.codePointAt(0) ?? 0};`);
}
