/**
 * Headscale on a machine of its own: plain HTTP, its embedded relay, its policy and users changed by
 * its own command. Nothing it does leaves the switch.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Machine } from './machines.ts';
import { eventually } from '../scenarios/ask.ts';

/** A person of the tailnet. `login` is what WhoIs gives as LoginName: the mail address. */
export interface BedUser {
  /** Decimal, as in a principal `tailscale:userid:1`. */
  readonly id: string;
  readonly name: string;
  readonly login: string;
  readonly displayName: string;
}

export interface AuthKeyOptions {
  /** Whose device it will be; with `tags` it is nobody's. */
  readonly user?: BedUser;
  readonly tags?: readonly string[];
  readonly ephemeral?: boolean;
  /** Default: good for one device. */
  readonly reusable?: boolean;
}

/** What Headscale keeps of a device; only what tests ask for. */
export interface BedNode {
  readonly id: number;
  /** As in its MagicDNS name. */
  readonly name: string;
  readonly addresses: readonly string[];
  readonly online: boolean;
}

export interface Headscale {
  /** For `--login-server`, and for a node of our own. */
  readonly url: string;
  log(): string;
  /** `displayName` is `Name Example` unless it is said. */
  addUser(name: string, displayName?: string): Promise<BedUser>;
  authKey(options: AuthKeyOptions): Promise<string>;
  /** The network's policy file, as an object. Devices have it within a second or two. */
  setPolicy(policy: object): Promise<void>;
  nodes(): Promise<readonly BedNode[]>;
  /** @throws Error if there is none. */
  node(name: string): Promise<BedNode>;
  removeNode(name: string): Promise<void>;
  /** Ends the device's key at `at`, default now. */
  expireNode(name: string, at?: Date): Promise<void>;
  /** The device is nobody's from then on. */
  setTags(name: string, tags: readonly string[]): Promise<void>;
  /** Of the routes that the device advertises; all others are refused. */
  approveRoutes(name: string, routes: readonly string[]): Promise<void>;
  /** Any other command of `headscale`; its JSON answer, or its text where it gives none. */
  command(words: readonly string[]): Promise<unknown>;
  /** The network's control and relay are gone. */
  stop(): Promise<void>;
  /** After `stop`; its state is what it was. */
  start(): Promise<void>;
}

export const BASE_DOMAIN = 'bed.test';
const PORT = 8080;
const START_TIMEOUT_MS = 30_000;

export async function startHeadscale(machine: Machine, program: string): Promise<Headscale> {
  const url = `http://${machine.address}:${PORT}`;
  const config = join(machine.folder, 'headscale.json');
  await writeFile(config, JSON.stringify(configuration(machine, url), null, 2));
  const command = async (words: readonly string[]): Promise<unknown> => {
    const result = await machine.exec([program, '--config', config, '--output', 'json', ...words]);
    assert.equal(result.code, 0, `headscale ${words.join(' ')}: ${result.stderr}${result.stdout}`);
    return readAnswer(result.stdout);
  };
  const begin = async (): Promise<ReturnType<Machine['start']>> => {
    const started = machine.start([program, '--config', config, 'serve']);
    await eventually(
      async () => {
        assert.ok(started.isRunning(), `headscale ended:\n${started.log()}`);
        return command(['users', 'list']).then(
          () => true,
          () => null,
        );
      },
      'headscale answers',
      START_TIMEOUT_MS,
    );
    return started;
  };
  let daemon = await begin();
  const nodes = async (): Promise<readonly BedNode[]> => readNodes(await command(['nodes', 'list']));
  const node = async (name: string): Promise<BedNode> => {
    const found = (await nodes()).find((candidate) => candidate.name === name);
    assert.ok(found !== undefined, `headscale has no device "${name}"`);
    return found;
  };
  const identify = async (name: string): Promise<string[]> => ['--identifier', String((await node(name)).id)];
  return {
    url,
    log: () => daemon.log(),
    command,
    nodes,
    node,
    async addUser(name, displayName = `${name[0]?.toUpperCase()}${name.slice(1)} Example`) {
      const login = `${name}@example.com`;
      const words = ['users', 'create', name, '--email', login, '--display-name', displayName];
      return { id: String(Object(await command(words)).id), name, login, displayName };
    },
    async authKey({ user, tags = [], ephemeral = false, reusable = false }) {
      const made = await command([
        'preauthkeys',
        'create',
        '--expiration',
        '1h',
        ...(user === undefined ? [] : ['--user', user.id]),
        ...(tags.length === 0 ? [] : ['--tags', tags.join(',')]),
        ...(ephemeral ? ['--ephemeral'] : []),
        ...(reusable ? ['--reusable'] : []),
      ]);
      return String(Object(made).key);
    },
    async setPolicy(policy) {
      const file = join(machine.folder, 'policy.json');
      await writeFile(file, JSON.stringify(policy, null, 2));
      await command(['policy', 'set', '--file', file]);
    },
    async removeNode(name) {
      await command(['nodes', 'delete', ...(await identify(name)), '--force']);
    },
    async expireNode(name, at) {
      const when = at === undefined ? [] : ['--expiry', at.toISOString()];
      await command(['nodes', 'expire', ...(await identify(name)), ...when]);
    },
    async setTags(name, tags) {
      await command(['nodes', 'tag', ...(await identify(name)), '--tags', tags.join(',')]);
    },
    async approveRoutes(name, routes) {
      await command(['nodes', 'approve-routes', ...(await identify(name)), '--routes', routes.join(',')]);
    },
    /* As when it falls over: asked to, it takes its time to say farewell to every device. */
    stop: () => daemon.stop('SIGKILL'),
    async start() {
      daemon = await begin();
    },
  };
}

/** Some commands answer in words whatever output is asked for. */
function readAnswer(text: string): unknown {
  return /^\s*[[{]/.test(text) ? JSON.parse(text) : text.trim();
}

function readNodes(answer: unknown): readonly BedNode[] {
  return (Array.isArray(answer) ? answer : []).map((item: unknown) => {
    const fields: Record<string, unknown> = Object(item);
    const addresses: unknown = fields['ip_addresses'];
    return {
      id: Number(fields['id']),
      name: String(fields['given_name']),
      addresses: Array.isArray(addresses) ? addresses.map(String) : [],
      online: fields['online'] === true,
    };
  });
}

/** YAML takes JSON. What is not said is as Headscale ships it. */
function configuration({ folder, address }: Machine, url: string): object {
  const at = (name: string): string => join(folder, name);
  return {
    server_url: url,
    listen_addr: `0.0.0.0:${PORT}`,
    metrics_listen_addr: '127.0.0.1:9090',
    grpc_listen_addr: '127.0.0.1:50443',
    unix_socket: at('headscale.sock'),
    noise: { private_key_path: at('noise.key') },
    prefixes: { v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48', allocation: 'sequential' },
    database: { type: 'sqlite', sqlite: { path: at('headscale.sqlite'), write_ahead_log: true } },
    derp: {
      urls: [],
      auto_update_enabled: false,
      server: {
        enabled: true,
        region_id: 999,
        region_code: 'bed',
        region_name: 'the bed',
        verify_clients: true,
        stun_listen_addr: '0.0.0.0:3478',
        private_key_path: at('derp.key'),
        automatically_add_embedded_derp_region: true,
        ipv4: address,
      },
    },
    dns: {
      magic_dns: true,
      base_domain: BASE_DOMAIN,
      override_local_dns: false,
      nameservers: { global: [] },
    },
    policy: { mode: 'database' },
    disable_check_updates: true,
    logtail: { enabled: false },
    log: { level: 'info', format: 'text' },
  };
}
