/**
 * Listeners over node:http and node:https with limits on everything a stranger can make us hold:
 * header bytes and count, time for a request, connections. What a request means is the handler's.
 */
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { chmod } from 'node:fs/promises';
import { assert } from '../base/errors.ts';
import { errorCode, netError } from './errors.ts';
import { prepareSocketPath } from './unix-socket.ts';

export interface ListenerLimits {
  /** Bytes of the request line and all headers. Default 32 KiB; more is 431. */
  readonly headerMaxBytes: number;
  /** Number of headers. Default 256; more is 431, never silently cut. */
  readonly headersMax: number;
  /** Time for the headers (slow-loris). Default 15,000; more is 408. */
  readonly headersMs: number;
  /** Time for the whole request with its body. Default 300,000; more is 408. */
  readonly requestMs: number;
  /** Idle connections are kept this long. Default 65,000: longer than clients keep theirs. */
  readonly keepAliveMs: number;
  /** Connections of one server; more are dropped at accept. Default 10,000. */
  readonly connectionsMax: number;
}

export const DEFAULT_LISTENER_LIMITS: ListenerLimits = {
  headerMaxBytes: 32 * 1024,
  headersMax: 256,
  headersMs: 15_000,
  requestMs: 300_000,
  keepAliveMs: 65_000,
  connectionsMax: 10_000,
};

export interface ListenerOptions {
  readonly onRequest: (req: IncomingMessage, res: ServerResponse) => void;
  /**
   * Takes over an upgrade and its socket, if `wantsUpgrade` (default: always) says so. Without
   * it every upgrade arrives at `onRequest` as a plain request that still bears its `upgrade` header
   * (so that a WebSocket gets its 426 with identity and guard applied, and `h2c` is ignored).
   */
  readonly onUpgrade?: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly wantsUpgrade?: (req: IncomingMessage) => boolean;
  readonly tls?: TlsMaterial;
  readonly limits?: Partial<ListenerLimits>;
}

/** PEM text. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
}

export interface Listener {
  /** Both 127.0.0.1 and ::1 on one port (0 picks one); a machine without ::1 is fine. Returns the port. */
  listenLoopback(port: number): Promise<number>;
  /** One address. Returns the port. */
  listenTcp(options: { readonly host: string; readonly port: number }): Promise<number>;
  /** A socket in a folder of our own (0700); a stale one is replaced. */
  listenUnix(path: string): Promise<void>;
  /** Addresses in use: `127.0.0.1:8080`, `[::1]:8080`, a path. */
  readonly addresses: readonly string[];
  /** Replaces the certificate for new connections. */
  setTls(material: TlsMaterial): void;
  /** Stops accepting, lets requests finish for `drainMs`, then cuts. Safe to call twice. */
  close(drainMs: number): Promise<void>;
}

type Server = http.Server | https.Server;

