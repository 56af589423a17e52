/**
 * The one guarded way out (DESIGN section 6): resolve once, check every address, connect only to
 * checked addresses, verify the certificate against the name that was asked for. Nothing resolves
 * a second time, so a name cannot change between check and use.
 */
import { readFileSync } from 'node:fs';
import { lookup as systemLookup } from 'node:dns/promises';
import net from 'node:net';
import tls from 'node:tls';
import type { AppError } from '../base/errors.ts';
import { type Cidr, type IpAddress, formatIp, parseIp } from '../wire/ip.ts';
import { type AddressPolicy, createAddressPolicy } from './address-policy.ts';
import { type UpstreamErrorCode, errorCode, isNetError, netError } from './errors.ts';

export interface DialTarget {
  readonly protocol: 'http:' | 'https:';
  /** A name or an address, brackets of IPv6 allowed; as written in a document, never by a caller. */
  readonly hostname: string;
  readonly port: number;
  readonly signal?: AbortSignal;
  /** Where a plain socket puts the bytes that come, instead of `data` events. TLS sockets do not take it. */
  readonly onread?: net.OnReadOpts;
}

export interface Dialer {
  /**
   * A connected TCP socket, or TLS with a verified certificate.
   * @throws AppError<DialErrorCode>
   */
  dial(target: DialTarget): Promise<net.Socket>;
}

/** All addresses of a name, in the order to try them. */
export type Lookup = (hostname: string) => Promise<readonly { readonly address: string }[]>;

export interface DialerOptions {
  readonly allow: readonly Cidr[];
  readonly exact: readonly { readonly address: string; readonly port: number }[];
  /** Addresses of this machine as text; asked at each dial. */
  readonly ownAddresses: () => readonly string[];
  /** Default: the system's resolver. */
  readonly lookup?: Lookup;
  /** PEM files trusted besides the system's and Node's own roots; read once, here. */
  readonly caFiles?: readonly string[];
  /** Whole time for resolving, connecting and the handshake. Default 10,000. */
  readonly connectMs?: number;
  /** Head start of one address before the next is tried beside it. Default 250: RFC 8305 section 5. */
  readonly attemptDelayMs?: number;
}

/** Addresses tried for one name; more than any honest name has. */
const ADDRESSES_MAX = 8;

export function createDialer(options: DialerOptions): Dialer {
  const policy = createAddressPolicy({
    allow: options.allow,
    exact: options.exact.flatMap(({ address, port }) => {
      const ip = parseIp(address);
      return ip === null ? [] : [{ address: ip, port }];
    }),
    ownAddresses: () => options.ownAddresses().flatMap((text) => parseIp(text) ?? []),
  });
  const lookup = options.lookup ?? ((hostname) => systemLookup(hostname, { all: true, order: 'verbatim' }));
  const connectMs = options.connectMs ?? 10_000;
  const secureContext = tls.createSecureContext({
    minVersion: 'TLSv1.2',
    ...(options.caFiles === undefined || options.caFiles.length === 0
      ? {}
      : {
          ca: [
            ...tls.getCACertificates('default'),
            ...options.caFiles.map((file) => readFileSync(file, 'utf8')),
          ],
        }),
  });

  const dial = async (target: DialTarget): Promise<net.Socket> => {
    const hostname = target.hostname.replace(/^\[(.*)\]$/, '$1');
    const deadline = AbortSignal.timeout(connectMs);
    const signal = target.signal === undefined ? deadline : AbortSignal.any([target.signal, deadline]);
    const where = `${target.hostname}:${target.port}`;
    try {
      const addresses = await checkedAddresses(hostname, target.port, { lookup, policy, signal });
      const socket = await raceConnect(addresses, {
        port: target.port,
        attemptDelayMs: options.attemptDelayMs ?? 250,
        signal,
        onread: target.protocol === 'http:' ? target.onread : undefined,
      });
      return target.protocol === 'https:'
        ? await secure(socket, { hostname, secureContext, signal })
        : socket;
    } catch (error) {
      throw toDialError(error, where, deadline.aborted, connectMs);
    }
  };

  return { dial };
}

interface CheckOptions {
  readonly lookup: Lookup;
  readonly policy: AddressPolicy;
  readonly signal: AbortSignal;
}

/** The addresses of a name that may be dialled; families alternate (RFC 8305 section 4). */
async function checkedAddresses(
  hostname: string,
  port: number,
  options: CheckOptions,
): Promise<readonly IpAddress[]> {
  const literal = parseIp(hostname);
  const found = literal === null ? await resolve(hostname, options) : [literal];
  const allowed: IpAddress[] = [];
  let refused: string | null = null;
  for (const ip of found) {
    const why = options.policy(ip, port);
    if (why === null) allowed.push(ip);
    else refused ??= `${formatIp(ip)}, ${why}`;
  }
  if (allowed.length === 0) {
    throw netError(
      'dial_refused_address',
      refused === null
        ? `${hostname} has no usable address`
        : `${hostname} leads to ${refused}; the operator allows it with --allow-upstream`,
    );
  }
  return interleave(allowed).slice(0, ADDRESSES_MAX);
}

