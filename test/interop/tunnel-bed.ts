/**
 * Tunnels to compare: a machine with wireguard-go and the kernel's TCP, and any number of machines that
 * serve HTTP at the far end of a tunnel to it, through our WireGuard and stack or through wireguard-go
 * and the kernel. Machines are network namespaces, joined by veth. Linux, root, curl.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { systemRandom } from '../../src/base/random.ts';
import { X25519PrivateKey } from '../../src/crypto/index.ts';
import { eventually } from '../scenarios/ask.ts';
import { createMachineNetwork, type Machine, type RunningProgram } from './machines.ts';
import { findPrograms } from './programs.ts';
import { bodyOf, type TunnelAppSettings } from './tunnel-app-process.ts';

const APP = resolve(import.meta.dirname, 'tunnel-app-process.ts');
const WIREGUARD_PORT = 51_820;
const HTTP_PORT = 8080;
/** The inner addresses; the last part is the machine's number, the client's is 1. */
const INNER_PREFIX = '10.9.0';
/** What wg-quick takes over Ethernet. */
const MTU = 1420;
const TRANSFER_TIMEOUT_MS = 120_000;
/** As the gateway is started (bin/postern.js), where it bears on speed. */
const NODE_FLAGS = ['--max-semi-space-size=32'];

/** One far end. */
export interface TunnelEnd {
  readonly name: string;
  /** `http://10.9.0.N:8080`, for the client's machine. */
  readonly url: string;
  /** The processes that carry its side of the tunnel. */
  readonly pids: readonly number[];
}

export interface OursOptions {
  /** Share of inner packets that our end loses, each way. Default 0. */
  readonly loss?: number;
  readonly seed?: number;
}

export interface TunnelBed {
  /** wireguard-go and curl run here. */
  readonly client: Machine;
  /** The client's wireguard-go. */
  readonly clientPid: number;
  /** A far end in our process. */
  addOurs(name: string, options?: OursOptions): Promise<TunnelEnd>;
  /** A far end of wireguard-go and the kernel. */
  addWireguardGo(name: string): Promise<TunnelEnd>;
  /** Fetches `bytes` with curl into a file; gives seconds and the digest of what came. */
  download(end: TunnelEnd, bytes: number): Promise<Transfer>;
  /** Sends `bytes` with curl; gives seconds and the digest that the far end answers. */
  upload(end: TunnelEnd, bytes: number): Promise<Transfer>;
  close(): Promise<void>;
}

export interface Transfer {
  readonly seconds: number;
  readonly sha256: string;
}

/** The digest that a right transfer of `bytes` has. */
export function expectedDigest(bytes: number): string {
  const hash = createHash('sha256');
  for (const chunk of bodyOf(bytes)) hash.update(chunk);
  return hash.digest('hex');
}

const hexOf = (key: X25519PrivateKey): string => key.publicKey.bytes.toString('hex');

/** A machine with wireguard-go up as `wg0`, at an inner address. */
async function startWireguardGo(machine: Machine, innerIp: string): Promise<RunningProgram> {
  const program = machine.start([findPrograms().wireguardGo, '-f', 'wg0'], { LOG_LEVEL: 'error' });
  await eventually(async () => {
    const shown = await machine.exec(['ip', 'link', 'show', 'wg0']);
    return shown.code === 0 ? true : null;
  }, 'wireguard-go made its interface');
  for (const words of [
    ['ip', 'address', 'add', `${innerIp}/24`, 'dev', 'wg0'],
    ['ip', 'link', 'set', 'wg0', 'mtu', String(MTU), 'up'],
  ]) {
    const result = await machine.exec(words);
    assert.equal(result.code, 0, result.stderr);
  }
  return program;
}

/** wireguard-go's configuration protocol, through the mounts of its machine. */
async function configure(program: RunningProgram, lines: readonly string[]): Promise<void> {
  const socket = connect(`/proc/${program.pid}/root/run/wireguard/wg0.sock`);
  socket.end(`set=1\n${lines.join('\n')}\n\n`);
  const answer = await text(socket);
  assert.match(answer, /errno=0/, answer);
}

