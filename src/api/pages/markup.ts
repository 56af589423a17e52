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
<link rel="stylesheet" href="/plain/style.css" nonce="${nonce}">
<script src="/plain/${page.script}" nonce="${nonce}" defer></script>
</head>
<body>
${page.body}
<noscript><p class="message">These pages need JavaScript. The command line does the same: <code>postern --help</code>.</p></noscript>
</body>
</html>
`;
}

const MESSAGE = '<p id="message" class="message" role="status" aria-live="polite" hidden></p>';

const PASSKEY = `<label for="passkey-name">Name of the passkey</label><input id="passkey-name" maxlength="60" autocomplete="off" value="this device">
<p><button id="add-passkey" type="button">Add a passkey</button></p>`;

export const CLAIM: Page = {
  title: 'Claim this server · Postern',
  script: 'claim.js',
  body: `<header class="narrow"><h1>Claim this server</h1></header>
<main class="narrow">
${MESSAGE}
<section id="ask" aria-labelledby="ask-title">
<h2 id="ask-title">Become its first admin</h2>
<p>Nothing has changed by opening this page. The button makes you the admin; the code of the link works once, within an hour.</p>
<p id="who-part" hidden>You are <strong id="who"></strong>.</p>
<label for="code">Code of the claim link</label><input id="code" type="password" autocomplete="off" spellcheck="false">
<p><button id="claim" type="button" class="main">Make me the admin</button></p>
</section>
<section id="done" aria-labelledby="done-title" hidden>
<h2 id="done-title">You are the admin</h2>
<p>Your identity alone changes nothing here, because programs on your devices share it: what administers needs you in person. For ten minutes this browser vouches for you.</p>
<div id="passkey-part">
<p>Add a passkey now, so that you can show your presence later without the server’s terminal.</p>
${PASSKEY}
</div>
<p><a href="/">To the console</a></p>
</section>
</main>`,
};

export const PRESENCE: Page = {
  title: 'Presence · Postern',
  script: 'presence.js',
  body: `<header class="narrow"><h1>Presence</h1><p id="who" class="soft"></p></header>
<main class="narrow">
${MESSAGE}
<p class="lead"><strong id="state" role="status">…</strong></p>
<p class="soft">Programs on your devices share your identity. What changes the server, mints tokens or reads what others wrote needs you in person. It holds for ten minutes.</p>
<section id="request" aria-labelledby="request-title" hidden>
<h2 id="request-title">A command line asks for you</h2>
<div id="request-open">
<p>“<span id="request-client"></span>” should show this mark. If it does not, somebody else asks: do not approve.</p>
<p><output id="request-code" class="mark"></output></p>
<p id="request-wait" class="soft">Show first that you are here.</p>
<p><button id="approve" type="button" class="main" hidden>Approve</button></p>
</div>
<p id="request-over" role="status" hidden></p>
</section>
<section id="ask" aria-labelledby="ask-title" hidden>
<h2 id="ask-title">Show that you are here</h2>
<div id="passkey-way" hidden><p><button id="use-passkey" type="button" class="main">Use a passkey</button></p><p class="soft">Or, without one:</p></div>
<label for="code">One-time code that the server prints on its terminal</label><input id="code" type="password" autocomplete="off" spellcheck="false">
<p><button id="use-code" type="button">Use the code</button> <button id="ask-code" type="button">Print a code</button></p>
</section>
<section id="done" aria-labelledby="done-title" hidden>
<h2 id="done-title">Your passkeys</h2>
<ul id="passkeys" class="rows"></ul>
${PASSKEY}
<h2>Finished?</h2>
<p><button id="end" type="button">End my presence everywhere</button></p>
</section>
<p><a href="/">To the console</a></p>
</main>`,
};
