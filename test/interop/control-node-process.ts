/**
 * A node of ours as a program on a machine of the bed: it joins, serves HTTP on port 80 of its tailnet
 * address, and does what it is asked through a socket file (`control-node.ts`).
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import { text } from 'node:stream/consumers';
import { Agent, request } from 'undici';
import { TailnetNode, type NodeEvent, type TailnetNodeOptions } from '../../src/tailnet/index.ts';

/** As JSON in the first argument. */
export interface ControlNodeSettings {
  /** File of the socket that it takes orders on. */
  readonly socketPath: string;
  readonly node: Pick<
    TailnetNodeOptions,
    'stateDir' | 'hostname' | 'controlUrl' | 'authKey' | 'ephemeral' | 'tags' | 'port' | 'acceptRoutes'
  >;
}

/** An event with the time it came, in ms since 1970. */
export type TimedEvent = NodeEvent & { readonly at: number };

/** Whoever asks for `/hold` is kept until the connection ends, and then is here. */
export interface HeldConnection {
  readonly from: string;
  readonly endedAt: number | null;
}

type Order = (...words: readonly string[]) => unknown;

const settings = JSON.parse(process.argv[2] ?? 'null') as ControlNodeSettings;
const node = new TailnetNode(settings.node);
const events: TimedEvent[] = [];
const held: { from: string; endedAt: number | null }[] = [];

const server = http.createServer((asked, response) => {
  const peer = node.peerOf(asked.socket);
  response.setHeader('content-type', 'application/json');
  response.write(toJson({ peer, path: asked.url }));
  if (asked.url !== '/hold') {
    response.end();
    return;
  }
  const entry = { from: asked.socket.remoteAddress ?? '', endedAt: null as number | null };
  held.push(entry);
  const ticking = setInterval(() => response.write('\n'), 200);
  asked.socket.on('close', () => {
    clearInterval(ticking);
    entry.endedAt = Date.now();
  });
});

const orders: Readonly<Record<string, Order>> = {
  status: () => node.status(),
  ownNames: () => node.ownNames,
  events: () => events,
  held: () => held,
  whois: (address = '') => node.whois(address),
  lookup: (name = '') => node.lookup(name),
  get: async (host = '', path = '/') => {
    const agent = node.httpAgent();
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get({ agent, host, path, timeout: 10_000 }, resolve).on('error', reject);
    });
    const body = await text(response);
    agent.destroy();
    return body;
  },
  undici: async (host = '', path = '/') => {
    const dispatcher = new Agent({ connect: node.connector() });
    const { body } = await request(`http://${host}${path}`, { dispatcher });
    const answer = await body.text();
    await dispatcher.close();
    return answer;
  },
  /** HTTP/2 without TLS over a dialled socket. */
  http2: async (host = '', port = '0') => {
    const socket = await node.dial(host, Number(port), { allowHalfOpen: true });
    const session = http2.connect(`http://${host}`, { createConnection: () => socket });
    const answer = await text(session.request({ ':path': '/' }));
    session.close();
    return answer;
  },
  renewKey: () => node.renewKey(),
  logout: () => node.logout(),
  close: () => node.close(),
};

function toJson(value: unknown): string {
  return JSON.stringify(value ?? null, (_name, field: unknown) =>
    field instanceof Map ? Object.fromEntries(field) : field,
  );
}

async function main(): Promise<void> {
  node.onEvent((event) => events.push({ ...event, at: Date.now() }));
  const ordersServer = http.createServer((asked, response) => {
    const [name = '', ...words] = (asked.url ?? '').slice(1).split('/').map(decodeURIComponent);
    const order = orders[name];
    assert.ok(order !== undefined, `there is no order "${name}"`);
    Promise.resolve()
      .then(() => order(...words))
      .then(
        (result) => response.end(toJson(result)),
        (error: unknown) => {
          response.statusCode = 500;
          response.end(String(error));
        },
      );
  });
  ordersServer.listen(settings.socketPath);
  await node.up();
  node.listen(80, (socket) => server.emit('connection', socket), { allowHalfOpen: true });
  const http2Server = http2.createServer((_asked, response) => void response.end('h2'));
  node.listen(8080, (socket) => http2Server.emit('connection', socket), { allowHalfOpen: true });
}

if (import.meta.main) await main();
