/**
 * The driver of the coordination server: the key and the upgrade over HTTP/1.1, HTTP/2 inside the encrypted
 * connection, map streams, and the second hand. What it serves is the coordinator's. Whoever listens hands in
 * requests and upgrades; nothing here opens a port.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import http2 from 'node:http2';
import type { Duplex } from 'node:stream';
import { describeError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { X25519PrivateKey } from '../../crypto/index.ts';
import type { KeyHex } from '../protocol/index.ts';
import { formatKeyText, zeroKeyText } from '../protocol/key-text.ts';
import type { Coordinator, DeviceEnd } from './coordinator.ts';
import { goneLoginPage, LOGIN_PAGE_HEADERS, loginPage } from './login-page.ts';
import { answerMachine, type Following, type MachineParts, refuse } from './machine-requests.ts';
import { MapSession } from './map-session.ts';
import { MapViewer } from './map-viewer.ts';
import { answerHandshake, earlyPayload, NoiseStream, peekVersion } from './noise-stream.ts';
import { type Asked, Pings } from './pings.ts';
import { tooOld } from './versions.ts';

export interface ControlServerOptions {
  readonly coordinator: Coordinator;
  /** The server's own; devices that joined know its public half. */
  readonly noiseKey: X25519PrivateKey;
  /** Where people and devices reach this server, now: `https://gate.example.com`, no slash at its end. */
  readonly publicUrl: () => string;
  readonly logger: Logger;
}

export interface ControlCounters {
  readonly connections: number;
  readonly streams: number;
  /** Handshakes that were none, were refused, or came when too many waited. */
  readonly refused: number;
}

/** Handshakes that wait for their turn; one takes about half a millisecond. */
const WAITING_MAX = 2048;
/** A daemon has one or two. */
const CONNECTIONS_OF_MACHINE_MAX = 8;
const STREAMS_OF_CONNECTION_MAX = 64;
/** Longer than two keep-alives. */
const IDLE_MS = 150_000;
const PASS_MS = 1000;
const SESSION: http2.ServerSessionOptions = {
  settings: { maxConcurrentStreams: STREAMS_OF_CONNECTION_MAX, enablePush: false },
  maxSessionInvalidFrames: 16,
  maxHeaderListPairs: 64,
};
const LOGIN_PATH = '/a/';
const UPGRADE = 'tailscale-control-protocol';

