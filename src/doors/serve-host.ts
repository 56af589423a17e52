/**
 * The name by which a caller behind `tailscale serve` asked for this server (ipn/ipnlocal/serve.go).
 * Towards a TCP port serve keeps `Host` as the caller sent it. Towards a Unix socket it writes
 * `localhost` there. In both cases it sets `X-Forwarded-Host` to the caller's `Host`, in place of
 * whatever the caller wrote there.
 *
 * Only for requests of the serve listener, which nobody but serve reaches: elsewhere that header is a
 * stranger's word.
 */
import type { IncomingMessage } from 'node:http';

/** What serve writes into `Host` for a Unix socket. */
const SOCKET_HOST = 'localhost';

/**
 * Puts the caller's name back into `Host`, so that what follows (the closed list of names, the own
 * origin) judges the name that the caller's browser believes in. Changes nothing where `Host` is not
 * serve's placeholder, or where there is not exactly one of either header.
 */
export function restoreServeHost(req: Pick<IncomingMessage, 'headers' | 'rawHeaders'>): void {
  if (req.headers.host !== SOCKET_HOST) return;
  const { rawHeaders } = req;
  const hosts: number[] = [];
  const forwarded: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase();
    if (name === 'host') hosts.push(i + 1);
    else if (name === 'x-forwarded-host') forwarded.push(rawHeaders[i + 1] ?? '');
  }
  const [at, ...moreHosts] = hosts;
  const [host, ...moreForwarded] = forwarded;
  if (at === undefined || host === undefined || moreHosts.length > 0 || moreForwarded.length > 0) return;
  rawHeaders[at] = host;
  req.headers.host = host;
}
