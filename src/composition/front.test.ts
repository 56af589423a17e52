import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { createLogger } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import type { GatewayParts } from '../gateway/index.ts';
import { createRequestGuard } from '../net/index.ts';
import type { DeviceProtocols } from './control-upgrades.ts';
import { createFront } from './front.ts';

const NO_DEVICES: DeviceProtocols = {
  handleRequest: () => false,
  wantsUpgrade: () => false,
  handleUpgrade: () => assert.fail('nothing is upgraded'),
};

test('a door that fails lets nobody in, says nothing of why, and does not end the process', async (t) => {
  const lines: string[] = [];
  const logger = createLogger({
    format: 'text',
    level: 'info',
    write: (line) => lines.push(line),
    now: Date.now,
  });
  const guard = createRequestGuard({ hosts: ['localhost'], scheme: 'http' });
  const front = createFront({
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no request comes as far as the gateway
    gateway: { clock: systemClock, random: systemRandom, logger } as GatewayParts,
    api: {
      handle: () => assert.fail('nobody is let in'),
      refuse: () => assert.fail('not a path of the API'),
      owns: () => false,
      isPage: () => false,
      takesAnyBody: () => false,
      offerClaim: () => Promise.resolve(null),
      openapi: () => ({}),
      routes: [],
      close: () => {},
    },
    identifier: { identify: () => Promise.reject(new Error('a secret detail')) },
    guards: { loopback: guard, socket: guard, tailnet: guard, serve: guard, public: guard },
    protocols: NO_DEVICES,
    isSecure: () => false,
  });
  const server = http.createServer((req, res) => front(req, res, 'loopback')).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const request = http.get({
    port,
    host: '127.0.0.1',
    path: '/v1/models',
    headers: { host: 'localhost' },
    agent: false,
  });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const text = (await response.toArray()).join('');
  assert.equal(response.statusCode, 500);
  assert.ok(!text.includes('secret detail'), text);
  assert.ok(lines.join('').includes('secret detail'), 'the log has it');
});