async function resolve(hostname: string, { lookup, signal }: CheckOptions): Promise<readonly IpAddress[]> {
  const answer = await abortable(lookup(hostname), signal);
  return answer.flatMap(({ address }) => parseIp(address) ?? []);
}

function interleave(addresses: readonly IpAddress[]): IpAddress[] {
  const first = addresses[0]?.family;
  const preferred = addresses.filter((ip) => ip.family === first);
  const others = addresses.filter((ip) => ip.family !== first);
  const mixed: IpAddress[] = [];
  for (let i = 0; i < Math.max(preferred.length, others.length); i += 1) {
    mixed.push(...preferred.slice(i, i + 1), ...others.slice(i, i + 1));
  }
  return mixed;
}

interface RaceOptions {
  readonly port: number;
  readonly attemptDelayMs: number;
  readonly signal: AbortSignal;
  readonly onread: net.OnReadOpts | undefined;
}

/** Connects to the addresses, each a little after the one before; the first to connect wins. */
function raceConnect(
  addresses: readonly IpAddress[],
  { port, attemptDelayMs, signal, onread }: RaceOptions,
): Promise<net.Socket> {
  return new Promise((resolvePromise, reject) => {
    const attempts = new Set<net.Socket>();
    let next = 0;
    let timer: NodeJS.Timeout | undefined;
    let lastError: unknown;
    const finish = (winner: net.Socket | null, error?: unknown): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      for (const socket of attempts) if (socket !== winner) socket.destroy();
      if (winner === null) reject(error);
      else resolvePromise(winner);
    };
    const onAbort = (): void => finish(null, signal.reason);
    const attempt = (): void => {
      clearTimeout(timer);
      const ip = addresses[next];
      if (ip === undefined) return;
      next += 1;
      const socket = net.connect({
        host: formatIp(ip),
        port,
        family: ip.family,
        autoSelectFamily: false,
        noDelay: true,
        ...(onread === undefined ? {} : { onread }),
      });
      attempts.add(socket);
      const onError = (error: Error): void => {
        attempts.delete(socket);
        lastError = error;
        if (next < addresses.length) attempt();
        else if (attempts.size === 0) finish(null, lastError);
      };
      socket.on('error', onError);
      socket.once('connect', () => {
        socket.off('error', onError);
        socket.on('error', ignore);
        socket.setKeepAlive(true, 60_000);
        finish(socket);
      });
      if (next < addresses.length) timer = setTimeout(attempt, attemptDelayMs);
    };
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    attempt();
  });
}

interface SecureOptions {
  readonly hostname: string;
  readonly secureContext: tls.SecureContext;
  readonly signal: AbortSignal;
}

/** TLS over a connected socket; the name of the document is both SNI and what the certificate must bear. */
function secure(socket: net.Socket, { hostname, secureContext, signal }: SecureOptions): Promise<net.Socket> {
  return new Promise((resolvePromise, reject) => {
    const isAddress = net.isIP(hostname) !== 0;
    const secured = tls.connect({
      socket,
      secureContext,
      rejectUnauthorized: true,
      ALPNProtocols: ['http/1.1'],
      /* RFC 6066 section 3 forbids addresses in SNI; the certificate is checked against `host` then. */
      host: hostname,
      ...(isAddress ? {} : { servername: hostname }),
    });
    const onAbort = (): void => fail(signal.reason);
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      secured.destroy();
      reject(error === signal.reason ? error : new TlsFailure(error));
    };
    const onClose = (): void => fail(new Error('the connection closed during the handshake'));
    secured.on('error', fail);
    secured.once('close', onClose);
    secured.once('secureConnect', () => {
      signal.removeEventListener('abort', onAbort);
      secured.off('error', fail);
      secured.on('error', ignore);
      secured.off('close', onClose);
      resolvePromise(secured);
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Between two owners a socket's error must not be an uncaught one; `close` follows and tells the next owner. */
function ignore(): void {}

class TlsFailure extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function toDialError(
  error: unknown,
  where: string,
  timedOut: boolean,
  connectMs: number,
): AppError<UpstreamErrorCode> {
  if (isNetError(error)) return error;
  if (timedOut) return netError('dial_timeout', `${where} did not answer within ${connectMs} ms`, error);
  if (error instanceof TlsFailure) {
    const code = errorCode(error.cause);
    const reason = code === '' ? error.message : code;
    return netError(
      'tls_failed',
      `no trusted TLS connection to ${where}: ${reason}; for a certificate of your own authority, list it in caFiles`,
      error.cause,
      error.message,
    );
  }
  const code = errorCode(error);
  return netError('dial_failed', `cannot connect to ${where}${code === '' ? '' : `: ${code}`}`, error);
}

function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolvePromise, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolvePromise, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
