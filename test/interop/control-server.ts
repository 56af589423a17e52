/** Our own coordination server on a machine of its own, and official clients that join it. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type {
  DeviceChange,
  NodeRecord,
  TailnetChange,
  TailnetKind,
} from '../../src/tailnet/control/index.ts';
import { eventually } from '../scenarios/ask.ts';
import { type DeviceOptions, startDevice, type TailscaleDevice } from './device.ts';
import { createMachineNetwork, type Machine, type RunningProgram } from './machines.ts';
import { findPrograms, type Programs } from './programs.ts';

const PROCESS = fileURLToPath(new URL('control-server-process.ts', import.meta.url));

export type ControlCommand =
  | {
      readonly do: 'create';
      readonly name: string;
      readonly kind: TailnetKind;
      readonly users: readonly string[];
    }
  | ({ readonly do: 'key'; readonly tailnet: string } & BedKey)
  | { readonly do: 'change'; readonly tailnet: string; readonly change: TailnetChange }
  | {
      readonly do: 'device';
      readonly tailnet: string;
      readonly device: string;
      readonly change: DeviceChange;
    }
  | { readonly do: 'remove' | 'ping' | 'echo'; readonly tailnet: string; readonly device: string }
  | { readonly do: 'devices'; readonly tailnet: string }
  | { readonly do: 'approve'; readonly tailnet: string; readonly code: string; readonly user: string }
  /** Its provider vouches for this person from now on, and the tailnet admits example.com. */
  | { readonly do: 'sign-in'; readonly tailnet: string; readonly email: string }
  | { readonly do: 'counters' };

export interface BedKey {
  /** Login of the person whose device it makes. */
  readonly user?: string;
  readonly tags?: readonly string[];
  readonly reusable?: boolean;
  readonly ephemeral?: boolean;
  readonly preauthorized?: boolean;
}

export interface ControlServerBed {
  readonly programs: Programs;
  /** For `--login-server`. */
  readonly url: string;
  log(): string;
  addMachine(name: string): Promise<Machine>;
  /** Its answer. @throws Error with what it refused */
  admin(command: ControlCommand): Promise<unknown>;
  key(tailnet: string, key: BedKey): Promise<string>;
  device(tailnet: string, name: string): Promise<NodeRecord & { readonly isOnline: boolean }>;
  /** A machine whose tailscaled has joined. */
  join(
    name: string,
    options: { readonly authKey: string } & Pick<DeviceOptions, 'userspace' | 'relayOnly' | 'up'>,
  ): Promise<TailscaleDevice>;
  /** Killed, and started again over what it had written. */
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** @throws Error if a program is missing, or this is not Linux with root. */
export async function startControlServerBed(): Promise<ControlServerBed> {
  const programs = findPrograms();
  const folder = await mkdtemp(join(tmpdir(), 'postern-control-'));
  const network = await createMachineNetwork(folder);
  const machine = await network.add('control');
  const socketPath = join(machine.folder, 'admin.sock');
  const stateDir = join(machine.folder, 'state');
  await mkdir(stateDir);
  const begin = async (): Promise<RunningProgram> => {
    await rm(socketPath, { force: true });
    const flags = ['--disable-warning=ExperimentalWarning'];
    const started = machine.start([
      process.execPath,
      ...flags,
      PROCESS,
      machine.address,
      stateDir,
      socketPath,
    ]);
    await eventually(
      async () => {
        assert.ok(started.isRunning(), `the coordination server ended:\n${started.log()}`);
        return Promise.resolve(started.log().includes('ready') ? true : null);
      },
      'the coordination server is ready',
      20_000,
    );
    return started;
  };
  let running = await begin();
  const admin = async (command: ControlCommand): Promise<unknown> => {
    const { answer, error } = await post(socketPath, command);
    assert.equal(error, undefined, `${command.do}: ${String(error)}`);
    return answer;
  };
  const url = `http://${machine.address}:8080`;
  return {
    programs,
    url,
    admin,
    log: () => running.log(),
    addMachine: (name) => network.add(name),
    key: async (tailnet, key) => String(await admin({ do: 'key', tailnet, ...key })),
    async device(tailnet, name) {
      const devices = (await admin({ do: 'devices', tailnet })) as (NodeRecord & { isOnline: boolean })[];
      const found = devices.find((device) => device.name === name);
      assert.ok(found !== undefined, `there is no device "${name}"`);
      return found;
    },
    async join(name, options) {
      return startDevice(await network.add(name), { ...options, programs, controlUrl: url });
    },
    kill: () => running.stop('SIGKILL'),
    async start() {
      running = await begin();
    },
    async close() {
      await network.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function post(socketPath: string, body: object): Promise<{ answer?: unknown; error?: unknown }> {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, method: 'POST', path: '/' }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString('utf8'))));
    });
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}