export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #connections = new Map<KeyHex, Set<NoiseStream>>();
  readonly #sessions = new Map<number, { readonly viewer: MapViewer; readonly session: MapSession }>();
  readonly #pings: Pings;
  readonly #early: Buffer;
  readonly #waiting: (() => void)[] = [];
  readonly #stopListening: () => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #isTaking = false;
  #isClosed = false;
  #refused = 0;

  constructor(options: ControlServerOptions) {
    const { coordinator } = options;
    this.#options = options;
    this.#pings = new Pings(coordinator.clock, coordinator.random);
    const challenge = X25519PrivateKey.generate(coordinator.random).publicKey.bytes.toString('hex');
    this.#early = earlyPayload(challenge);
    this.#stopListening = coordinator.onDeviceEnd((end) => this.#endDevice(end));
    this.#timer = setInterval(() => this.#pass(), PASS_MS);
    this.#timer.unref();
  }

  /** `GET /key`, and the pages of waiting devices. True: it was ours and is answered. */
  handleRequest(request: IncomingMessage, response: ServerResponse): boolean {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    if (path === '/key') return this.#answerKey(new URLSearchParams(query), response);
    if (path === '/ts2021') {
      answerText(
        response,
        426,
        `this address takes an upgrade to ${UPGRADE}; a proxy on the way has to pass it on`,
        {
          upgrade: UPGRADE,
          connection: 'upgrade',
        },
      );
      return true;
    }
    if (!path.startsWith(LOGIN_PATH)) return false;
    const login = this.#options.coordinator.logins.get(path.slice(LOGIN_PATH.length));
    response.writeHead(login === null ? 404 : 200, { ...LOGIN_PAGE_HEADERS });
    response.end(login === null ? goneLoginPage() : loginPage(login));
    return true;
  }

  /** `/ts2021`. True: it was ours, and the socket is taken or answered. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    if ((request.url ?? '').split('?', 1)[0] !== '/ts2021') return false;
    socket.on('error', () => socket.destroy());
    const stated = peekVersion(request.headers['x-tailscale-handshake']);
    if (request.method !== 'POST' || request.headers.upgrade?.toLowerCase() !== UPGRADE || stated === null) {
      this.#refuseSocket(socket, '400 Bad Request', 'this is no handshake of the control protocol');
      return true;
    }
    const old = tooOld(stated.version);
    if (old !== null) {
      this.#refuseSocket(socket, '400 Bad Request', old);
      return true;
    }
    if (this.#isClosed || this.#waiting.length >= WAITING_MAX) {
      this.#refuseSocket(socket, '503 Service Unavailable', 'too many devices at once; try again');
      return true;
    }
    this.#waiting.push(() => this.#accept(stated, socket, head));
    this.#takeTurns();
    return true;
  }

  /** Milliseconds until the device answered over its map stream; null if it has none, or did not in time. */
  ping(nodeId: number, timeoutMs: number): Promise<number | null> {
    const asked = this.#asked(nodeId, timeoutMs);
    return asked === null ? Promise.resolve(null) : this.#pings.ping(asked);
  }

  /** The client program's HTTP answer to an HTTP request such as `GET /echo`; null as for `ping`. */
  askClient(nodeId: number, request: Buffer, timeoutMs: number): Promise<Buffer | null> {
    const asked = this.#asked(nodeId, timeoutMs);
    return asked === null ? Promise.resolve(null) : this.#pings.request(asked, request);
  }

  counters(): ControlCounters {
    let connections = 0;
    for (const ofMachine of this.#connections.values()) connections += ofMachine.size;
    return { connections, streams: this.#sessions.size, refused: this.#refused };
  }

  /** Ends every connection; what devices told last is in the store when it resolves. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#stopListening();
    this.#waiting.length = 0;
    for (const { session } of this.#sessions.values()) session.end(null);
    for (const connections of this.#connections.values()) for (const stream of connections) stream.destroy();
    await this.#options.coordinator.ledger.durable();
  }

  #answerKey(query: URLSearchParams, response: ServerResponse): boolean {
    const stated = query.get('v');
    const old = stated === null ? null : tooOld(/^[0-9]{1,6}$/.test(stated) ? Number(stated) : 0);
    if (old !== null) {
      answerText(response, 400, old);
      return true;
    }
    const publicKey = formatKeyText('mkey', this.#options.noiseKey.publicKey.bytes);
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(JSON.stringify({ legacyPublicKey: zeroKeyText('mkey'), publicKey }));
    return true;
  }

  #refuseSocket(socket: Duplex, status: string, message: string): void {
    this.#refused += 1;
    const head = `HTTP/1.1 ${status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(message) + 1}\r\nconnection: close\r\n\r\n`;
    socket.end(`${head}${message}\n`, () => socket.destroy());
  }

  /** A storm of reconnects takes turns with everything else: one handshake each time round. */
  #takeTurns(): void {
    if (this.#isTaking) return;
    this.#isTaking = true;
    setImmediate(() => {
      this.#isTaking = false;
      this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#takeTurns();
    });
  }

  #accept(stated: NonNullable<ReturnType<typeof peekVersion>>, socket: Duplex, head: Buffer): void {
    if (socket.destroyed) return;
    const { noiseKey, coordinator } = this.#options;
    const handshake = answerHandshake(stated, { key: noiseKey, random: coordinator.random });
    if (handshake === null)
      return this.#refuseSocket(socket, '400 Bad Request', 'this handshake was made for another server key');
    const begin = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${UPGRADE}\r\nConnection: upgrade\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(begin, 'latin1'), handshake.response]));
    const stream = new NoiseStream({ raw: socket, head, keys: handshake.keys });
    stream.write(this.#early);
    this.#keep(handshake.machineKey, stream);
    this.#serve(http2.performServerHandshake(stream, SESSION), handshake.machineKey);
  }

  #serve(session: http2.ServerHttp2Session, machineKey: KeyHex): void {
    const { coordinator, logger, publicUrl } = this.#options;
    const parts: MachineParts = {
      coordinator,
      pings: this.#pings,
      logger,
      loginUrl: (id) => `${publicUrl()}${LOGIN_PATH}${id}`,
      loginId: (url) => /\/a\/([0-9a-z]{1,40})$/.exec(url)?.[1] ?? null,
      follow: (stream, asked) => this.#follow(stream, asked),
    };
    session.on('error', () => session.destroy());
    session.setTimeout(IDLE_MS, () => session.destroy());
    session.on('stream', (stream, headers) => {
      stream.on('error', () => stream.close());
      void answerMachine(parts, stream, headers, machineKey);
    });
  }

  /** A device follows its map, from the beginning. */
  #follow(stream: http2.ServerHttp2Stream, { machineKey, question }: Following): void {
    const { coordinator, logger } = this.#options;
    const known = coordinator.device(machineKey, question.nodeKey);
    if (known === null || this.#isClosed) return refuse(stream, 404, 'there is no device with these keys');
    const { tailnet, node } = known;
    const { clock, random } = coordinator;
    const viewer = new MapViewer(node.id, tailnet.source, () => session.wake());
    const session = new MapSession({
      stream,
      wantsZstd: question.wantsZstd,
      wantsKeepAlive: question.wantsKeepAlive,
      take: () => {
        try {
          return viewer.take(coordinator.now());
        } catch (error) {
          /* A client that is told nothing would wait for ever; one whose stream ends comes again. */
          logger.error('a network map could not be made', { node: node.id, error: describeError(error) });
          stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
          return null;
        }
      },
      clock,
      random,
    });
    const former = this.#sessions.get(node.id);
    this.#sessions.set(node.id, { viewer, session });
    former?.session.end(null);
    tailnet.attach(viewer, coordinator.now());
    coordinator.hears(node.id);
    stream.once('close', () => {
      if (this.#sessions.get(node.id)?.viewer === viewer) this.#sessions.delete(node.id);
      if (tailnet.detach(viewer)) coordinator.losesSight(tailnet, node.id);
    });
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    session.pump();
  }

  /** A node key is nobody's any more: its stream ends, and the device is told to sign in again. */
  #endDevice({ nodeId, last }: DeviceEnd): void {
    const open = this.#sessions.get(nodeId);
    if (open === undefined) return;
    this.#sessions.delete(nodeId);
    open.session.end(open.viewer.farewell(this.#options.coordinator.now(), last));
  }

  #asked(nodeId: number, timeoutMs: number): Asked | null {
    const open = this.#sessions.get(nodeId);
    const node = this.#options.coordinator
      .tailnets()
      .map((tailnet) => tailnet.node(nodeId))
      .find((found) => found !== null);
    return open === undefined || node === undefined || node === null
      ? null
      : { viewer: open.viewer, machineKey: node.machineKey, timeoutMs };
  }

  #pass(): void {
    const { coordinator, logger } = this.#options;
    coordinator.pass();
    this.#pings.pass(coordinator.now());
    for (const { session } of this.#sessions.values()) session.pass();
    if (coordinator.ledger.isClean) return;
    coordinator.ledger.durable().catch((error: unknown) => {
      logger.error('the coordination server cannot write its state; it tries again', {
        error: describeError(error),
      });
    });
  }

  #keep(machineKey: KeyHex, stream: NoiseStream): void {
    const connections = this.#connections.get(machineKey) ?? new Set();
    this.#connections.set(machineKey, connections);
    connections.add(stream);
    stream.once('close', () => {
      connections.delete(stream);
      if (connections.size === 0 && this.#connections.get(machineKey) === connections)
        this.#connections.delete(machineKey);
    });
    if (connections.size > CONNECTIONS_OF_MACHINE_MAX) [...connections][0]?.destroy();
  }
}

function answerText(
  response: ServerResponse,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers });
  response.end(`${message}\n`);
}
