/**
 * A second person at the same machine, with a browser of their own: their requests come from another
 * user's process, by which the `local` door tells who they are.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Browser } from 'playwright-core';
import { OTHER_PRINCIPAL } from '../scenarios/other-user.ts';
import { openWatchedPage, type WatchedPage } from './browser.ts';

/**
 * A forward proxy (RFC 9112 section 3.2.2) that becomes the other user and then prints its port. It
 * takes the browser's requests for the server under test to it, and changes nothing in them.
 */
const SCRIPT = `
const uid = Number(process.argv[1]);
process.setgroups([]);
process.setgid(uid);
process.setuid(uid);
const http = require('node:http');
const server = http.createServer((request, response) => {
  const { 'proxy-connection': _, ...headers } = request.headers;
  const forwarded = http.request(request.url, { method: request.method, headers, agent: false }, (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    response.flushHeaders();
    answer.on('error', () => response.destroy());
    answer.pipe(response);
  });
  forwarded.on('error', () => response.destroy());
  response.on('close', () => forwarded.destroy());
  request.pipe(forwarded);
});
server.listen(0, '127.0.0.1', () => process.stdout.write(String(server.address().port)));
`;

export interface OtherPerson extends WatchedPage {
  readonly principal: string;
}

/** Opens the console as `OTHER_PRINCIPAL`. Only root may (`MAY_BE_OTHER`). */
export async function openAsOther(browser: Browser, origin: string, path = '/'): Promise<OtherPerson> {
  const uid = OTHER_PRINCIPAL.replace(/^local:/, '');
  const relay = spawn(process.execPath, ['-e', SCRIPT, uid], {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = await once(relay.stdout, 'data');
  // Chromium asks loopback directly unless this is taken from what bypasses the proxy.
  const proxy = { server: `http://127.0.0.1:${String(port)}`, bypass: '<-loopback>' };
  const watched = await openWatchedPage(browser, origin, { proxy });
  await watched.page.goto(origin + path);
  await watched.page.locator('main h1').first().waitFor();
  return {
    ...watched,
    principal: OTHER_PRINCIPAL,
    async close() {
      await watched.close();
      relay.kill();
      await once(relay, 'exit');
    },
  };
}
