/**
 * A DERP relay over the HTTP server of whoever makes it, TLS included. What it leaves out: meshes of
 * several relays in one region, and the certificate by which clients skip the relay's greeting.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../../base/clock.ts';
import { assert } from '../../../base/errors.ts';
import type { Random } from '../../../base/random.ts';
import { parseIp } from '../../../wire/ip.ts';
import type { NodeKeyHex, RelayAdmission } from './ports.ts';
import type { RelayCounters } from './relay-counters.ts';
import { RelayHub } from './relay-hub.ts';
import {
  DEFAULT_RELAY_LIMITS,
  RATE_BURST_MIN_BYTES,
  RATE_MIN_BYTES_PER_SECOND,
  RELAY_SWEEP_MS,
  type RelayLimits,
  type RelayRate,
} from './relay-limits.ts';
import { createRelayRequests } from './relay-requests.ts';
import { SocketPipe } from './socket-pipe.ts';
import { networkOf } from './source-network.ts';
import { isWebsocketKey, websocketAccept } from './websocket.ts';

const PATH = '/derp';
/** So that a peer whose machine has gone is noticed. */
const TCP_KEEP_ALIVE_MS = 30_000;
/** When clients come back after a restart, if nothing else is said. */
const RECONNECT_IN_MS = 2_000;

export interface RelayOptions {
  readonly admission: RelayAdmission;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<RelayLimits>;
  /** Held against every client, and told to it. Default null: none. */
  readonly rate?: RelayRate | null;
}

export interface Relay {
  /** Takes an upgrade at `/derp`, or refuses it. False: of another path; the socket is left alone. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean;
  /** Answers what a relay answers, `POST /verify` included. False: of another path; nothing was done. */
  handleRequest(request: IncomingMessage, response: ServerResponse): boolean;
  /** Ends every connection of a key at once. */
  revoke(nodeKey: NodeKeyHex): void;
  /** Asks admission anew about one key, or about all. To be called when a device moved or was removed. */
  recheck(nodeKey?: NodeKeyHex): void;
  isConnected(nodeKey: NodeKeyHex): boolean;
  counters(): RelayCounters;
  /** Tells clients when to come back, ends every connection, and takes no more. */
  close(reconnectInMs?: number): void;
}

export function createRelay({ admission, clock, random, limits, rate = null }: RelayOptions): Relay {
  assert(
    rate === null ||
      (rate.bytesPerSecond >= RATE_MIN_BYTES_PER_SECOND && rate.burstBytes >= RATE_BURST_MIN_BYTES),
    `a relay's rate is at least ${RATE_MIN_BYTES_PER_SECOND} bytes per second with a burst of ${RATE_BURST_MIN_BYTES}`,
  );
  const hub = new RelayHub({
    admission,
    clock,
    random,
    rate,
    limits: { ...DEFAULT_RELAY_LIMITS, ...limits },
  });
  const requests = createRelayRequests(admission);
  let sweeping: NodeJS.Timeout | null = null;
  let isClosed = false;

  /* No timer while nobody is connected. */
  const sweep = (): void => {
    hub.sweep();
    sweeping = hub.isEmpty ? null : setTimeout(sweep, RELAY_SWEEP_MS).unref();
  };

  const open = (request: IncomingMessage, socket: Duplex, { greeting, head, isWebsocket }: Opening): void => {
    if (isClosed || socket.destroyed) {
      socket.destroy();
      return;
    }
    if (greeting !== '') socket.write(greeting);
    const pipe = new SocketPipe(socket, { isWebsocket, clock, rate, counters: hub.counters });
    const session = hub.accept(pipe, networkOf(parseIp(request.socket.remoteAddress ?? ''), 32));
    if (session === null) socket.destroy();
    else {
      if (isWebsocket) hub.counters.websockets += 1;
      sweeping ??= setTimeout(sweep, RELAY_SWEEP_MS).unref();
      pipe.attach(session, head);
    }
  };

  return {
    handleUpgrade(request, socket, head) {
      if (pathOf(request) !== PATH) return false;
      prepare(socket);
      const kind = upgradeOf(request);
      switch (kind.type) {
        case 'derp':
          open(request, socket, { greeting: kind.isFast ? '' : SWITCHING, head, isWebsocket: false });
          break;
        case 'websocket':
          void websocketAccept(kind.key).then((accept) =>
            open(request, socket, { greeting: websocketSwitching(accept), head, isWebsocket: true }),
          );
          break;
        case 'refused':
          socket.end(kind.answer, () => socket.destroy());
      }
      return true;
    },
    handleRequest(request, response) {
      const handler = requests.get(pathOf(request));
      if (handler === undefined) return false;
      handler(request, response);
      return true;
    },
    revoke: (nodeKey) => hub.revoke(nodeKey),
    recheck: (nodeKey) => hub.recheck(nodeKey),
    isConnected: (nodeKey) => hub.isConnected(nodeKey),
    counters: () => hub.snapshot(),
    close(reconnectInMs = RECONNECT_IN_MS) {
      isClosed = true;
      if (sweeping !== null) clearTimeout(sweeping);
      hub.close(reconnectInMs);
    },
  };
}

interface Opening {
  /** Written before the relay speaks; empty for a client that does not wait for it. */
  readonly greeting: string;
  readonly head: Buffer;
  readonly isWebsocket: boolean;
}

const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n';

function websocketSwitching(accept: string): string {
  const lines = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Protocol: derp'];
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

/** The HTTP server's limits of time end here; the relay has its own. */
function prepare(socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  if ('setTimeout' in socket && typeof socket.setTimeout === 'function') socket.setTimeout(0);
  if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay(true);
  if ('setKeepAlive' in socket && typeof socket.setKeepAlive === 'function')
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
}

type UpgradeKind =
  | { readonly type: 'derp'; readonly isFast: boolean }
  | { readonly type: 'websocket'; readonly key: string }
  | { readonly type: 'refused'; readonly answer: string };

function upgradeOf({ method, headers }: IncomingMessage): UpgradeKind {
  if (method !== 'GET') return refusal('405 Method Not Allowed', 'an upgrade is a GET', ['Allow: GET']);
  const wanted = headers.upgrade?.toLowerCase() ?? '';
  if (wanted === 'derp') return { type: 'derp', isFast: headers['derp-fast-start'] === '1' };
  const protocols = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim()) ?? [];
  if (wanted !== 'websocket' || !protocols.includes('derp')) {
    const what = 'a relay is reached with Upgrade: DERP, or a WebSocket of the subprotocol derp';
    return refusal('426 Upgrade Required', what, ['Upgrade: DERP']);
  }
  if (headers['sec-websocket-version'] !== '13')
    return refusal('426 Upgrade Required', 'the version of WebSocket is 13', ['Sec-WebSocket-Version: 13']);
  const key = headers['sec-websocket-key'];
  return isWebsocketKey(key)
    ? { type: 'websocket', key }
    : refusal('400 Bad Request', 'Sec-WebSocket-Key is 16 bytes in base64', []);
}

function refusal(status: string, text: string, headers: readonly string[]): UpgradeKind {
  const body = `${text}\n`;
  const lines = [
    `HTTP/1.1 ${status}`,
    ...headers,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  return { type: 'refused', answer: `${lines.join('\r\n')}\r\n\r\n${body}` };
}
