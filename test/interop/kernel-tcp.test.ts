/**
 * Our TCP against the Linux kernel's, through a TUN device in a network namespace. The relay in between
 * loses packets where a test says so. Linux, root, Python 3.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { hmacSha256 } from '../../src/crypto/index.ts';
import { type NetstackSocket, UserspaceNetwork } from '../../src/tailnet/netstack/index.ts';
import { seededNumbers } from '../sim/network.ts';
import { pattern } from '../sim/pattern.ts';
import { createMachineNetwork, type MachineNetwork } from './machines.ts';

const OWN = '100.64.0.1';
const OWN6 = 'fd7a:115c:a1e0::1';
const KERNEL = '100.64.0.2';
const KERNEL6 = 'fd7a:115c:a1e0::2';
const PORT = { digest: 7001, source: 7002, lateDigest: 7003, echo: 7004, reset: 7005, dialBack: 7006 };
const MB = 1024 * 1024;
const SEED = 20_261_123;

interface Bed {
  readonly network: UserspaceNetwork;
  /** Share of packets lost in each direction. */
  loss: number;
  close(): Promise<void>;
}

/** Cuts a byte stream into the frames of tun-relay.py. */
function readFrames(take: (packet: Buffer) => void): (data: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (data) => {
    let bytes = rest.length === 0 ? data : Buffer.concat([rest, data]);
    while (bytes.length >= 2) {
      const end = 2 + bytes.readUInt16BE(0);
      if (bytes.length < end) break;
      take(Buffer.from(bytes.subarray(2, end)));
      bytes = bytes.subarray(end);
    }
    rest = bytes;
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function startBed(): Promise<Bed> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-kernel-tcp-'));
  const machines: MachineNetwork = await createMachineNetwork(folder);
  const { prefix } = await machines.add('kernel');
  const [program = '', ...words] = prefix;
  const start = (more: readonly string[]): ChildProcess =>
    spawn(program, [...words, ...more], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'] },
    });
  const relay = start([
    'python3',
    join(import.meta.dirname, 'tun-relay.py'),
    'tun0',
    '1280',
    `address add ${KERNEL}/24 dev tun0`,
    `address add ${KERNEL6}/64 dev tun0 nodad`,
  ]);
  const peer = start([process.execPath, join(import.meta.dirname, 'kernel-peer-process.ts')]);
  assert.ok(peer.stdout && relay.stdin && relay.stdout);
  await once(peer.stdout, 'data');
  const key = randomBytes(32);
  const chance = seededNumbers(SEED);
  const { stdin, stdout } = relay;
  let frames: Buffer[] = [];
  const bed: Bed = {
    loss: 0,
    network: new UserspaceNetwork({
      addresses: [OWN, OWN6],
      clock: systemClock,
      random: systemRandom,
      keyedHash: (data) => hmacSha256(key, data),
      output: (packet) => {
        if (chance() < bed.loss) return;
        const frame = Buffer.allocUnsafe(packet.length + 2);
        frame.writeUInt16BE(packet.length);
        packet.copy(frame, 2);
        frames.push(frame);
        if (frames.length > 1) return;
        setImmediate(() => {
          stdin.write(Buffer.concat(frames));
          frames = [];
        });
      },
    }),
    async close() {
      bed.network.close();
      await Promise.all([stop(peer), stop(relay)]);
      await machines.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  stdout.on(
    'data',
    readFrames((packet) => {
      if (chance() >= bed.loss) bed.network.receive(packet);
    }),
  );
  return bed;
}

function sha(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Reads to the end without closing the writing side. */
async function readAll(socket: NetstackSocket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

let bed: Bed;
before(async () => {
  bed = await startBed();
});
after(async () => {
  await bed.close();
});

async function upload(data: Buffer, port: number, address = KERNEL): Promise<number> {
  const begin = performance.now();
  const socket = await bed.network.dial(address, port, { allowHalfOpen: true });
  socket.end(data);
  assert.equal((await readAll(socket)).toString(), sha(data), `seed ${SEED}`);
  return performance.now() - begin;
}

async function download(bytes: number, address = KERNEL): Promise<number> {
  const begin = performance.now();
  const socket = await bed.network.dial(address, PORT.source);
  const request = Buffer.alloc(4);
  request.writeUInt32BE(bytes);
  socket.write(request);
  const data = await readAll(socket);
  assert.equal(sha(data), sha(pattern(bytes, 5)), `seed ${SEED}`);
  return performance.now() - begin;
}

/** Asks the kernel to dial us and send `bytes`; returns what it heard from us. */
async function dialBack(port: number, bytes: number): Promise<string> {
  const socket = await bed.network.dial(KERNEL, PORT.dialBack);
  const request = Buffer.alloc(6);
  request.writeUInt16BE(port);
  request.writeUInt32BE(bytes, 2);
  socket.write(request);
  return (await readAll(socket)).toString();
}

const rate = (bytes: number, ms: number): string => `${((bytes * 8) / ms / 1000).toFixed(0)} Mbit/s`;

describe('against the Linux kernel', () => {
  for (const address of [KERNEL, KERNEL6]) {
    test(`bulk both ways with checksums, ${address}`, async (t) => {
      bed.loss = 0;
      const up = await upload(pattern(30 * MB, 3), PORT.digest, address);
      const down = await download(30 * MB, address);
      t.diagnostic(`up ${rate(30 * MB, up)}, down ${rate(30 * MB, down)}`);
    });
  }

  for (const [loss, megabytes] of [
    [0.01, 10],
    [0.05, 3],
  ] as const) {
    test(`${megabytes} MB each way at ${loss * 100} % loss in both directions`, async (t) => {
      bed.loss = loss;
      const up = await upload(pattern(megabytes * MB, 3), PORT.digest);
      const down = await download(megabytes * MB);
      t.diagnostic(`up ${rate(megabytes * MB, up)}, down ${rate(megabytes * MB, down)}`);
      bed.loss = 0;
    });
  }

  test('200 connections at once', async () => {
    bed.loss = 0;
    const data = pattern(100_000, 9);
    await Promise.all(Array.from({ length: 200 }, () => upload(data, PORT.digest)));
  });

  test('the kernel dials us: half-close, digest, and a refusal', async () => {
    const server = bed.network.listen({ port: 8080, allowHalfOpen: true }, (socket) => {
      void readAll(socket).then((data) => socket.end(sha(data)));
    });
    assert.equal(await dialBack(8080, 5 * MB), sha(pattern(5 * MB, 6)));
    server.close();
    assert.equal(await dialBack(8081, 1), 'ECONNREFUSED');
  });

  test('zero window: the kernel does not read for a while, then everything comes', async () => {
    await upload(pattern(12 * MB, 4), PORT.lateDigest);
  });

  test('zero window: we do not read for a while, then everything comes', async () => {
    const server = bed.network.listen({ port: 8082, allowHalfOpen: true }, (socket) => {
      setTimeout(() => void readAll(socket).then((data) => socket.end(sha(data))), 1500);
    });
    assert.equal(await dialBack(8082, 12 * MB), sha(pattern(12 * MB, 6)));
    server.close();
  });

  test('resets, theirs and ours', async () => {
    const socket = await bed.network.dial(KERNEL, PORT.reset);
    socket.write('x');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNRESET');
    const server = bed.network.listen({ port: 8083 }, (accepted) => accepted.resetAndDestroy());
    assert.equal(await dialBack(8083, 10), 'ECONNRESET');
    server.close();
    await assert.rejects(bed.network.dial(KERNEL, 7999), { code: 'ECONNREFUSED' });
  });

  test('tiny segments: single bytes without Nagle come back in order', async () => {
    const socket = await bed.network.dial(KERNEL, PORT.echo);
    const data = pattern(3000, 8);
    const echoed = readAll(socket);
    for (const byte of data) {
      socket.write(Buffer.of(byte));
      if (byte % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    socket.end();
    assert.ok((await echoed).equals(data));
  });
});
