/**
 * Providers on devices of the joined network are called through the node, under the network's policy
 * (DESIGN section 6): the network is asked first, and everything else goes the guarded way.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { AppError, describeError } from '../base/errors.ts';
import type { DialErrorCode, Dialer, DialTarget } from '../net/index.ts';
import type { TailnetNode } from '../tailnet/node/index.ts';
import { classifyIp, formatIp, parseIp } from '../wire/ip.ts';

/** A way to one device of the network. */
export interface DeviceRoute {
  dial(port: number, options: { readonly signal: AbortSignal; readonly timeoutMs: number }): Promise<Duplex>;
}

/** The part of the node that knows its network. */
export type NetworkNames = Pick<TailnetNode, 'dial' | 'lookup' | 'whois' | 'ownNames'>;

/**
 * A way to another device by its full name or its address; null where the host is none, so that it is
 * dialled like any other. Only names under the network's own domain count, and only addresses that no
 * server outside has: a network's map must not draw other traffic to itself.
 */
export function routeThrough(node: NetworkNames, hostname: string): DeviceRoute | null {
  const name = hostname
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase();
  const literal = parseIp(name);
  const address = literal === null ? addressUnder(node, name) : formatIp(literal);
  if (address === null || !isInside(address) || node.whois(address) === null) return null;
  return { dial: (port, options) => node.dial(address, port, options) };
}

/** Null for the gateway itself, for short names, and for what is shared from elsewhere. */
function addressUnder(node: NetworkNames, name: string): string | null {
  const { ownNames } = node;
  const [own = ''] = ownNames;
  const suffix = own.slice(own.indexOf('.'));
  if (!suffix.startsWith('.') || !name.endsWith(suffix) || ownNames.includes(name)) return null;
  return node.lookup(name)[0] ?? null;
}

function isInside(address: string): boolean {
  const ip = parseIp(address);
  const kind = ip === null ? null : classifyIp(ip);
  return kind === 'cgnat' || kind === 'unique-local';
}

export interface NetworkDialerOptions {
  readonly guarded: Dialer;
  readonly routeTo: (hostname: string) => DeviceRoute | null;
  /** PEM files trusted besides the system's roots; read once, here. */
  readonly caFiles: readonly string[];
  /** Whole time for connecting and the handshake. */
  readonly connectMs: number;
}

export function createNetworkDialer(options: NetworkDialerOptions): Dialer {
  const { guarded, routeTo, caFiles, connectMs } = options;
  const own = caFiles.map((file) => readFileSync(file, 'utf8'));
  /* Reading all roots takes long, and most processes never need them here. */
  let context: tls.SecureContext | null = null;
  const contextOf = (): tls.SecureContext =>
    (context ??= tls.createSecureContext({
      minVersion: 'TLSv1.2',
      ...(own.length === 0 ? {} : { ca: [...tls.getCACertificates('default'), ...own] }),
    }));
  return {
    async dial(target) {
      const route = routeTo(target.hostname);
      if (route === null) return guarded.dial(target);
      const deadline = AbortSignal.timeout(connectMs);
      const signal = target.signal === undefined ? deadline : AbortSignal.any([target.signal, deadline]);
      const where = `${target.hostname}:${target.port} of the joined network`;
      let socket: Duplex;
      try {
        socket = await route.dial(target.port, { signal, timeoutMs: connectMs });
      } catch (cause) {
        if (deadline.aborted)
          throw dialError('dial_timeout', `${where} did not answer within ${connectMs} ms`, cause);
        throw dialError('dial_failed', `cannot connect to ${where}: ${describeError(cause)}`, cause);
      }
      if (target.protocol === 'https:')
        return secure(socket, { target, context: contextOf(), signal, where });
      if (target.onread !== undefined) feed(socket, target.onread);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the node's sockets are shaped like `net.Socket`
      return socket as Socket;
    },
  };
}

/** As a socket of the system does with `onread`: the bytes go into one buffer that is used again and again. */
function feed(socket: Duplex, onread: NonNullable<DialTarget['onread']>): void {
  const target = typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer;
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.byteLength; at += target.byteLength) {
      const part = chunk.subarray(at, at + target.byteLength);
      target.set(part);
      onread.callback(part.byteLength, target);
    }
  });
}

function secure(
  socket: Duplex,
  parts: {
    readonly target: DialTarget;
    readonly context: tls.SecureContext;
    readonly signal: AbortSignal;
    readonly where: string;
  },
): Promise<Socket> {
  const { target, context, signal, where } = parts;
  const host = target.hostname.replace(/^\[(.*)\]$/, '$1');
  return new Promise((resolve, reject) => {
    const secured = tls.connect({
      socket,
      secureContext: context,
      rejectUnauthorized: true,
      ALPNProtocols: ['http/1.1'],
      host,
      /* RFC 6066 section 3 forbids addresses in SNI; the certificate is checked against `host` then. */
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    });
    const fail = (cause: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      secured.destroy();
      socket.destroy();
      reject(
        dialError('tls_failed', `no trusted TLS connection to ${where}: ${describeError(cause)}`, cause),
      );
    };
    const onAbort = (): void => fail(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    secured.on('error', fail);
    secured.once('secureConnect', () => {
      signal.removeEventListener('abort', onAbort);
      secured.off('error', fail);
      secured.on('error', () => undefined);
      resolve(secured);
    });
  });
}

function dialError(code: DialErrorCode, message: string, cause: unknown): AppError<DialErrorCode> {
  return new AppError(code, message, { cause });
}
