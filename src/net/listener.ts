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

const DEFAULT_LISTENER_LIMITS: ListenerLimits = {
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
  /**
   * Takes connections that something else accepted, such as a network stack of our own: each call of the
   * returned function is one connection, under the same limits as any other.
   */
  feed(): (socket: Duplex) => void;
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
  /** Servers that listen nowhere and are fed. */
  const fed: Server[] = [];
  let fedCount = 0;
  const addresses: string[] = [];
  let draining = false;
  let material = options.tls;

  const handle: RequestListener = (req, res) => {
    if (draining) res.shouldKeepAlive = false;
    if (req.rawHeaders.length > limits.headersMax * 2) return refuse(res, TOO_MANY_HEADERS);
    const coding = req.headers['transfer-encoding'];
    if (coding !== undefined && coding.toLowerCase() !== 'chunked') return refuse(res, UNKNOWN_CODING);
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
    feed() {
      const server = createServer(handle, { options, limits, material });
      /* Node tracks connections, for time limits and the end, from this event on. */
      server.emit('listening');
      fed.push(server);
      return (socket) => {
        if (draining || fedCount >= limits.connectionsMax) {
          socket.destroy();
          return;
        }
        fedCount += 1;
        socket.once('close', () => {
          fedCount -= 1;
        });
        server.emit('connection', socket);
      };
    },
    setTls(next) {
      material = next;
      for (const server of [...servers, ...fed])
        if (server instanceof https.Server) server.setSecureContext(next);
    },
    async close(drainMs) {
      draining = true;
      await Promise.all([
        ...servers.splice(0).map((server) => closeServer(server, drainMs)),
        ...fed.splice(0).map((server) => closeFed(server, { drainMs, isEmpty: () => fedCount === 0 })),
      ]);
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

interface BareRefusal {
  readonly status: number;
  readonly phrase: string;
  readonly message: string;
}

const TOO_LARGE_HEAD: BareRefusal = {
  status: 431,
  phrase: 'Request Header Fields Too Large',
  message: 'the request line and headers are over the limit (limits.headerMaxBytes)',
};
const TOO_MANY_HEADERS: BareRefusal = { ...TOO_LARGE_HEAD, message: 'the request has too many headers' };
/** RFC 9112 section 6.1. */
const UNKNOWN_CODING: BareRefusal = {
  status: 501,
  phrase: 'Not Implemented',
  message: 'the only transfer coding of a request body is chunked',
};
const MALFORMED: BareRefusal = {
  status: 400,
  phrase: 'Bad Request',
  message: 'the bytes are not an HTTP/1.1 request',
};
const CLIENT_ERRORS: Readonly<Record<string, BareRefusal>> = {
  HPE_HEADER_OVERFLOW: TOO_LARGE_HEAD,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    phrase: 'Content Too Large',
    message: 'the chunk extensions of the body are too long',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    phrase: 'Request Timeout',
    message: 'the request came too slowly',
  },
};

/** Headers and body of a refusal that no surface was asked for: one JSON that clients of several dialects read. */
function bareAnswer({ message }: BareRefusal): {
  readonly headers: readonly string[];
  readonly body: string;
} {
  const code = 'request_invalid';
  const body = JSON.stringify({ type: 'error', error: { type: 'invalid_request_error', code, message } });
  const length = String(Buffer.byteLength(body));
  return {
    headers: [
      'content-type',
      'application/json',
      'content-length',
      length,
      'x-postern-reason',
      code,
      'connection',
      'close',
    ],
    body,
  };
}

function refuse(res: ServerResponse, refusal: BareRefusal): void {
  const { headers, body } = bareAnswer(refusal);
  res.writeHead(refusal.status, [...headers]);
  res.end(res.req.method === 'HEAD' ? undefined : body);
}

/** Bytes that are no request, or no body of one: a short answer and the end; if an answer has begun, only the end. */
function answerClientError(error: Error, socket: Duplex): void {
  if (errorCode(error) === 'ECONNRESET' || !socket.writable || !mayAnswer(socket)) {
    socket.destroy();
    return;
  }
  const refusal = CLIENT_ERRORS[errorCode(error)] ?? MALFORMED;
  const { headers, body } = bareAnswer(refusal);
  const lines = [`HTTP/1.1 ${refusal.status} ${refusal.phrase}`];
  for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i] ?? ''}: ${headers[i + 1] ?? ''}`);
  socket.end([...lines, '', body].join('\r\n'), () => socket.destroy());
}

/**
 * Whether the next bytes on this connection would be read as the answer to what failed: no answer
 * is under way, or it is that of the very request whose body failed and has not begun. Node keeps
 * the answer under way in `_httpMessage`; it offers no documented way to ask.
 */
function mayAnswer(socket: Duplex): boolean {
  if (!('_httpMessage' in socket)) return true;
  const answer = socket._httpMessage;
  if (!(answer instanceof http.ServerResponse)) return true;
  return !answer.headersSent && !answer.req.complete;
}

/** A server that never listened reports its end at once; its connections must be waited for. */
function closeFed(server: Server, options: { drainMs: number; isEmpty: () => boolean }): Promise<void> {
  const { drainMs, isEmpty } = options;
  return new Promise((resolve) => {
    const finish = (): void => {
      clearInterval(sweep);
      clearTimeout(cut);
      server.close();
      resolve();
    };
    const sweep = setInterval(() => {
      server.closeIdleConnections();
      if (isEmpty()) finish();
    }, 50);
    const cut = setTimeout(() => {
      server.closeAllConnections();
      finish();
    }, drainMs);
    server.closeIdleConnections();
  });
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
