/**
 * A coordination server on a machine of the bed: the real driver over a real store, and a socket over which
 * a test administers it. Arguments: its address, the state folder, the admin socket, `relay` to offer one.
 */
import http from 'node:http';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { createLogger } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import { X25519PrivateKey } from '../../src/crypto/index.ts';
import { openSqliteStore } from '../../src/store/index.ts';
import {
  ControlAdministration,
  ControlServer,
  Coordinator,
  setSignInRules,
  SignInPages,
  SignIns,
} from '../../src/tailnet/control/index.ts';
import { createRelay, StunServer } from '../../src/tailnet/derp/server/index.ts';
import { createNetworkCompiler } from '../../src/composition/control-policy.ts';
import type { ControlCommand } from './control-server.ts';

const PORT = 8080;
const REGION = 901;
const [address = '', stateDir = '', adminSocket = ''] = process.argv.slice(2);
const logger = createLogger({
  format: 'text',
  write: (line) => process.stderr.write(line),
  now: () => Date.now(),
});

const store = await openSqliteStore({
  file: join(stateDir, 'control.db'),
  logger,
  clock: systemClock,
  auditKey: Buffer.alloc(32, 1),
  bodyKey: Buffer.alloc(32, 2),
  bodyHashKey: Buffer.alloc(32, 3),
});
const stun = await StunServer.open({ clock: systemClock, port: 3478, address4: address, address6: null });
const coordinator = await Coordinator.open({
  store,
  compiler: createNetworkCompiler(),
  relays: {
    current: () => ({
      Regions: {
        [REGION]: {
          RegionID: REGION,
          RegionCode: 'own',
          RegionName: 'Postern',
          Nodes: [
            {
              Name: `${REGION}a`,
              RegionID: REGION,
              HostName: address,
              IPv4: address,
              DERPPort: PORT,
              STUNPort: stun.port,
              InsecureForTests: true,
            },
          ],
        },
      },
    }),
  },
  domainSuffix: 'bed.internal',
  authKeyHashKey: Buffer.alloc(32, 4),
  ephemeralSilenceMs: 4000,
  offlineGraceMs: 1000,
  clock: systemClock,
  random: systemRandom,
  logger,
});
const relay = createRelay({
  admission: {
    admit(nodeKey) {
      const holder = coordinator.holder(nodeKey);
      return holder === null ? null : { tailnets: [holder.tailnet.id] };
    },
  },
  clock: systemClock,
  random: systemRandom,
});
coordinator.onDeviceEnd(({ nodeKey }) => relay.revoke(nodeKey));
const control = new ControlServer({
  coordinator,
  noiseKey: X25519PrivateKey.fromBytes(Buffer.alloc(32, 5)),
  publicUrl: () => `http://${address}:${PORT}`,
  logger,
});
const admin = new ControlAdministration(coordinator);

/** Whom the bed's provider vouches for; it sends the browser back at once. */
let signedIn = 'nobody@example.com';
const signInPages = new SignInPages({
  signIns: new SignIns({
    coordinator,
    providers: [
      {
        id: 'bed',
        title: 'Bed',
        begin(redirectUri) {
          const state = Buffer.from(systemRandom.bytes(16)).toString('hex');
          const finish = () =>
            Promise.resolve({ subject: signedIn, email: signedIn, name: signedIn, groups: [] });
          return Promise.resolve({ url: `${redirectUri}?code=c&state=${state}`, state, finish });
        },
      },
    ],
  }),
  origin: `http://${address}:${PORT}`,
  logger,
});

const outer = http.createServer((request, response) => {
  if (signInPages.handleRequest(request, response)) return;
  if (!control.handleRequest(request, response) && !relay.handleRequest(request, response))
    response.writeHead(404).end();
});
outer.on('upgrade', (request, socket, head) => {
  if (!control.handleUpgrade(request, socket, head) && !relay.handleUpgrade(request, socket, head))
    socket.destroy();
});
outer.listen(PORT, address);

async function obey(command: ControlCommand): Promise<unknown> {
  const tailnet = 'tailnet' in command ? admin.tailnet(command.tailnet) : null;
  switch (command.do) {
    case 'create': {
      const made = await admin.createTailnet({ name: command.name, kind: command.kind });
      for (const login of command.users)
        await admin.addUser(made, { login, displayName: login, role: 'member' });
      return made.id;
    }
    case 'key': {
      if (tailnet === null) return null;
      const user = tailnet.users().find(({ login }) => login === command.user);
      const { text } = await admin.createAuthKey(tailnet, {
        description: 'bed',
        userId: user?.id ?? null,
        tags: command.tags ?? [],
        isReusable: command.reusable === true,
        isEphemeral: command.ephemeral === true,
        isPreauthorized: command.preauthorized !== false,
        lifeMs: 3_600_000,
        createdBy: 'bed',
      });
      return text.reveal();
    }
    case 'change':
      if (tailnet !== null) await admin.changeTailnet(tailnet, command.change);
      return null;
    case 'device':
      if (tailnet !== null)
        await admin.changeDevice(tailnet, admin.device(tailnet, command.device), command.change);
      return null;
    case 'remove':
      if (tailnet !== null) await admin.removeDevice(tailnet, admin.device(tailnet, command.device));
      return null;
    case 'devices':
      return tailnet?.nodes().map((node) => ({ ...node, isOnline: tailnet.isOnline(node.id) })) ?? [];
    case 'ping':
      return tailnet === null ? null : control.ping(admin.device(tailnet, command.device).id, 5000);
    case 'echo': {
      if (tailnet === null) return null;
      const request = Buffer.from('POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello');
      const answer = await control.askClient(admin.device(tailnet, command.device).id, request, 5000);
      return answer?.toString('utf8') ?? null;
    }
    case 'sign-in':
      signedIn = command.email;
      if (tailnet !== null) {
        const rule = { provider: 'bed', domains: ['example.com'], emails: [], groups: [], policyGroups: {} };
        await setSignInRules(coordinator, tailnet, { rules: [rule], providers: ['bed'] });
      }
      return null;
    case 'approve': {
      const login = admin.login(command.code);
      const user = tailnet?.users().find((found) => found.login === command.user);
      if (tailnet !== null) await admin.approve(login, tailnet, user?.id ?? 0);
      return login.host?.facts.hostname;
    }
    case 'counters':
    default:
      return { ...control.counters(), relay: relay.counters() };
  }
}

http
  .createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      obey(JSON.parse(Buffer.concat(chunks).toString('utf8')) as ControlCommand).then(
        (answer) => response.end(JSON.stringify({ answer: answer ?? null })),
        (error: unknown) => response.end(JSON.stringify({ error: String(error) })),
      );
    });
  })
  .listen(adminSocket);
process.stdout.write('ready\n');
