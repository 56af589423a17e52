/**
 * A node's control client in this process that reaches the bed's network through one of its machines:
 * every stream is a small program there, whose standard streams are the connection.
 */
import { spawn } from 'node:child_process';
import { Duplex, type Readable, type Writable } from 'node:stream';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { Secret } from '../../src/base/secret.ts';
import { X25519PrivateKey } from '../../src/crypto/index.ts';
import {
  ControlClient,
  type ControlEvent,
  createNodeState,
  type Netmap,
  type NetworkNode,
  type NodeState,
  type StreamDialer,
  systemSleep,
} from '../../src/tailnet/protocol/index.ts';
import { eventually } from '../scenarios/ask.ts';
import type { Machine } from './tailnet-bed.ts';

const CONNECT = `const [host, port] = process.argv.slice(1);
const socket = require('node:net').connect({ host, port: Number(port) });
socket.on('error', () => process.exit(1));
process.stdin.pipe(socket).pipe(process.stdout);`;

/** Streams from that machine. */
export function machineDialer(machine: Machine): StreamDialer {
  return {
    dial({ hostname, address, port }) {
      const words = [...machine.prefix.slice(1), process.execPath, '-e', CONNECT];
      const child = spawn(machine.prefix[0] ?? '', [...words, address ?? hostname, String(port)], {
        stdio: ['pipe', 'pipe', 'ignore'],
      });
      child.on('error', () => undefined);
      child.stdin.on('error', () => undefined);
      const stream = duplexOf(child.stdout, child.stdin);
      stream.on('close', () => child.kill('SIGKILL'));
      return Promise.resolve(stream);
    },
  };
}

function duplexOf(output: Readable, input: Writable): Duplex {
  const stream = new Duplex({
    allowHalfOpen: false,
    read: () => void output.resume(),
    write: (chunk: Buffer, _encoding, done) => void input.write(chunk, done),
    final: (done) => void input.end(done),
    destroy(error, done) {
      output.destroy();
      input.destroy();
      done(error);
    },
  });
  output.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) output.pause();
  });
  output.on('end', () => stream.push(null));
  output.on('close', () => stream.destroy());
  return stream;
}

export interface TestNode {
  readonly client: ControlClient;
  readonly events: readonly ControlEvent[];
  /** What was kept last. */
  state(): NodeState;
  netmap(): Netmap;
  /** The last login URL. */
  loginUrl(): string | null;
  /** Waits until the map has what `find` looks for. */
  sees<Found>(find: (netmap: Netmap) => Found | null | undefined, what: string): Promise<Found>;
  peer(name: string): NetworkNode | null;
}

export interface TestNodeOptions {
  readonly controlUrl: string;
  readonly machine: Machine;
  readonly hostname: string;
  readonly authKey?: string;
  readonly isEphemeral?: boolean;
  /** Of an earlier run. */
  readonly state?: NodeState;
}

/** A client that has been started. */
export function startTestNode(options: TestNodeOptions): TestNode {
  const events: ControlEvent[] = [];
  let kept = options.state ?? createNodeState(options.controlUrl, systemRandom);
  const client = new ControlClient({
    controlUrl: options.controlUrl,
    state: kept,
    saveState: (state) => {
      kept = state;
      return Promise.resolve();
    },
    authKey: options.authKey === undefined ? null : new Secret(options.authKey),
    isEphemeral: options.isEphemeral ?? false,
    host: { hostname: options.hostname, os: 'linux', version: '0.1.0', app: 'postern', tags: [] },
    discoKey: X25519PrivateKey.generate(systemRandom).publicKey.bytes.toString('hex'),
    dialer: machineDialer(options.machine),
    clock: systemClock,
    random: systemRandom,
    sleep: systemSleep,
    onEvent: (event) => events.push(event),
  });
  client.start();
  const netmap = (): Netmap => {
    const { netmap: known } = client;
    if (known === null) throw new Error(`${options.hostname} has no map: ${JSON.stringify(events.at(-1))}`);
    return known;
  };
  return {
    client,
    events,
    state: () => kept,
    netmap,
    loginUrl: () => events.findLast((event) => event.type === 'login_url')?.url ?? null,
    sees: (find, what) =>
      eventually(
        () => Promise.resolve(client.netmap === null ? null : (find(client.netmap) ?? null)),
        `${options.hostname} sees ${what}`,
        30_000,
      ),
    peer: (name) => [...netmap().peers.values()].find((peer) => peer.name.startsWith(`${name}.`)) ?? null,
  };
}
