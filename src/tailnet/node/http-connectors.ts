/** Node's HTTP clients through a node: agents for `node:http` and `node:https`, and undici's `connect`. */
import http from 'node:http';
import https from 'node:https';
import net, { type Socket } from 'node:net';
import tls from 'node:tls';
import { assert } from '../../base/errors.ts';
import type { NetstackSocket } from '../netstack/index.ts';

/** Begins a connection to a name or an address of the network. Throws as `net.connect` fails. */
export type Connect = (host: string, port: number) => NetstackSocket;

/** undici gives up on a connection after this long, too. */
const CONNECT_TIMEOUT_MS = 10_000;

export function createHttpAgent(connect: Connect, options: http.AgentOptions): http.Agent {
  const agent = new http.Agent(options);
  agent.createConnection = ({ host, port }) => connect(host ?? '', Number(port ?? 80));
  return agent;
}

/** Certificates are verified against the name that is asked for, as everywhere. */
export function createHttpsAgent(connect: Connect, options: https.AgentOptions): https.Agent {
  const agent = new https.Agent(options);
  /* What the agent gives has the TLS options of the agent and of the request. */
  agent.createConnection = (target: tls.ConnectionOptions) =>
    tls.connect({ ...target, socket: connect(target.host ?? '', target.port ?? 443) });
  return agent;
}

/** What undici gives to the `connect` function of an `Agent`. */
export interface ConnectorTarget {
  readonly hostname: string;
  readonly protocol: string;
  readonly port: string;
  readonly servername?: string | null;
}

/** As undici's `buildConnector.connector`. */
export type Connector = (
  target: ConnectorTarget,
  done: (...result: [error: null, socket: Socket] | [error: Error, socket: null]) => void,
) => void;

export function createConnector(connect: Connect, options: tls.ConnectionOptions): Connector {
  return ({ hostname, protocol, port, servername }, done) => {
    const isTls = protocol === 'https:';
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    let socket: NetstackSocket | tls.TLSSocket;
    try {
      const plain = connect(host, Number(port === '' ? defaultPort(isTls) : port));
      socket = isTls ? secure(plain, { host, servername: servername ?? '', options }) : plain;
    } catch (error) {
      queueMicrotask(() => done(error instanceof Error ? error : new Error(String(error)), null));
      return;
    }
    settle(socket, isTls ? 'secureConnect' : 'connect', done);
  };
}

interface SecureOptions {
  /** What the certificate must be for where no server name is asked for: else it would be `localhost`. */
  readonly host: string;
  readonly servername: string;
  readonly options: tls.ConnectionOptions;
}

function secure(socket: NetstackSocket, { host, servername, options }: SecureOptions): tls.TLSSocket {
  const name = servername === '' ? host : servername;
  return tls.connect({
    ALPNProtocols: ['http/1.1'],
    ...options,
    host,
    /* An address is no server name (RFC 6066 section 3). */
    ...(net.isIP(name) === 0 ? { servername: name } : {}),
    socket,
  });
}

function defaultPort(isTls: boolean): number {
  return isTls ? 443 : 80;
}

function settle(
  socket: NetstackSocket | tls.TLSSocket,
  event: 'connect' | 'secureConnect',
  done: Parameters<Connector>[1],
): void {
  const timer = setTimeout(
    () => socket.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)),
    CONNECT_TIMEOUT_MS,
  );
  const onError = (error: Error): void => {
    clearTimeout(timer);
    done(error, null);
  };
  socket.once('error', onError);
  socket.once(event, () => {
    clearTimeout(timer);
    socket.removeListener('error', onError);
    assert(hasSocketSurface(socket), 'a connected socket has the surface of net.Socket');
    done(null, socket);
  });
}

/** A netstack socket is no `net.Socket` by its class, and has all of it that HTTP clients use. */
function hasSocketSurface(socket: object): socket is Socket {
  return 'setKeepAlive' in socket && 'setNoDelay' in socket && 'remoteAddress' in socket;
}
