/**
 * STUN over UDP: tells clients from which address they are seen (RFC 8489 section 14.2). It answers
 * binding requests of Tailscale's clients only, with one datagram of at most 44 bytes for 40.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Clock } from '../../../base/clock.ts';
import { AppError, describeError } from '../../../base/errors.ts';
import { type IpAddress, parseIp } from '../../../wire/ip.ts';
import { encodeStunAnswer, parseStunRequest } from '../../../wire/stun.ts';
import { networkOf } from './source-network.ts';
import { StunRates } from './stun-rates.ts';

/** A request with a SOFTWARE and a FINGERPRINT has 40 bytes; no honest one comes near this. */
const REQUEST_MAX_BYTES = 512;
/** Bytes that wait in Node for a socket; above it, nothing is answered. */
const SEND_QUEUE_MAX_BYTES = 256 * 1024;

/** What the server may fail with. */
export type StunErrorCode = 'stun_bind';

export interface StunServerOptions {
  readonly clock: Clock;
  /** UDP; the same for both families. 0: any. Clients expect 3478 unless their map says otherwise. */
  readonly port: number;
  /** Default `0.0.0.0`. Null: no IPv4. */
  readonly address4?: string | null;
  /** Default `::`, where the machine has IPv6. Null: no IPv6. */
  readonly address6?: string | null;
}

export interface StunCounters {
  answered: number;
  /** Not a binding request that is ours to answer. */
  ignored: number;
  /** Its network has had its share. */
  rateLimited: number;
  /** The system did not take the answer. */
  sendFailed: number;
}

export class StunServer {
  readonly port: number;
  readonly counters: StunCounters = { answered: 0, ignored: 0, rateLimited: 0, sendFailed: 0 };
  readonly #clock: Clock;
  readonly #sockets: readonly Socket[];
  readonly #rates = new StunRates();
  #isClosed = false;

  private constructor(clock: Clock, sockets: readonly Socket[], port: number) {
    this.#clock = clock;
    this.#sockets = sockets;
    this.port = port;
    for (const socket of sockets) {
      socket.on('message', (datagram, remote) => this.#receive(socket, datagram, remote));
      socket.on('error', () => {
        this.counters.sendFailed += 1;
      });
    }
  }

  /** @throws AppError<StunErrorCode> if the port cannot be had; IPv6 may be missing unless its address is given. */
  static async open({ clock, port, address4 = '0.0.0.0', address6 }: StunServerOptions): Promise<StunServer> {
    const sockets: Socket[] = [];
    try {
      if (address4 !== null) sockets.push(await bind('udp4', address4, port));
      const chosen = sockets[0]?.address().port ?? port;
      if (address6 !== null) {
        const socket6 = await bind('udp6', address6 ?? '::', chosen).catch((error: unknown) => {
          if (address6 !== undefined || sockets.length === 0) throw error;
          return null;
        });
        if (socket6 !== null) sockets.push(socket6);
      }
    } catch (error) {
      for (const socket of sockets) socket.close();
      throw error;
    }
    const bound = sockets[0]?.address().port;
    if (bound === undefined)
      throw new AppError<StunErrorCode>('stun_bind', 'a STUN server needs IPv4, IPv6 or both');
    return new StunServer(clock, sockets, bound);
  }

  /** Resolves when the port is free. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all(
      this.#sockets.map(async (socket) => {
        const closed = once(socket, 'close');
        socket.close();
        await closed;
      }),
    );
  }

  #receive(socket: Socket, datagram: Buffer, { address, port }: RemoteInfo): void {
    if (this.#isClosed) return;
    const tx = datagram.length > REQUEST_MAX_BYTES ? null : parseStunRequest(datagram);
    const ip = tx === null ? null : readAddress(address);
    if (tx === null || ip === null || port === 0) {
      this.counters.ignored += 1;
      return;
    }
    if (!this.#rates.take(networkOf(ip, 24), this.#clock.monotonicMs())) {
      this.counters.rateLimited += 1;
      return;
    }
    if (socket.getSendQueueSize() > SEND_QUEUE_MAX_BYTES) {
      this.counters.sendFailed += 1;
      return;
    }
    this.counters.answered += 1;
    socket.send(encodeStunAnswer(tx, { ip, port }), port, address, (error) => {
      if (error !== null) this.counters.sendFailed += 1;
    });
  }
}

/** As the system writes it, perhaps with a zone. */
function readAddress(text: string): IpAddress | null {
  return parseIp(text.split('%', 1)[0] ?? '');
}

/** Addresses only: nothing is looked up. */
function withoutLookup(
  address: string,
  options: { family?: number | 'IPv4' | 'IPv6' },
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  done(null, address, options.family === 6 || address.includes(':') ? 6 : 4);
}

async function bind(type: 'udp4' | 'udp6', address: string, port: number): Promise<Socket> {
  const socket = createSocket({ type, ipv6Only: type === 'udp6', lookup: withoutLookup });
  try {
    const listening = once(socket, 'listening');
    socket.bind({ port, address, exclusive: true });
    await listening;
    return socket;
  } catch (cause) {
    socket.close();
    throw new AppError<StunErrorCode>(
      'stun_bind',
      `cannot bind UDP port ${port} on ${address} for STUN; choose another port or address`,
      { cause, detail: describeError(cause) },
    );
  }
}
