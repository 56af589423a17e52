/** A node of ours on a machine of the bed, and how a test talks to it. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { NodePeer, NodeStatus } from '../../src/tailnet/index.ts';
import { eventually } from '../scenarios/ask.ts';
import type { ControlNodeSettings, HeldConnection, TimedEvent } from './control-node-process.ts';
import type { Machine } from './machines.ts';

const PROGRAM = fileURLToPath(new URL('./control-node-process.ts', import.meta.url));

export interface ControlNode {
  readonly machine: Machine;
  status(): Promise<NodeStatus>;
  events(): Promise<readonly TimedEvent[]>;
  held(): Promise<readonly HeldConnection[]>;
  whois(address: string): Promise<NodePeer | null>;
  /** Any order of the program; its answer as JSON. Rejects with what the program says. */
  order(...words: readonly string[]): Promise<unknown>;
  /** Waits until the node is in that state. */
  reaches(state: NodeStatus['state']): Promise<NodeStatus>;
  log(): string;
  /** Ends the program, without a farewell. */
  kill(): Promise<void>;
}

export type ControlNodeOptions = Omit<ControlNodeSettings['node'], 'stateDir'>;

/** Starts the program; it keeps its state in the machine's folder, also over another start. */
export async function startControlNode(machine: Machine, options: ControlNodeOptions): Promise<ControlNode> {
  const folder = join(machine.folder, `node-${options.hostname}`);
  await mkdir(folder, { recursive: true });
  const socketPath = join(folder, 'orders.sock');
  await rm(socketPath, { force: true });
  const settings: ControlNodeSettings = { socketPath, node: { ...options, stateDir: join(folder, 'state') } };
  const program = machine.start([
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    PROGRAM,
    JSON.stringify(settings),
  ]);
  const order = async (...words: readonly string[]): Promise<unknown> => {
    const path = `/${words.map(encodeURIComponent).join('/')}`;
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get({ socketPath, path, agent: false, timeout: 20_000 }, resolve).on('error', reject);
    });
    const answer = await text(response);
    assert.equal(response.statusCode, 200, `${words.join(' ')}: ${answer}`);
    return JSON.parse(answer);
  };
  const status = async (): Promise<NodeStatus> => (await order('status')) as NodeStatus;
  const node: ControlNode = {
    machine,
    order,
    status,
    events: async () => (await order('events')) as TimedEvent[],
    held: async () => (await order('held')) as HeldConnection[],
    whois: async (address) => (await order('whois', address)) as NodePeer | null,
    reaches: (state) =>
      eventually(
        async () => {
          assert.ok(program.isRunning(), program.log());
          const now = await status().catch(() => null);
          return now?.state === state ? now : null;
        },
        `${options.hostname} is ${state}`,
        30_000,
      ),
    log: () => program.log(),
    kill: () => program.stop('SIGKILL'),
  };
  return node;
}

/** Nothing by UDP leaves or reaches the machine, or again all does. */
export async function setUdp(machine: Machine, isOpen: boolean): Promise<void> {
  const words = ['rule', isOpen ? 'del' : 'add', 'ipproto', '17', 'prio', '1', 'blackhole'];
  for (const family of ['-4', '-6']) {
    const done = await machine.exec(['ip', family, ...words]);
    assert.equal(done.code, 0, done.stderr);
  }
}
