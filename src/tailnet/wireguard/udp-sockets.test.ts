/** What the sockets send arrives as it was sent, in order, one by one or many in a system call. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { bindOffloaded, SegmentedSends, SegmentRun } from './udp-offload.ts';
import { UdpSockets, type UdpSocketsOptions } from './udp-sockets.ts';

const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;
const canOffload = process.platform === 'linux';

interface Far {
  readonly port: number;
  readonly got: Buffer[];
  /** Resolves with what has come once it is so many. */
  arrived(count: number): Promise<Buffer[]>;
}

async function listenFar(t: TestContext, family: 4 | 6): Promise<Far> {
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
  t.after(() => socket.close());
  const got: Buffer[] = [];
  socket.on('message', (datagram) => got.push(datagram));
  const listening = once(socket, 'listening');
  socket.bind(0, LOOPBACK[family]);
  await listening;
  const arrived = async (count: number): Promise<Buffer[]> => {
    const signal = AbortSignal.timeout(5_000);
    while (got.length < count) await once(socket, 'message', { signal });
    return got;
  };
  return { port: socket.address().port, got, arrived };
}

async function open(t: TestContext, options: UdpSocketsOptions = {}): Promise<UdpSockets> {
  const sockets = await UdpSockets.bind({ address4: LOOPBACK[4], address6: LOOPBACK[6], ...options });
  t.after(() => sockets.close());
  return sockets;
}

/** Datagrams of these lengths, each told apart by its first two bytes. */
function datagrams(lengths: readonly number[]): Buffer[] {
  return lengths.map((length, at) => {
    const datagram = Buffer.alloc(length, at % 251);
    if (length >= 2) datagram.writeUInt16BE(at);
    return datagram;
  });
}

const LENGTHS: Readonly<Record<string, readonly number[]>> = {
  'one alone': [1_452],
  'many of one length': Array.from({ length: 70 }, () => 1_452),
  'a shorter one in between and at the end': [1_452, 1_452, 700, 1_452, 1_452, 1_452, 32],
  'rising lengths': [32, 148, 1_452, 1_500, 9_000],
  'more than 64 small ones': Array.from({ length: 130 }, () => 96),
  'one that is empty': [0, 40, 40],
};

for (const family of [4, 6] as const) {
  for (const offload of [true, false]) {
    describe(`IPv${family}, ${offload ? 'many in a system call' : 'one by one'}`, () => {
      for (const [title, lengths] of Object.entries(LENGTHS)) {
        test(`${title}: each arrives once, unchanged, in order`, async (t) => {
          const far = await listenFar(t, family);
          const sockets = await open(t, { offload });
          const sent = datagrams(lengths);
          for (const datagram of sent) sockets.send(datagram, family, LOOPBACK[family], far.port);
          assert.deepEqual(await far.arrived(sent.length), sent);
          assert.equal(sockets.counters.sendFailed, 0);
          const batches = sockets.counters.batchesSent;
          assert.equal(
            batches > 0,
            offload && canOffload && lengths.length > 1 && title !== 'rising lengths',
          );
        });
      }
    });
  }
}

test('datagrams to several places by turns reach each its own', async (t) => {
  const [one, two] = [await listenFar(t, 4), await listenFar(t, 4)];
  const sockets = await open(t);
  const sent = datagrams(Array.from({ length: 40 }, () => 500));
  for (const [at, datagram] of sent.entries()) {
    sockets.send(datagram, 4, LOOPBACK[4], at % 4 < 2 ? one.port : two.port);
  }
  assert.deepEqual(
    await one.arrived(20),
    sent.filter((_, at) => at % 4 < 2),
  );
  assert.deepEqual(
    await two.arrived(20),
    sent.filter((_, at) => at % 4 >= 2),
  );
});

test('what was given before the end is sent, what comes after it is not', async (t) => {
  const far = await listenFar(t, 4);
  const sockets = await open(t);
  const sent = datagrams([100, 100, 100]);
  for (const datagram of sent) sockets.send(datagram, 4, LOOPBACK[4], far.port);
  await sockets.close();
  sockets.send(Buffer.alloc(100), 4, LOOPBACK[4], far.port);
  assert.deepEqual(await far.arrived(3), sent);
});

test('an offloading socket of IPv6 leaves the port to IPv4, and a port that is taken is left to the caller', async (t) => {
  const sockets = await open(t);
  assert.equal(sockets.has(4) && sockets.has(6), true);
  assert.equal(bindOffloaded(4, LOOPBACK[4], sockets.port), null);
  assert.equal(bindOffloaded(4, 'not an address', 0), null);
  assert.equal(bindOffloaded(4, LOOPBACK[6], 0), null);
});

describe('a system that does not know it', () => {
  const make = (answers: bigint[]): SegmentedSends =>
    new SegmentedSends({
      system: { calls: { sendmsg: Object.assign(() => answers.shift() ?? -1n, { pointer: 0n }) } },
      memory: Buffer.alloc(70_000),
      base: 0n,
      fd: -1,
      family: 4,
    });
  const send = (segments: SegmentedSends): boolean => segments.send(datagrams([10, 10]), LOOPBACK[4], 9);

  test('is asked four times and then no more', () => {
    const segments = make([]);
    for (let tries = 0; tries < 4; tries += 1) {
      assert.equal(segments.isUsable, true);
      assert.equal(send(segments), false);
    }
    assert.equal(segments.isUsable, false);
  });

  test('is told from a single refusal later on', () => {
    const segments = make([-1n, 20n]);
    assert.deepEqual([send(segments), send(segments)], [false, true]);
    for (let tries = 0; tries < 9; tries += 1) assert.equal(send(segments), false);
    assert.equal(segments.isUsable, true);
  });
});

test('a run takes one length and place, at most 64 datagrams and 65,000 bytes', () => {
  const taken = (lengths: readonly number[]): number => {
    const run = new SegmentRun();
    return datagrams(lengths).findIndex((datagram) => !run.take(datagram, LOOPBACK[4], 9));
  };
  assert.equal(taken(Array.from({ length: 65 }, () => 100)), 64);
  assert.equal(taken(Array.from({ length: 65 }, () => 1_452)), Math.floor(65_000 / 1_452));
  assert.equal(taken([100, 101]), 1);
  assert.equal(taken([100, 99, 99]), 2);
  const run = new SegmentRun();
  assert.equal(run.take(Buffer.alloc(5), LOOPBACK[4], 9), true);
  assert.equal(run.take(Buffer.alloc(5), LOOPBACK[4], 10), false);
  assert.equal(run.take(Buffer.alloc(5), '127.0.0.2', 9), false);
  run.clear();
  assert.equal(run.take(Buffer.alloc(50), '127.0.0.2', 10), true);
});