export function createListener(options: ListenerOptions): Listener {
  const limits = { ...DEFAULT_LISTENER_LIMITS, ...options.limits };
  const servers: Server[] = [];
  const addresses: string[] = [];
  let draining = false;
  let material = options.tls;

  const handle: RequestListener = (req, res) => {
    if (draining) res.shouldKeepAlive = false;
    if (req.rawHeaders.length > limits.headersMax * 2) return refuse(res, 431);
    options.onRequest(req, res);
  };

  const open = async (where: { host: string; port: number } | { path: string }): Promise<number> => {
    const server = createServer(handle, { options, limits, material });
    await listen(server, where);
    servers.push(server);
    if ('path' in where) {
      addresses.push(where.path);
      return 0;
    }
    const bound = server.address();
    assert(bound !== null && typeof bound === 'object', 'a TCP server that listens has an address');
    const { address, family, port } = bound;
    addresses.push(family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`);
    return port;
  };

  return {
    addresses,
    async listenLoopback(port) {
      const chosen = await open({ host: '127.0.0.1', port });
      try {
        await open({ host: '::1', port: chosen });
      } catch (error) {
        /* Another process on [::1] would receive what people send to `localhost`: that is no state to run in. */
        if (!isFamilyMissing(error)) throw error;
      }
      return chosen;
    },
    listenTcp: (where) => open(where),
    async listenUnix(path) {
      await prepareSocketPath(path);
      await open({ path });
      await chmod(path, 0o600);
    },
    setTls(next) {
      material = next;
      for (const server of servers) if (server instanceof https.Server) server.setSecureContext(next);
    },
    async close(drainMs) {
      draining = true;
      await Promise.all(servers.splice(0).map((server) => closeServer(server, drainMs)));
      addresses.length = 0;
    },
  };
}

interface ServerParts {
  readonly options: ListenerOptions;
  readonly limits: ListenerLimits;
  readonly material: TlsMaterial | undefined;
}

function createServer(handle: RequestListener, { options, limits, material }: ServerParts): Server {
  const settings: http.ServerOptions = {
    maxHeaderSize: limits.headerMaxBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.max(50, Math.min(5000, Math.floor(limits.headersMs / 3))),
    noDelay: true,
    requireHostHeader: false,
    insecureHTTPParser: false,
    shouldUpgradeCallback: (req) => options.onUpgrade !== undefined && (options.wantsUpgrade?.(req) ?? true),
  };
  const server =
    material === undefined
      ? http.createServer(settings, handle)
      : https.createServer(
          {
            ...settings,
            ...material,
            minVersion: 'TLSv1.2',
            ALPNProtocols: ['http/1.1'],
            handshakeTimeout: 10_000,
          },
          handle,
        );
  /* 0: Node would silently drop headers over its count, which hides duplicates; `handle` counts instead. */
  server.maxHeadersCount = 0;
  server.maxConnections = limits.connectionsMax;
  server.on('clientError', answerClientError);
  if (options.onUpgrade !== undefined) server.on('upgrade', options.onUpgrade);
  return server;
}

function listen(server: Server, where: { host: string; port: number } | { path: string }): Promise<void> {
  const name = 'path' in where ? where.path : `${where.host}:${where.port}`;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        errorCode(error) === 'EADDRINUSE'
          ? netError(
              'listen_address_in_use',
              `${name} is in use by another process; stop it or choose another with --listen`,
              error,
            )
          : netError('listen_failed', `cannot listen on ${name}: ${errorCode(error)}`, error),
      );
    });
    const options = 'path' in where ? where : { ...where, ipv6Only: where.host.includes(':') };
    server.listen({ ...options, backlog: 1024 }, () => {
      server.removeAllListeners('error');
      /* After this, errors of accept (EMFILE) pass; they heal when connections close. */
      server.on('error', () => {});
      resolve();
    });
  });
}

function isFamilyMissing(error: unknown): boolean {
  const cause = error instanceof Error ? errorCode(error.cause) : '';
  return cause === 'EADDRNOTAVAIL' || cause === 'EAFNOSUPPORT' || cause === 'EPROTONOSUPPORT';
}

function refuse(res: ServerResponse, status: number): void {
  res.writeHead(status, { connection: 'close', 'content-length': '0' });
  res.end();
}

const CLIENT_ERROR_STATUS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Content Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Bytes that are not a request: a bare status and the end. If an answer is under way, only the end. */
function answerClientError(error: Error, socket: Duplex): void {
  const isAnswering =
    '_httpMessage' in socket && socket._httpMessage !== null && socket._httpMessage !== undefined;
  if (errorCode(error) === 'ECONNRESET' || !socket.writable || isAnswering) {
    socket.destroy();
    return;
  }
  const status = CLIENT_ERROR_STATUS[errorCode(error)] ?? '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy());
}

function closeServer(server: Server, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    /* Connections that become idle while others finish are closed as they do. */
    const sweep = setInterval(() => server.closeIdleConnections(), 50);
    const cut = setTimeout(() => server.closeAllConnections(), drainMs);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}
