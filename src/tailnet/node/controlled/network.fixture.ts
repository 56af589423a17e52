/** A whole network for tests, on loopback: a control server that says what a test wants, and nodes that join it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ControlCall, type FakeControl, startFakeControl } from '../../protocol/fake-control.ts';
import { allowLoopbackPaths, type TailnetNodeOptions } from '../node-options.ts';
import type { NodeEvent } from '../node-status.ts';
import { TailnetNode } from '../tailnet-node.ts';

type Fields = Readonly<Record<string, unknown>>;

export const ALLOW_ALL = [{ SrcIPs: ['*'], DstPorts: [{ IP: '*', Ports: { First: 0, Last: 65_535 } }] }];

/** A device as it registered. */
interface FakeDevice {
  readonly id: number;
  key: string;
  disco: string;
  endpoints: unknown;
  hostname: string;
  stream: ControlCall | null;
}

export interface JoinedNode {
  readonly node: TailnetNode;
  readonly events: readonly NodeEvent[];
  /** Resolves with the first event that `find` takes, past or to come. */
  event(find: (event: NodeEvent) => boolean): Promise<NodeEvent>;
}

export class FakeNetwork {
  readonly folder: string;
  readonly control: FakeControl;
  filter: readonly unknown[] = ALLOW_ALL;
  /** Of users; the owner of all devices is 1. */
  users: readonly unknown[] = [{ ID: 1, LoginName: 'alice@example.com', DisplayName: 'Alice' }];
  /** Fields of devices by name that replace the usual ones, in everybody's map. */
  readonly fields = new Map<string, Fields>();
  /** Devices that nobody started. */
  readonly strangers: Fields[] = [];
  /** Fields that every map has beside the usual ones. */
  extra: Fields = {};
  /** Answers a registration; null for the usual answer. */
  register: ((call: ControlCall) => boolean) | null = null;
  readonly #devices = new Map<string, FakeDevice>();
  readonly #hidden = new Set<number>();
  readonly #nodes: TailnetNode[] = [];
  #round = 0;
  #onCall: () => void = () => undefined;

  static async start(): Promise<FakeNetwork> {
    const folder = await mkdtemp(join(tmpdir(), 'postern-network-'));
    const control = await startFakeControl((call) => network.#handle(call));
    const network = new FakeNetwork(folder, control);
    return network;
  }

  private constructor(folder: string, control: FakeControl) {
    this.folder = folder;
    this.control = control;
  }

  #handle(call: ControlCall): void {
    if (call.path === '/machine/register') {
      if (this.register?.(call) !== true) call.answer(200, { MachineAuthorized: true });
      return;
    }
    const device = this.#deviceOf(call);
    const disco = call.body['DiscoKey'];
    if (typeof disco === 'string') device.disco = disco;
    if (call.body['Stream'] === true) device.stream = call;
    else {
      device.endpoints = call.body['Endpoints'];
      call.answer(200);
    }
    this.tell();
    this.#onCall();
  }

  #deviceOf({ body }: ControlCall): FakeDevice {
    const hostname = String(Object(body['Hostinfo'])['Hostname']);
    const key = String(body['NodeKey']);
    const known = this.#devices.get(hostname);
    const device = known ?? {
      id: this.#devices.size + 1,
      key,
      disco: '',
      endpoints: [],
      hostname,
      stream: null,
    };
    device.key = key;
    this.#devices.set(hostname, device);
    return device;
  }

  /** A map for everybody, as things stand. */
  tell(): void {
    for (const device of this.#devices.values()) {
      const peers = [...this.#devices.values()].filter((other) => other !== device);
      device.stream?.send({
        Node: this.#fieldsOf(device),
        Peers: [
          ...peers.filter(({ id }) => !this.#hidden.has(id)).map((peer) => this.#fieldsOf(peer)),
          ...this.strangers,
        ],
        PeersRemoved: [...this.#hidden],
        UserProfiles: this.users,
        PacketFilter: this.filter,
        Domain: 'example.com',
        Health: [`round ${this.#round}`],
        ...this.extra,
      });
    }
  }

  #fieldsOf({ id, key, disco, endpoints, hostname }: FakeDevice): Fields {
    return {
      ID: id,
      StableID: `n${id}`,
      Name: `${hostname}.net.test.`,
      User: 1,
      Key: key,
      DiscoKey: disco,
      Addresses: [`100.64.0.${id}/32`, `fd7a:115c:a1e0::${id}/128`],
      Endpoints: endpoints,
      MachineAuthorized: true,
      ...this.fields.get(hostname),
    };
  }

  /** The device is no longer a peer of anybody. A list that would be empty says nothing, so the removal is told. */
  hide(hostname: string): void {
    const device = this.#devices.get(hostname);
    if (device !== undefined) this.#hidden.add(device.id);
    this.tell();
  }

  make(hostname: string, options: Partial<TailnetNodeOptions> = {}): JoinedNode {
    const node = new TailnetNode({
      stateDir: join(this.folder, hostname),
      hostname,
      controlUrl: this.control.url,
      authKey: 'key',
      address4: '127.0.0.1',
      address6: null,
      [allowLoopbackPaths]: true,
      ...options,
    });
    this.#nodes.push(node);
    const events: NodeEvent[] = [];
    node.onEvent((event) => events.push(event));
    const event: JoinedNode['event'] = (find) =>
      new Promise((resolve) => {
        const past = events.find(find);
        if (past !== undefined) {
          resolve(past);
          return;
        }
        const stop = node.onEvent((next) => {
          if (!find(next)) return;
          stop();
          resolve(next);
        });
      });
    return { node, events, event };
  }

  async join(hostname: string, options: Partial<TailnetNodeOptions> = {}): Promise<JoinedNode> {
    const joined = this.make(hostname, options);
    await joined.node.up({ signal: AbortSignal.timeout(10_000) });
    return joined;
  }

  /** Two that can talk: each has the other in its map, with where it is reached. */
  async pair(): Promise<{ readonly ay: JoinedNode; readonly bee: JoinedNode }> {
    const ay = await this.join('ay');
    const bee = await this.join('bee');
    await this.#haveEndpoints();
    await this.settle(ay, bee);
    return { ay, bee };
  }

  #haveEndpoints(): Promise<void> {
    const have = (): boolean =>
      [...this.#devices.values()].every(({ endpoints }) => Array.isArray(endpoints) && endpoints.length > 0);
    return new Promise((resolve) => {
      this.#onCall = () => {
        if (have()) resolve();
      };
      this.#onCall();
    });
  }

  /** Tells everybody how things stand; resolves when these nodes have taken it. */
  async settle(...nodes: readonly JoinedNode[]): Promise<void> {
    this.#round += 1;
    const health = `round ${this.#round}`;
    this.tell();
    await Promise.all(
      nodes.map(({ node, event }) =>
        event(({ type }) => type === 'network' && node.status().control?.health[0] === health),
      ),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.close()));
    await this.control.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
