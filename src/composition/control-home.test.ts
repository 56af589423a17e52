/** The gateway's way into its own network: inside the process, and nowhere else. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { AppError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import type { ControlAdministration } from '../tailnet/control/index.ts';
import { createHomeNetwork } from './control-home.ts';

function home(relay: string | null, tailnets: readonly string[] = []) {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the part that is asked
  const admin = {
    tailnets: () => tailnets.map((id) => ({ id, users: () => [], nodes: () => [] })),
    createAuthKey: () => Promise.resolve({ text: new Secret('a key') }),
  } as unknown as ControlAdministration;
  return createHomeNetwork({
    admin,
    tailnet: 'own',
    protocols: {
      handleRequest(req, res) {
        if (req.url !== '/key') return false;
        res.end('the key');
        return true;
      },
      wantsUpgrade: () => false,
      handleUpgrade: () => assert.fail('nothing is upgraded'),
    },
    relayAt: () => relay,
    isLocal: true,
  });
}

async function ask(dialed: Promise<NodeJS.ReadWriteStream>, path: string): Promise<string> {
  const stream = await dialed;
  stream.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(stream, 'end');
  return text;
}

test('control server and relay are reached inside the process; no other place is', async (t) => {
  const network = home('192.0.2.2:8080');
  t.after(() => network.close());
  const { hostname } = new URL(network.loginServer);
  assert.match(await ask(network.dialer.dial({ protocol: 'http:', hostname, port: 80 }), '/key'), /the key$/);
  const relay = network.dialer.dial({ protocol: 'https:', hostname: '192.0.2.2', port: 8080 });
  assert.match(await ask(relay, '/other'), /^HTTP\/1\.1 404/);
  for (const [host, port] of [
    ['192.0.2.2', 8081],
    ['169.254.169.254', 80],
    ['localhost', 8080],
  ] as const)
    await assert.rejects(
      network.dialer.dial({ protocol: 'http:', hostname: host, port }),
      (error) => error instanceof AppError && error.code === 'dial_refused_address',
      host,
    );
});

test('where no relay is told of, none is reached; where no tailnet is left, no key is made', async (t) => {
  const network = home(null);
  t.after(() => network.close());
  await assert.rejects(network.dialer.dial({ protocol: 'https:', hostname: '192.0.2.2', port: 8080 }));
  assert.equal(network.hasGateway(), false);
  assert.equal(network.owner, null);
  await assert.rejects(network.createKey(), /was deleted/);
});

test('a gateway whose tailnet was deleted joins no other: its keys and records are not theirs (DESIGN section 12)', async (t) => {
  const orphan = home(null, ['customer']);
  t.after(() => orphan.close());
  await assert.rejects(
    orphan.createKey(),
    (error) => error instanceof AppError && error.code === 'network_off',
  );
  const network = home(null, ['customer', 'own']);
  t.after(() => network.close());
  assert.equal((await network.createKey()).reveal(), 'a key');
});
