/**
 * A capture file of inner packets: pcap with microseconds and raw IP (LINKTYPE_RAW, 101), as Wireshark
 * and tcpdump read it. Numbers are little-endian.
 *
 *   offset  bytes  what
 *   0       24     file header: magic a1b2c3d4, version 2.4, zone 0, accuracy 0, longest packet, link type
 *   24      …      each packet: seconds (4), microseconds (4), bytes kept (4), bytes seen (4), data
 */
import { createWriteStream, type WriteStream } from 'node:fs';
import { once } from 'node:events';
import type { Clock } from '../../base/clock.ts';

const SNAP_BYTES = 65_535;
const LINKTYPE_RAW = 101;
/** What may wait for the disk; above it packets are left out and counted. */
const WAITING_MAX_BYTES = 8 * 1024 * 1024;

export class PcapFile {
  readonly #clock: Clock;
  readonly #file: WriteStream;
  #hasFailed = false;
  /** Packets left out because the disk was slow, full or gone. */
  skipped = 0;

  private constructor(file: WriteStream, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    file.on('error', () => {
      this.#hasFailed = true;
    });
  }

  /** Makes the file (0600); rejects if it exists or cannot be made. */
  static async open(path: string, clock: Clock): Promise<PcapFile> {
    const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
    await once(file, 'open');
    const head = Buffer.alloc(24);
    head.writeUInt32LE(0xa1b2c3d4, 0);
    head.writeUInt16LE(2, 4);
    head.writeUInt16LE(4, 6);
    head.writeUInt32LE(SNAP_BYTES, 16);
    head.writeUInt32LE(LINKTYPE_RAW, 20);
    file.write(head);
    return new PcapFile(file, clock);
  }

  /** Copies the packet. */
  write(packet: Buffer): void {
    if (this.#hasFailed || this.#file.writableLength > WAITING_MAX_BYTES) {
      this.skipped += 1;
      return;
    }
    const now = this.#clock.now();
    const record = Buffer.allocUnsafe(16 + packet.byteLength);
    record.writeUInt32LE(Math.floor(now / 1000), 0);
    record.writeUInt32LE(Math.floor((now % 1000) * 1000), 4);
    record.writeUInt32LE(packet.byteLength, 8);
    record.writeUInt32LE(packet.byteLength, 12);
    packet.copy(record, 16);
    this.#file.write(record);
  }

  async close(): Promise<void> {
    if (this.#file.closed) return;
    const closed = once(this.#file, 'close').catch(() => undefined);
    this.#file.end();
    await closed;
  }
}
