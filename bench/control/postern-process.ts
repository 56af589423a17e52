/**
 * The coordination server alone in a process, over its real store, as src/composition/control.ts joins them:
 * without relay, doors or console. The bench asks for tailnets and policies at `/bench`, on the same
 * loopback port. Arguments: port, state folder. Its first line is the port.
 */
import http from 'node:http';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import { createNetworkCompiler } from '../../src/composition/control-policy.ts';
import { X25519PrivateKey } from '../../src/crypto/index.ts';
import { openSqliteStore } from '../../src/store/index.ts';
import { ControlAdministration, ControlServer, Coordinator } from '../../src/tailnet/control/index.ts';

const [port = '0', folder = '.'] = process.argv.slice(2);
/** The same in each life of the process, as from a master key. */
const KEY = Buffer.alloc(32, 7);
const RELAYS = {
  Regions: {
    900: {
      RegionID: 900,
      RegionCode: 'bench',
      RegionName: 'Bench',
      Nodes: [{ Name: '900a', RegionID: 900, HostName: '127.0.0.1', IPv4: '127.0.0.1', STUNPort: -1 }],
    },
  },
};

const store = await openSqliteStore({
  file: join(folder, 'bench.db'),
  logger: silentLogger,
  clock: systemClock,
  auditKey: KEY,
  bodyKey: KEY,
  bodyHashKey: KEY,
});
const coordinator = await Coordinator.open({
  store,
  compiler: createNetworkCompiler(),
  relays: { current: () => RELAYS },
  domainSuffix: 'bench.internal',
  authKeyHashKey: KEY,
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
});
const admin = new ControlAdministration(coordinator);
const control = new ControlServer({
  coordinator,
  noiseKey: X25519PrivateKey.fromBytes(KEY),
  publicUrl: () => `http://127.0.0.1:${port}`,
  logger: silentLogger,
});

async function administer(asked: URLSearchParams): Promise<string> {
  const name = asked.get('tailnet') ?? '';
  const policy = asked.get('policy');
  if (policy !== null) {
    await admin.changeTailnet(admin.tailnet(name), { policy });
    return 'ok';
  }
  const tailnet = await admin.createTailnet({ name, kind: 'people' });
  const user = await admin.addUser(tailnet, {
    login: `owner@${name}.example.com`,
    displayName: 'Owner',
    role: 'owner',
  });
  const { text } = await admin.createAuthKey(tailnet, {
    description: 'bench',
    userId: user.id,
    tags: [],
    isReusable: true,
    isEphemeral: false,
    isPreauthorized: true,
    lifeMs: 3_600_000,
    createdBy: 'bench',
  });
  return text.reveal();
}

const server = http.createServer((request, response) => {
  const [path, query = ''] = (request.url ?? '').split('?', 2);
  if (path === '/bench') {
    administer(new URLSearchParams(query)).then(
      (answer) => response.end(answer),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
    return;
  }
  if (!control.handleRequest(request, response)) response.writeHead(404).end();
});
server.on('upgrade', (request, socket, head) => {
  if (!control.handleUpgrade(request, socket, head)) socket.destroy();
});
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 }, () => {
  process.stdout.write(`${port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
