/** Providers on the joined network (DESIGN section 6): what goes through the node, and what does not. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { test } from 'node:test';
import tls from 'node:tls';
import type { Dialer } from '../net/index.ts';
import { TEST_CERT, TEST_KEY } from '../net/test-certificates.ts';
import { createNetworkDialer, type DeviceRoute, type NetworkNames, routeThrough } from './node-upstream.ts';

const NAMES = new Map<string, readonly string[]>([
  ['ai.tail1.example.net', ['100.64.0.1']],
  ['gpu.tail1.example.net', ['100.64.0.7', 'fd7a::7']],
  ['gpu', ['100.64.0.7']],
  ['api.openai.com', ['100.64.0.66']],
  ['odd.tail1.example.net', ['8.8.8.8']],
  ['ghost.tail1.example.net', ['100.64.0.99']],
]);
const PEERS = new Set(['100.64.0.7', 'fd7a::7', '8.8.8.8', '100.64.0.66']);

function network(): NetworkNames {
  const node: unknown = {
    ownNames: ['ai.tail1.example.net', 'ai'],
    lookup: (name: string) => NAMES.get(name) ?? [],
    whois: (address: string) => (PEERS.has(address) ? {} : null),
    dial: (address: string, port: number) => Promise.resolve(`${address} ${port}`),
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parts that are used
  return node as NetworkNames;
}

test('a device is reached by its full name or its address, and by nothing else', async () => {
  const node = network();
  for (const [host, address] of [
    ['gpu.tail1.example.net', '100.64.0.7'],
    ['GPU.tail1.example.net.', '100.64.0.7'],
    ['100.64.0.7', '100.64.0.7'],
    ['[fd7a:0::7]', 'fd7a::7'],
  ] as const) {
    const route = routeThrough(node, host);
    const dialled: unknown = await route?.dial(80, { signal: AbortSignal.timeout(1000), timeoutMs: 1000 });
    assert.equal(dialled, `${address} 80`, host);
  }
  for (const host of [
    'gpu',
    'api.openai.com',
    'ai.tail1.example.net',
    'odd.tail1.example.net',
    'ghost.tail1.example.net',
    'unknown.tail1.example.net',
    'gpu.tail1.example.net.evil.example',
    '8.8.8.8',
    '100.64.0.99',
    '127.0.0.1',
    '',
  ])
    assert.equal(routeThrough(node, host), null, host);
});

function dialerWith(route: DeviceRoute | null): { readonly dialer: Dialer; readonly guarded: string[] } {
  const guarded: string[] = [];
  const dialer = createNetworkDialer({
    guarded: {
      dial({ hostname }) {
        guarded.push(hostname);
        return Promise.reject(new Error('guarded'));
      },
    },
    routeTo: () => route,
    caFiles: [],
    connectMs: 300,
  });
  return { dialer, guarded };
}

const TARGET = { protocol: 'http:', hostname: 'gpu.tail1.example.net', port: 80 } as const;

test('what is not on the network goes the guarded way', async () => {
  const { dialer, guarded } = dialerWith(null);
  await assert.rejects(dialer.dial({ ...TARGET, hostname: 'api.example.com' }), /guarded/);
  assert.deepEqual(guarded, ['api.example.com']);
});

test('the bytes of a plain connection come by `onread`, in pieces of its buffer', async () => {
  const [ours, theirs] = duplexPair();
  const { dialer, guarded } = dialerWith({ dial: () => Promise.resolve(ours) });
  const seen: string[] = [];
  const buffer = Buffer.alloc(4);
  const done = Promise.withResolvers<void>();
  await dialer.dial({
    ...TARGET,
    onread: {
      buffer,
      callback(length) {
        seen.push(buffer.toString('latin1', 0, length));
        if (seen.length === 3) done.resolve();
        return true;
      },
    },
  });
  theirs.write('0123456789');
  await done.promise;
  assert.deepEqual([seen, guarded], [['0123', '4567', '89'], []]);
});

test('a device that refuses or is silent is a dial error in words', async () => {
  const refused = dialerWith({ dial: () => Promise.reject(new Error('ECONNREFUSED')) });
  await assert.rejects(refused.dialer.dial(TARGET), { code: 'dial_failed', message: /ECONNREFUSED/ });
  const silent = dialerWith({
    dial: (_port, { signal }) =>
      new Promise<Duplex>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('given up')), { once: true });
      }),
  });
  const alive = setTimeout(() => undefined, 5000);
  await assert.rejects(silent.dialer.dial(TARGET), { code: 'dial_timeout', message: /300 ms/ });
  clearTimeout(alive);
});

test('TLS through the network needs a certificate that is trusted', async () => {
  const [ours, theirs] = duplexPair();
  const server = new tls.TLSSocket(theirs, {
    isServer: true,
    secureContext: tls.createSecureContext({ cert: TEST_CERT, key: TEST_KEY }),
  });
  server.on('error', () => undefined);
  const { dialer } = dialerWith({ dial: () => Promise.resolve(ours) });
  const dialled: Promise<Socket> = dialer.dial({ ...TARGET, protocol: 'https:', port: 443 });
  await assert.rejects(dialled, { code: 'tls_failed' });
  assert.ok(ours.destroyed);
});