export async function createTunnelBed(): Promise<TunnelBed> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-tunnel-'));
  const network = await createMachineNetwork(folder);
  const close = async (): Promise<void> => {
    await network.close();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const client = await network.add('client');
    const wireguardGo = await startWireguardGo(client, `${INNER_PREFIX}.1`);
    const clientKey = X25519PrivateKey.generate(systemRandom);
    await configure(wireguardGo, [
      `private_key=${clientKey.reveal().toString('hex')}`,
      `listen_port=${WIREGUARD_PORT}`,
    ]);
    const source = join(client.folder, 'source');
    const target = join(client.folder, 'target');
    let ends = 1;

    const add = async (
      name: string,
      begin: (place: EndPlace) => Promise<{ app: RunningProgram; pids: readonly number[] }>,
    ): Promise<TunnelEnd> => {
      ends += 1;
      const machine = await network.add(name);
      const key = X25519PrivateKey.generate(systemRandom);
      const innerIp = `${INNER_PREFIX}.${ends}`;
      await configure(wireguardGo, [
        `public_key=${hexOf(key)}`,
        `endpoint=${machine.address}:${WIREGUARD_PORT}`,
        `allowed_ip=${innerIp}/32`,
      ]);
      const { app, pids } = await begin({ machine, key, innerIp });
      await eventually(() => (/^ready$/m.test(app.log()) ? true : null), `${name} listens: ${app.log()}`);
      return { name, url: `http://${innerIp}:${HTTP_PORT}`, pids };
    };

    const curl = async (words: readonly string[]): Promise<{ output: string; seconds: number }> => {
      const result = await client.exec(['curl', '-sS', '--fail', '-w', '%{stderr}%{time_total}', ...words], {
        timeoutMs: TRANSFER_TIMEOUT_MS,
      });
      assert.equal(result.code, 0, `curl ${words.join(' ')}: ${result.stderr}`);
      return { output: result.stdout, seconds: Number(result.stderr) };
    };

    return {
      client,
      clientPid: wireguardGo.pid,
      addOurs: (name, options = {}) =>
        add(name, async ({ machine, key, innerIp }) => {
          const settings: TunnelAppSettings = {
            address: innerIp,
            port: HTTP_PORT,
            wireguard: {
              privateKey: key.reveal().toString('hex'),
              port: WIREGUARD_PORT,
              mtu: MTU,
              peerPublicKey: hexOf(clientKey),
              peerAddress: client.address,
              peerPort: WIREGUARD_PORT,
              peerIp: `${INNER_PREFIX}.1`,
              loss: options.loss ?? 0,
              seed: options.seed ?? 1,
            },
          };
          const words = [process.execPath, ...NODE_FLAGS, APP];
          const app = machine.start(words, { TUNNEL_APP: JSON.stringify(settings) });
          return { app, pids: [app.pid] };
        }),
      addWireguardGo: (name) =>
        add(name, async ({ machine, key, innerIp }) => {
          const theirs = await startWireguardGo(machine, innerIp);
          await configure(theirs, [
            `private_key=${key.reveal().toString('hex')}`,
            `listen_port=${WIREGUARD_PORT}`,
            `public_key=${hexOf(clientKey)}`,
            `endpoint=${client.address}:${WIREGUARD_PORT}`,
            `allowed_ip=${INNER_PREFIX}.1/32`,
          ]);
          const settings: TunnelAppSettings = { address: innerIp, port: HTTP_PORT };
          const app = machine.start([process.execPath, ...NODE_FLAGS, APP], {
            TUNNEL_APP: JSON.stringify(settings),
          });
          return { app, pids: [theirs.pid, app.pid] };
        }),
      async download(end, bytes) {
        const { seconds } = await curl(['-o', target, `${end.url}/bytes/${bytes}`]);
        const hash = createHash('sha256');
        await pipeline(createReadStream(target), hash);
        return { seconds, sha256: hash.digest('hex') };
      },
      async upload(end, bytes) {
        await pipeline(bodyOf(bytes), createWriteStream(source));
        const { output, seconds } = await curl(['-T', source, '-H', 'Expect:', `${end.url}/`]);
        return { seconds, sha256: output.trim() };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface EndPlace {
  readonly machine: Machine;
  readonly key: X25519PrivateKey;
  readonly innerIp: string;
}
