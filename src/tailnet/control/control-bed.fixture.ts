/** A coordination server on loopback for tests: the real driver, a store in memory, and a policy that a test sets. */
import http from 'node:http';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { systemRandom } from '../../base/random.ts';
import { Secret } from '../../base/secret.ts';
import { X25519PrivateKey } from '../../crypto/index.ts';
import { type FakeClient, startFakeClient } from '../protocol/fake-control.ts';
import type { NodeState } from '../protocol/index.ts';
import { ControlAdministration, type NewAuthKey } from './administration.ts';
import { ControlServer } from './control-server.ts';
import { Coordinator, type CoordinatorOptions } from './coordinator.ts';
import type { ControlStore, NetworkPolicyCompiler, NetworkRules, PolicyNode, StoredRecord } from './ports.ts';
import type { UserRecord } from './records.ts';
import type { Tailnet } from './tailnet.ts';

/** Rules of tests: who may reach whom is a question of the devices' tags. */
export function testCompiler(mayReach: (a: PolicyNode, b: PolicyNode) => boolean): NetworkPolicyCompiler {
  return {
    compile(_text, world): NetworkRules {
      const nodes = new Map(world.nodes.map((node) => [node.id, node]));
      const reaches = (a: PolicyNode, b: PolicyNode): boolean => a.id !== b.id && mayReach(a, b);
      const peersOf = (id: number): ReadonlySet<number> => {
        const self = nodes.get(id);
        if (self === undefined) return new Set();
        const peers = [...nodes.values()].filter((other) => reaches(self, other) || reaches(other, self));
        return new Set(peers.map((peer) => peer.id));
      };
      const touched = (id: number, change: () => void): ReadonlySet<number> => {
        const before = peersOf(id);
        change();
        return new Set([id, ...before, ...peersOf(id)]);
      };
      return {
        peersOf,
        filterOf(id) {
          const self = nodes.get(id);
          const sources = [...nodes.values()].filter((other) => self !== undefined && reaches(other, self));
          if (self === undefined || sources.length === 0) return [];
          const ports = self.addresses.map((IP) => ({ IP, Ports: { First: 0, Last: 65_535 } }));
          return [{ SrcIPs: sources.flatMap(({ addresses }) => addresses), DstPorts: ports }];
        },
        sshPolicyOf: () => null,
        capabilitiesOf: () => ({}),
        routesFor: (_viewer, peer) => nodes.get(peer)?.routes ?? [],
        approvesRoute: (id) => nodes.get(id)?.tags.includes('tag:router') ?? false,
        mayTag: (_user, tag) => tag === 'tag:own',
        setNode: (node) => touched(node.id, () => void nodes.set(node.id, node)),
        removeNode: (id) => touched(id, () => void nodes.delete(id)),
        setUser: () => new Set(nodes.keys()),
      };
    },
  };
}

/** Every device reaches every other. */
export const ALLOW_ALL = testCompiler(() => true);

export interface MemoryControlStore extends ControlStore {
  readonly rows: Map<string, StoredRecord>;
  /** The next writes fail with it, while it is set. */
  fault: Error | null;
}

export function memoryStore(): MemoryControlStore {
  const rows = new Map<string, StoredRecord>();
  const keyOf = ({ tailnet, kind, name }: Omit<StoredRecord, 'body'>): string => `${tailnet}|${kind}|${name}`;
  const store: MemoryControlStore = {
    rows,
    fault: null,
    listControlRecords: () => Promise.resolve([...rows.values()]),
    writeControlRecords(puts, deletes) {
      if (store.fault !== null) return Promise.reject(store.fault);
      for (const row of puts) rows.set(keyOf(row), row);
      for (const name of deletes) rows.delete(keyOf(name));
      return Promise.resolve();
    },
  };
  return store;
}

