/** The pages' markup. Static: everything about anybody is fetched by the script and put in as text. */

export interface Page {
  readonly title: string;
  /** Name below /assets/. */
  readonly script: string;
  readonly body: string;
}

/** A whole document; `nonce` admits its own script and style and nothing else. */
export function renderPage(page: Page, nonce: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${page.title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/style.css" nonce="${nonce}">
<script src="/assets/${page.script}" nonce="${nonce}" defer></script>
</head>
<body>
${page.body}
<noscript><p class="card">These pages need JavaScript. The command line does the same: <code>postern --help</code>.</p></noscript>
</body>
</html>
`;
}

const MESSAGE = '<p id="message" class="message" role="status" aria-live="polite" hidden></p>';

export const HOME: Page = {
  title: 'Postern',
  script: 'home.js',
  body: `<header><h1>Postern</h1><p id="identity" class="soft"></p></header>
<main>
${MESSAGE}
<div id="banner" class="card" aria-live="polite"><p class="soft">Loading …</p></div>
<section aria-labelledby="requests-title">
<h2 id="requests-title">Requests <small id="live" role="status">connecting …</small></h2>
<div class="scroll" tabindex="0" role="region" aria-labelledby="requests-title"><table>
<thead><tr><th scope="col">Time</th><th scope="col">User</th><th scope="col">Model</th><th scope="col">State</th><th scope="col" class="number">Tokens in → out</th><th scope="col" class="number">Cost</th></tr></thead>
<tbody id="requests"></tbody></table></div>
</section>
<section aria-labelledby="usage-title">
<h2 id="usage-title">My usage <small>last 7 days</small></h2>
<div class="scroll" tabindex="0" role="region" aria-labelledby="usage-title"><table>
<thead><tr><th scope="col">Model</th><th scope="col" class="number">Requests</th><th scope="col" class="number">Input</th><th scope="col" class="number">Output</th><th scope="col" class="number">Cost</th></tr></thead>
<tbody id="usage"></tbody></table></div>
<p><button id="refresh-usage" type="button">Refresh</button></p>
</section>
<section aria-labelledby="connect-title">
<h2 id="connect-title">Connect a client</h2>
<label for="client">Client</label><select id="client"></select>
<div id="snippets"></div>
</section>
</main>
<footer><p class="soft"><a href="/presence">Presence</a> · <a href="/api/v1/openapi.json">API</a></p></footer>`,
};

const PASSKEY = `<label for="passkey-name">Name of the passkey</label><input id="passkey-name" maxlength="60" autocomplete="off" value="this device">
<p><button id="add-passkey" type="button">Add a passkey</button></p>`;

export const CLAIM: Page = {
  title: 'Claim this server · Postern',
  script: 'claim.js',
  body: `<header><h1>Claim this server</h1></header>
<main>
${MESSAGE}
<section id="ask">
<p>Whoever enters the code of the claim link becomes the first admin. The code works once, for an hour.</p>
<label for="code">Code</label><input id="code" type="password" autocomplete="off" spellcheck="false">
<p><button id="claim" type="button" class="main">Make me the admin</button></p>
</section>
<section id="done" hidden>
<h2>Done</h2>
<p>Your presence holds for ten minutes in this browser. Add a passkey, so that you can show it again without the terminal.</p>
${PASSKEY}
<p><a href="/">To the first page</a></p>
</section>
</main>`,
};

export const PRESENCE: Page = {
  title: 'Presence · Postern',
  script: 'presence.js',
  body: `<header><h1>Presence</h1><p id="who" class="soft"></p></header>
<main>
${MESSAGE}
<p class="soft">Programs on your devices share your identity. What changes the server, mints tokens or reads what others wrote needs you in person; it holds for ten minutes.</p>
<p>Your presence is <strong id="state" role="status">…</strong>.</p>
<section id="ask" hidden>
<h2>Show that you are here</h2>
<p><button id="use-passkey" type="button" class="main">Use a passkey</button></p>
<label for="code">Or the one-time code that the server prints on its terminal</label><input id="code" type="password" autocomplete="off" spellcheck="false">
<p><button id="use-code" type="button">Use the code</button> <button id="ask-code" type="button">Print a code</button></p>
</section>
<section id="request" hidden>
<h2>A request</h2>
<p id="request-text"></p>
<p><button id="approve" type="button" class="main">Approve</button></p>
</section>
<section id="done" hidden>
<h2>Passkeys</h2>
<p id="passkeys"></p>
${PASSKEY}
<p><button id="end" type="button">End my presence</button></p>
</section>
<p><a href="/">To the first page</a></p>
</main>`,
};
