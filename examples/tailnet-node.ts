/**
 * A web server that is a device of your tailnet and knows who asks, in a program that needs no root and
 * no daemon. Joins Tailscale, Headscale or Postern:
 *
 *     node examples/tailnet-node.ts https://headscale.example
 *
 * The first time it prints the URL where you let it in, unless TS_AUTHKEY has an auth key. In a program
 * of your own the import is `postern/tailnet`.
 */
import http from 'node:http';
import { TailnetNode } from '../src/tailnet/index.ts';

const authKey = process.env['TS_AUTHKEY'];
const node = new TailnetNode({
  controlUrl: process.argv[2] ?? 'https://controlplane.tailscale.com',
  stateDir: process.env['STATE_DIR'] ?? './hello-state',
  hostname: 'hello',
  ...(authKey === undefined ? {} : { authKey }),
});

const server = http.createServer((request, response) => {
  const peer = node.peerOf(request.socket);
  response.end(`hello ${peer?.user?.displayName ?? peer?.name ?? 'stranger'}\n`);
});

await node.up({ onLoginUrl: (url) => console.log(`let this device in: ${url}`) });
node.listen(80, (socket) => server.emit('connection', socket), { allowHalfOpen: true });
console.log(`listening on http://${node.ownNames[0]}/ and http://${node.addresses[0]}/`);

process.once('SIGINT', () => void node.close());
process.once('SIGTERM', () => void node.close());
