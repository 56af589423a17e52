/** A control server for tests, on loopback: the real transport with answers that a test chooses. */
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { systemClock } from '../../base/clock.ts';
import { systemRandom } from '../../base/random.ts';
import type { Secret } from '../../base/secret.ts';
import {
  createNoiseProtocol,
  NoiseResponder,
  X25519PrivateKey,
  X25519PublicKey,
} from '../../crypto/index.ts';
import { ControlClient, type ControlEvent } from './control-client.ts';
import {
  CONTROL_FRAME,
  controlPrologue,
  encodeResponse,
  RecordOpener,
  RecordSealer,
} from './control-records.ts';
import { FrameSplitter } from './frame-splitter.ts';
import { createNodeState, type NodeState } from './node-state.ts';
import type { StreamDialer } from './ports.ts';

/** A request as the server got it. */
export interface ControlCall {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** For a map stream: sends a message, as JSON or as given. */
  readonly send: (message: object | Buffer) => void;
  readonly answer: (
    status: number,
    body?: object | string,
    headers?: Readonly<Record<string, string>>,
  ) => void;
  readonly end: () => void;
}

export interface FakeControl {
  readonly url: string;
  readonly calls: readonly ControlCall[];
  /** Written to the client in clear right after the handshake, instead of going on. */
  garbage: Buffer | null;
  /** Sent within the records before HTTP/2. */
  early: Buffer | null;
  close(): Promise<void>;
}

export async function startFakeControl(handle: (call: ControlCall) => void): Promise<FakeControl> {
  const key = X25519PrivateKey.generate(systemRandom);
  const calls: ControlCall[] = [];
  const inner = http2.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const call: ControlCall = {
        path: request.url,
        body: text === '' ? {} : Object(JSON.parse(text.startsWith('{') ? text : JSON.stringify({ text }))),
        send: (message) => {
          const bytes = Buffer.isBuffer(message) ? message : Buffer.from(JSON.stringify(message));
          const length = Buffer.alloc(4);
          length.writeUInt32LE(bytes.length, 0);
          response.write(Buffer.concat([length, bytes]));
        },
        answer: (status, body = '', headers = {}) => {
          response.writeHead(status, headers);
          response.end(typeof body === 'string' ? body : JSON.stringify(body));
        },
        end: () => response.end(),
      };
      calls.push(call);
      handle(call);
    });
  });
  const sockets = new Set<net.Socket>();
  const fake: FakeControl = { url: '', calls, garbage: null, early: null, close: () => Promise.resolve() };
  const outer = http.createServer((_request, response) => {
    response.end(JSON.stringify({ publicKey: `mkey:${key.publicKey.bytes.toString('hex')}` }));
  });
  outer.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  outer.on('upgrade', (request, socket) => {
    const initiation = Buffer.from(String(request.headers['x-tailscale-handshake']), 'base64');
    const protocol = createNoiseProtocol('IK', controlPrologue(initiation.readUInt16BE(0)));
    const responder = new NoiseResponder({ protocol, localStatic: key, random: systemRandom });
    responder.readMessage(initiation.subarray(5), (bytes) => ({
      publicKey: X25519PublicKey.fromBytes(bytes),
    }));
    const message = responder.writeMessage(Buffer.alloc(0)) ?? Buffer.alloc(48);
    const head =
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\n\r\n';
    socket.write(Buffer.concat([Buffer.from(head), encodeResponse(message)]));
    if (fake.garbage !== null) {
      socket.write(fake.garbage);
      return;
    }
    const keys = responder.split();
    const sealer = new RecordSealer(keys.send);
    if (fake.early !== null) socket.write(sealer.seal(fake.early));
    inner.emit('connection', recordStream(socket, sealer, new RecordOpener(keys.receive)));
  });
  await new Promise<void>((resolve) => outer.listen(0, '127.0.0.1', resolve));
  const address = outer.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return Object.assign(fake, {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => outer.close(() => resolve()));
    },
  });
}

function recordStream(socket: Duplex, sealer: RecordSealer, opener: RecordOpener): Duplex {
  const splitter = new FrameSplitter(CONTROL_FRAME);
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => void socket.write(sealer.seal(chunk), done),
    final: (done) => void socket.end(done),
    destroy(_error, done) {
      socket.destroy();
      done(null);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    splitter.push(chunk, (header, body) => {
      stream.push(opener.open(header, body));
      return true;
    });
  });
  socket.on('close', () => stream.destroy());
  stream.on('error', () => undefined);
  return stream;
}

export const loopbackDialer: StreamDialer = {
  dial: ({ hostname, port }) =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ host: hostname, port });
      socket.once('error', reject);
      socket.once('connect', () => resolve(socket));
    }),
};

export interface FakeClient {
  readonly client: ControlClient;
  readonly events: readonly ControlEvent[];
  /** The first event that `find` takes, past or to come. */
  event<Found>(find: (event: ControlEvent) => Found | null | undefined | false): Promise<Found>;
}

/** A client whose waits take a hundredth of their time. */
export function startFakeClient(controlUrl: string, authKey: Secret | null, state?: NodeState): FakeClient {
  const events: ControlEvent[] = [];
  const waiting = new Set<(event: ControlEvent) => void>();
  const client = new ControlClient({
    controlUrl,
    state: state ?? createNodeState(controlUrl, systemRandom),
    saveState: () => Promise.resolve(),
    authKey,
    isEphemeral: false,
    host: { hostname: 'ours', os: 'linux', version: '1', app: 'postern', tags: [] },
    discoKey: 'd'.repeat(64),
    dialer: loopbackDialer,
    clock: systemClock,
    random: systemRandom,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, ms / 100);
        signal.addEventListener('abort', () => {
          clearTimeout(timer);
          reject(new Error('aborted'));
        });
      }),
    onEvent: (event) => {
      events.push(event);
      for (const wake of waiting) wake(event);
    },
  });
  client.start();
  return {
    client,
    events,
    event: (find) =>
      new Promise((resolve) => {
        const look = (event: ControlEvent): boolean => {
          const found = find(event);
          if (found === null || found === undefined || found === false) return false;
          waiting.delete(look);
          resolve(found);
          return true;
        };
        if (!events.some(look)) waiting.add(look);
      }),
  };
}
