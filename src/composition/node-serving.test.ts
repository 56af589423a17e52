/** The gateway's ports and names in a joined network. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { silentLogger } from '../base/log.ts';
import type { Listener } from '../net/index.ts';
import { TEST_CERT, TEST_KEY } from '../net/test-certificates.ts';
import { NodeServing, type ServedNode } from './node-serving.ts';

test('with a certificate 443 is open, and only what it covers is HTTPS', () => {
  const ports: number[] = [];
  const node: unknown = {
    ownNames: ['localhost', 'ai'],
    status: () => ({ state: 'running', addresses: ['100.64.0.5', 'fd7a::5'] }),
    listen: (port: number) => ports.push(port),
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parts that are used
  const served = node as ServedNode;
  const serving = new NodeServing({ hosts: [], logger: silentLogger });
  assert.equal(serving.open(served), false, 'nowhere to lead to yet');
  const certificate = {
    current: { cert: TEST_CERT, key: TEST_KEY },
    onChange: () => undefined,
    reload: () => Promise.resolve(),
    close: () => undefined,
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the part that is used
  const http = { feed: () => (_socket: Duplex) => undefined } as unknown as Listener;
  serving.attach({ http, certificate, onHosts: () => undefined });
  assert.deepEqual(serving.urlsOf(served), []);
  assert.equal(serving.open(served), true);
  assert.equal(serving.open(served), false, 'once');
  assert.deepEqual(ports, [80, 443]);
  assert.deepEqual(serving.urlsOf(served), [
    'https://localhost',
    'http://ai',
    'http://100.64.0.5',
    'http://[fd7a::5]',
  ]);
});
