/** UDP: ports that somebody holds. Nothing is queued here: a datagram is told at once or dropped. */
import { AppError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { IP_PROTOCOL, ipHeaderBytes, type IpPacket, writeIpHeader } from '../../wire/ip-packet.ts';
import { parseUdp, UDP_HEADER_BYTES, writeUdp } from '../../wire/udp.ts';
import type { NetStackCounters } from './counters.ts';
import { HOP_LIMIT } from './tcp/emit.ts';
import { equals } from './tcp/flows.ts';
import type { NetStackErrorCode } from './tcp/table.ts';

const EPHEMERAL_FIRST = 32_768;
const EPHEMERAL_COUNT = 32_768;

export interface UdpMessage {
  /** Belongs to the receiver. */
  readonly data: Buffer;
  readonly localAddress: Buffer;
  readonly remoteAddress: Buffer;
  readonly remotePort: number;
}

export interface UdpBindOptions {
  /** One of the own addresses; null: all of them. */
  readonly address: Buffer | null;
  /** 0: a random free one. */
  readonly port: number;
  readonly receive: (message: UdpMessage) => void;
}

export interface UdpPort {
  readonly port: number;
  /** Sends one datagram; `too-large` if it does not fit the MTU (nothing is fragmented). */
  send(message: Omit<UdpMessage, 'data'> & { readonly data: Uint8Array }): 'sent' | 'too-large';
  close(): void;
}

export interface UdpHost {
  readonly mtu: number;
  readonly packet: Buffer;
  readonly counters: NetStackCounters;
  readonly random: Random;
  transmit(bytes: number): void;
}

interface BoundPort {
  readonly address: Buffer | null;
  readonly receive: UdpBindOptions['receive'];
}

export class UdpPorts {
  readonly #host: UdpHost;
  readonly #ports = new Map<number, BoundPort[]>();

  constructor(host: UdpHost) {
    this.#host = host;
  }

  /** Takes a port. Throws `address_in_use` and `no_free_port`. */
  bind(options: UdpBindOptions): UdpPort {
    const { address } = options;
    const port = options.port === 0 ? this.#freePort() : options.port;
    const others = this.#ports.get(port) ?? [];
    const isTaken = others.some(
      (other) => address === null || other.address === null || address.equals(other.address),
    );
    if (isTaken) throw new AppError<NetStackErrorCode>('address_in_use', `UDP port ${port} is already bound`);
    const bound: BoundPort = { address, receive: options.receive };
    this.#ports.set(port, [...others, bound]);
    return {
      port,
      send: (message) => this.#send(port, message),
      close: () => {
        const rest = (this.#ports.get(port) ?? []).filter((other) => other !== bound);
        if (rest.length === 0) this.#ports.delete(port);
        else this.#ports.set(port, rest);
      },
    };
  }

  #freePort(): number {
    const first = Buffer.from(this.#host.random.bytes(4)).readUInt32BE(0);
    for (let step = 0; step < EPHEMERAL_COUNT; step += 1) {
      const port = EPHEMERAL_FIRST + ((first + step) % EPHEMERAL_COUNT);
      if (!this.#ports.has(port)) return port;
    }
    throw new AppError<NetStackErrorCode>('no_free_port', 'every UDP port is bound');
  }

  /** A packet whose headers say UDP and that is for us. False if nobody has the port. */
  receive(packet: Buffer, ip: IpPacket): boolean {
    const { counters } = this.#host;
    const datagram = parseUdp(packet, ip);
    if (datagram === null) {
      counters.drops.malformed += 1;
      return true;
    }
    const length = ip.addressesEnd - ip.destinationAt;
    const bound = this.#ports
      .get(datagram.destinationPort)
      ?.find(({ address }) => address === null || equals(address, packet, ip.destinationAt, length));
    if (bound === undefined) return false;
    bound.receive({
      data: packet.subarray(datagram.dataAt, datagram.dataEnd),
      localAddress: packet.subarray(ip.destinationAt, ip.addressesEnd),
      remoteAddress: packet.subarray(ip.sourceAt, ip.destinationAt),
      remotePort: datagram.sourcePort,
    });
    return true;
  }

  #send(port: number, message: Parameters<UdpPort['send']>[0]): 'sent' | 'too-large' {
    const { packet, mtu } = this.#host;
    const ipBytes = ipHeaderBytes(message.remoteAddress.length === 4 ? 4 : 6);
    const payloadBytes = UDP_HEADER_BYTES + message.data.length;
    if (ipBytes + payloadBytes > mtu) return 'too-large';
    writeIpHeader(packet, {
      source: message.localAddress,
      destination: message.remoteAddress,
      protocol: IP_PROTOCOL.udp,
      payloadBytes,
      hopLimit: HOP_LIMIT,
    });
    const { data, remotePort } = message;
    const bytes = writeUdp(packet, ipBytes, { sourcePort: port, destinationPort: remotePort, data });
    this.#host.transmit(bytes);
    return 'sent';
  }

  close(): void {
    this.#ports.clear();
  }
}
