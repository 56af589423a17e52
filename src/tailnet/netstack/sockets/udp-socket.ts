/** A UDP port with the shape of `dgram.Socket`: `message(data, from)` and `close` events. */
import { EventEmitter } from 'node:events';
import { formatIp, parseIp } from '../../../wire/ip.ts';
import { ipFromBytes, ipToBytes } from '../../../wire/ip-packet.ts';
import type { UdpMessage, UdpPort } from '../udp-ports.ts';
import { SocketError } from './socket-error.ts';
import type { SocketAddress } from './tcp-socket.ts';

/** Where a datagram came from. */
export interface DatagramSource extends SocketAddress {
  /** Bytes. */
  readonly size: number;
}

/** What a UDP socket needs of its network. */
export interface UdpSocketHost {
  localAddressFor(remote: Buffer): Buffer | null;
  afterCall(): void;
  /** The socket is closed. */
  forgetUdp(socket: NetstackUdpSocket): void;
}

export class NetstackUdpSocket extends EventEmitter {
  readonly #host: UdpSocketHost;
  readonly #own: Buffer | null;
  #port: UdpPort | null = null;

  /** `own`: the address that it is bound to; null: all. */
  constructor(host: UdpSocketHost, own: Buffer | null) {
    super();
    this.#host = host;
    this.#own = own;
  }

  /** Called once by the network that made it. */
  open(port: UdpPort): void {
    this.#port = port;
  }

  /** A datagram came. */
  receive(message: UdpMessage): void {
    const { data, remoteAddress, remotePort } = message;
    const family = remoteAddress.length === 4 ? 'IPv4' : 'IPv6';
    const address = formatIp(ipFromBytes(remoteAddress));
    this.emit('message', data, { address, family, port: remotePort, size: data.length });
  }

  /** The bound port; 0 when closed. */
  get port(): number {
    return this.#port?.port ?? 0;
  }

  /**
   * Sends one datagram, at once. Throws `EMSGSIZE` if it does not fit the MTU, `ENETUNREACH` if no own
   * address is of that family, `ENOTFOUND` for what is no address, `EPIPE` when closed.
   */
  send(data: Uint8Array, port: number, address: string): void {
    const facts = { syscall: 'send', address, port };
    const ip = parseIp(address);
    if (ip === null) throw new SocketError('ENOTFOUND', facts);
    const remoteAddress = ipToBytes(ip);
    const isOwnFamily = this.#own?.length === remoteAddress.length;
    const localAddress = isOwnFamily ? this.#own : this.#host.localAddressFor(remoteAddress);
    if (localAddress === null) throw new SocketError('ENETUNREACH', facts);
    if (this.#port === null) throw new SocketError('EPIPE', facts);
    const outcome = this.#port.send({ data, localAddress, remoteAddress, remotePort: port });
    if (outcome === 'too-large') throw new SocketError('EMSGSIZE', facts);
    this.#host.afterCall();
  }

  close(): void {
    if (this.#port === null) return;
    this.#port.close();
    this.#port = null;
    this.#host.forgetUdp(this);
    process.nextTick(() => this.emit('close'));
  }
}