export interface ControlBed {
  readonly url: string;
  readonly store: MemoryControlStore;
  readonly coordinator: Coordinator;
  readonly server: ControlServer;
  readonly admin: ControlAdministration;
  /** A tailnet of people with one member. */
  addPeople(name: string): Promise<{ readonly tailnet: Tailnet; readonly user: UserRecord }>;
  /** The text of a new auth key. */
  key(tailnet: Tailnet, more?: Partial<NewAuthKey>): Promise<string>;
  /** A client that joins; closed with the bed. */
  join(authKey: string | null, state?: NodeState): FakeClient;
  /** Another server process over the same store, at the same address. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export const TEST_RELAYS = {
  Regions: {
    '900': {
      RegionID: 900,
      RegionCode: 'own',
      RegionName: 'Postern',
      Nodes: [{ Name: '900a', RegionID: 900, HostName: '127.0.0.1', IPv4: '127.0.0.1', STUNPort: -1 }],
    },
  },
};

export type ControlBedOptions = Partial<
  Pick<CoordinatorOptions, 'compiler' | 'clock' | 'ephemeralSilenceMs' | 'offlineGraceMs'>
>;

export async function startControlBed(options: ControlBedOptions = {}): Promise<ControlBed> {
  const store = memoryStore();
  const noiseKey = X25519PrivateKey.generate(systemRandom);
  const clients: FakeClient[] = [];
  let url = '';
  const open = async (): Promise<{ coordinator: Coordinator; server: ControlServer }> => {
    const coordinator = await Coordinator.open({
      store,
      compiler: ALLOW_ALL,
      relays: { current: () => TEST_RELAYS },
      domainSuffix: 'test.internal',
      authKeyHashKey: Buffer.alloc(32, 1),
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      ...options,
    });
    const server = new ControlServer({ coordinator, noiseKey, publicUrl: () => url, logger: silentLogger });
    return { coordinator, server };
  };
  let running = await open();
  const outer = http.createServer((request, response) => {
    if (!running.server.handleRequest(request, response)) response.writeHead(404).end();
  });
  outer.on('upgrade', (request, socket, head) => {
    if (!running.server.handleUpgrade(request, socket, head)) socket.destroy();
  });
  await new Promise<void>((resolve) => outer.listen(0, '127.0.0.1', resolve));
  const address = outer.address();
  url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const admin = (): ControlAdministration => new ControlAdministration(running.coordinator);
  return {
    url,
    store,
    get coordinator() {
      return running.coordinator;
    },
    get server() {
      return running.server;
    },
    get admin() {
      return admin();
    },
    async addPeople(name) {
      const tailnet = await admin().createTailnet({ name, kind: 'people' });
      const user = await admin().addUser(tailnet, {
        login: `alice@${name}.example.com`,
        displayName: 'Alice',
        role: 'member',
      });
      return { tailnet, user };
    },
    async key(tailnet, more = {}) {
      const { text } = await admin().createAuthKey(tailnet, {
        description: 'test',
        userId: more.tags === undefined ? (tailnet.users()[0]?.id ?? null) : null,
        tags: [],
        isReusable: false,
        isEphemeral: false,
        isPreauthorized: true,
        lifeMs: 60_000,
        createdBy: 'test',
        ...more,
      });
      return text.reveal();
    },
    join(authKey, state) {
      const client = startFakeClient(url, authKey === null ? null : new Secret(authKey), state);
      clients.push(client);
      return client;
    },
    async restart() {
      await running.server.close();
      running = await open();
    },
    async close() {
      await Promise.all(clients.map(({ client }) => client.close()));
      await running.server.close();
      outer.closeAllConnections();
      await new Promise<void>((resolve) => outer.close(() => resolve()));
    },
  };
}

/** Resolves when the client's map has what `find` looks for. */
export function sees<Found>(
  { client, event }: FakeClient,
  find: (netmap: NonNullable<FakeClient['client']['netmap']>) => Found | null | undefined | false,
): Promise<Found> {
  const look = (): Found | null => {
    const found = client.netmap === null ? null : find(client.netmap);
    return found === undefined || found === false ? null : found;
  };
  const now = look();
  return now === null ? event((told) => (told.type === 'netmap' ? look() : null)) : Promise.resolve(now);
}
