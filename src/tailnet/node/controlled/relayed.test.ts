/** Two nodes that have nothing but a relay between them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { systemClock } from '../../../base/clock.ts';
import { systemRandom } from '../../../base/random.ts';
import { createSelfSignedCertificate, readCertificate, X25519PrivateKey } from '../../../crypto/index.ts';
import { DerpConnection } from '../../derp/index.ts';
import { createRelay } from '../../derp/server/index.ts';
import { eventually } from '../../../../test/scenarios/ask.ts';
import { allowLoopbackPaths } from '../node-options.ts';
import { FakeNetwork, type JoinedNode } from './network.fixture.ts';
import { createSystemDialer } from './system-dialer.ts';

const REGION = 7;
const day = 86_400_000;
const certificate = createSelfSignedCertificate({
  commonName: 'relay.test',
  names: ['relay.test'],
  addresses: [],
  notBefore: Date.now() - day,
  notAfter: Date.now() + day,
});
const pin = readCertificate(certificate.cert)?.fingerprint.replaceAll(':', '').toLowerCase() ?? '';
const relay = createRelay({
  admission: { admit: () => ({ tailnets: ['one'] }) },
  clock: systemClock,
  random: systemRandom,
});
const server = https.createServer(certificate);
let port = 0;
let network: FakeNetwork;

before(async () => {
  server.on('request', (request, response) => void relay.handleRequest(request, response));
  server.on('upgrade', (request, socket, head: Buffer) => void relay.handleUpgrade(request, socket, head));
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});
after(() => {
  relay.close();
  server.close();
});
beforeEach(async () => {
  network = await FakeNetwork.start();
});
afterEach(() => network.close());

function derpMap(certificateSha256: string): object {
  const CertName = `sha256-raw:${certificateSha256}`;
  const node = {
    Name: 'r',
    HostName: 'relay.test',
    IPv4: '127.0.0.1',
    DERPPort: port,
    STUNPort: -1,
    CertName,
  };
  return { Regions: { [REGION]: { RegionID: REGION, RegionCode: 'r', Nodes: [node] } } };
}

/** Without direct paths over loopback there is only the relay. */
const relayOnly = { [allowLoopbackPaths]: undefined as never };

async function connected({ node }: JoinedNode): Promise<void> {
  await eventually(
    () => Promise.resolve(node.status().control?.relays[0]?.state === 'connected' ? true : null),
    'the relay is connected',
  );
}

describe('through a relay', () => {
  test('nodes reach each other, by the relay whose certificate the map pins', async () => {
    network.extra = { DERPMap: derpMap(pin) };
    network.fields.set('ay', { HomeDERP: REGION });
    network.fields.set('bee', { HomeDERP: REGION });
    const ay = await network.join('ay', relayOnly);
    const bee = await network.join('bee', relayOnly);
    await Promise.all([connected(ay), connected(bee)]);
    await network.settle(ay, bee);
    ay.node.listen(7, (socket) => socket.end(`hello ${ay.node.peerOf(socket)?.name}`));
    assert.equal(await text(await bee.node.dial('ay', 7, { timeoutMs: 5000 })), 'hello bee');
    const [peer] = ay.node.status().peers;
    assert.deepEqual([peer?.path, peer?.relayRegion, peer?.endpoint], ['relay', REGION, null]);
    assert.equal(ay.node.status().control?.homeDerp, REGION);
  });

  test('a relay with another certificate than the map’s gets nothing', async () => {
    network.extra = { DERPMap: derpMap('0'.repeat(64)) };
    const { node } = await network.join('ay', relayOnly);
    const problem = await eventually(
      () => Promise.resolve(node.status().control?.relays[0]?.problem ?? null),
      'the relay has a problem',
    );
    assert.match(problem, /cannot connect to relay\.test/);
  });

  test('packets of a key that no peer has are dropped and counted', async () => {
    network.extra = { DERPMap: derpMap(pin) };
    const ay = await network.join('ay', relayOnly);
    await connected(ay);
    const stranger = await DerpConnection.connect({
      dialer: createSystemDialer(),
      target: {
        protocol: 'https:',
        hostname: 'relay.test',
        address: '127.0.0.1',
        port,
        certificateSha256: pin,
      },
      nodeKey: X25519PrivateKey.generate(systemRandom),
      clock: systemClock,
      random: systemRandom,
      signal: AbortSignal.timeout(5000),
      onPacket: () => assert.fail('nobody answers a stranger'),
      onPeerGone: () => undefined,
      onHealth: () => undefined,
      onRestarting: () => undefined,
    });
    await eventually(() => {
      stranger.send(ay.node.publicKey.bytes, Buffer.from('a packet'));
      const { relayStranger = 0 } = ay.node.status().control?.counters.carrier ?? {};
      return Promise.resolve(relayStranger > 0 ? true : null);
    }, 'the packet is counted');
    stranger.close();
    await stranger.ended;
  });
});
