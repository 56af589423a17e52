/**
 * A device that only follows its map: the real protocol over a real socket, without a packet of its own.
 * A thousand of them fit in one process.
 */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdDecompressSync } from 'node:zlib';
import { systemRandom } from '../../src/base/random.ts';
import { X25519PrivateKey } from '../../src/crypto/index.ts';
import {
  CAPABILITY_VERSION,
  connectControl,
  type ControlConnection,
  fetchControlKey,
} from '../../src/tailnet/protocol/control-connection.ts';
import { FrameSplitter } from '../../src/tailnet/protocol/frame-splitter.ts';
import { parseControlUrl, type StreamDialer } from '../../src/tailnet/protocol/index.ts';

/** Clients that lost their server come back within this time; an official one waits longer. */
const RETRY_MAX_MS = 1000;
const TIMEOUT_MS = 120_000;
const FRAME = { headerBytes: 4, bodyBytes: (header: Buffer): number => header.readUInt32LE(0) };
const ZSTD_MAGIC = 0xfd2fb528;

const dialer: StreamDialer = {
  dial: ({ hostname, port }) =>
    new Promise<Duplex>((resolve, reject) => {
      const socket = connect({ host: hostname, port });
      socket.once('error', reject);
      socket.once('connect', () => resolve(socket));
    }),
};

/** What all devices of one server share: its key is asked for once. */
export interface ServerFacts {
  readonly url: string;
  readonly key: string;
}

export async function readServer(url: string): Promise<ServerFacts> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  return { url, key: await fetchControlKey({ dialer, url: parseControlUrl(url), signal }) };
}

export class LightClient {
  readonly name: string;
  readonly tailnet: string;
  readonly #server: ServerFacts;
  readonly #machineKey = X25519PrivateKey.generate(systemRandom);
  readonly #nodeKey = nodeKey();
  readonly #life = new AbortController();
  #connection: ControlConnection | null = null;
  #waiting: { readonly text: string; readonly seen: (at: number) => void }[] = [];
  #counting = false;
  /** Bytes of map messages, but for keep-alives, since `count()`. */
  counted = 0;
  /** Maps that were begun: one for each connection. */
  maps = 0;

  constructor(server: ServerFacts, tailnet: string, name: string) {
    this.#server = server;
    this.tailnet = tailnet;
    this.name = name;
  }

  /** Milliseconds from the first byte to the server's answer. Throws if it is not let in. */
  async register(authKey: string): Promise<number> {
    const began = performance.now();
    const connection = await this.#connect();
    const answer = await connection.request({
      path: '/machine/register',
      body: JSON.stringify({
        Version: CAPABILITY_VERSION,
        NodeKey: this.#nodeKey,
        Auth: { AuthKey: authKey },
        Hostinfo: this.#hostinfo(),
      }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const said: Record<string, unknown> = Object(JSON.parse(answer.toString('utf8')));
    if (said['MachineAuthorized'] !== true) throw new Error(`${this.name} is not in: ${answer.toString()}`);
    return performance.now() - began;
  }

  /** Follows the map from now on, over new connections too; resolves with the first message. */
  follow(): Promise<void> {
    return new Promise((resolve) => {
      void this.#live(resolve);
    });
  }

  /** When a message with this text came. */
  sees(text: string): Promise<number> {
    return new Promise((seen) => this.#waiting.push({ text, seen }));
  }

  count(isOn: boolean): void {
    this.#counting = isOn;
    if (isOn) this.counted = 0;
  }

  close(): void {
    this.#life.abort();
    this.#connection?.close();
  }

  async #live(onFirst: () => void): Promise<void> {
    while (!this.#life.signal.aborted) {
      await this.#once(onFirst).catch(() => undefined);
      this.#connection?.close();
      this.#connection = null;
      if (!this.#life.signal.aborted) await sleep(Math.random() * RETRY_MAX_MS);
    }
  }

  async #once(onFirst: () => void): Promise<void> {
    const connection = await this.#connect();
    const stream = await connection.stream({
      path: '/machine/map',
      body: JSON.stringify({
        Version: CAPABILITY_VERSION,
        NodeKey: this.#nodeKey,
        Stream: true,
        KeepAlive: true,
        Compress: 'zstd',
        DiscoKey: `discokey:${'1'.repeat(64)}`,
        Hostinfo: this.#hostinfo(),
      }),
      signal: this.#life.signal,
    });
    const splitter = new FrameSplitter(FRAME);
    let isFirst = true;
    stream.on('data', (chunk: Buffer) => {
      splitter.push(chunk, (_header, body) => {
        this.#receive(body);
        if (isFirst) this.maps += 1;
        isFirst = false;
        onFirst();
        return true;
      });
    });
    await new Promise<void>((resolve) => {
      stream.once('close', resolve);
    });
  }

  #receive(body: Buffer): void {
    if (!this.#counting && this.#waiting.length === 0) return;
    const json = textOf(body);
    if (this.#counting && !json.includes('"KeepAlive":true')) this.counted += body.length;
    const at = performance.now();
    this.#waiting = this.#waiting.filter(({ text, seen }) => {
      if (!json.includes(text)) return true;
      seen(at);
      return false;
    });
  }

  async #connect(): Promise<ControlConnection> {
    const { url, key } = this.#server;
    this.#connection ??= await connectControl(
      {
        dialer,
        url: parseControlUrl(url),
        machineKey: this.#machineKey,
        random: systemRandom,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      },
      key,
    );
    return this.#connection;
  }

  #hostinfo(): object {
    return { Hostname: this.name, OS: 'linux', IPNVersion: '1.98.0', NetInfo: { PreferredDERP: 900 } };
  }
}

function nodeKey(): string {
  return `nodekey:${X25519PrivateKey.generate(systemRandom).publicKey.bytes.toString('hex')}`;
}

function textOf(body: Buffer): string {
  const isPacked = body.length >= 4 && body.readUInt32LE(0) === ZSTD_MAGIC;
  return (isPacked ? zstdDecompressSync(body) : body).toString('utf8');
}
