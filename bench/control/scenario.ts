/** One load on one server: how it is built up, what is measured, in this order. */
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds, residentBytes } from '../processes.ts';
import { LightClient, readServer, type ServerFacts } from './light-client.ts';
import type { Subject } from './subjects.ts';

export interface Load {
  readonly tailnets: number;
  readonly nodesPerTailnet: number;
  /** Devices that register at once on top of those that are there. */
  readonly registrations: number;
  readonly idleMs: number;
  /** Devices that join one after the other, and as many changes of the policy. */
  readonly changes: number;
}

/** Milliseconds. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Measured {
  readonly subject: string;
  readonly load: Load;
  /** Until all devices were in and had their maps. */
  readonly joinedInMs: number;
  readonly joinCpuSec: number;
  readonly idleCpuPercent: number;
  readonly residentMb: number;
  readonly newDevice: Times;
  readonly policy: Times;
  /** Sent to devices of other tailnets during all those changes. */
  readonly foreignBytes: number;
  readonly registered: Times & { readonly allMs: number };
  /** From the server's first listening after SIGKILL until every device had its map again. */
  readonly reconnectedInMs: number;
  readonly residentAfterMb: number;
}

/** Of devices that join at the same time while the load is built up. */
const JOINERS = 32;
const SETTLE_MS = 2000;
/** After the last message that was waited for, for those that should not come. */
const QUIET_MS = 500;
const FIRST_PORT = 40_001;
const LOST_MS = 60_000;

export async function measureControl(
  subject: Subject,
  load: Load,
  say: (text: string) => void,
): Promise<Measured> {
  const server = await readServer(subject.url);
  const keys = new Map<string, string>();
  for (let at = 0; at < load.tailnets; at += 1) keys.set(`net-${at}`, await subject.addTailnet(`net-${at}`));
  const clients: LightClient[] = [];
  try {
    const cpuBefore = cpuSeconds(subject.pid());
    const began = performance.now();
    const joining = [...keys].flatMap(([tailnet, key]) =>
      Array.from({ length: load.nodesPerTailnet }, (_, at) => ({ tailnet, key, name: `${tailnet}-d${at}` })),
    );
    await inTurns(joining, JOINERS, async ({ tailnet, key, name }) => {
      const client = new LightClient(server, tailnet, name);
      clients.push(client);
      await client.register(key);
      await client.follow();
    });
    const joinedInMs = performance.now() - began;
    const joinCpuSec = cpuSeconds(subject.pid()) - cpuBefore;
    say(`${clients.length} devices in ${(joinedInMs / 1000).toFixed(1)} s`);
    await sleep(SETTLE_MS);
    const idle = await measureIdle(subject, load.idleMs);
    const [first = ''] = keys.keys();
    const own = clients.filter(({ tailnet }) => tailnet === first);
    const others = clients.filter(({ tailnet }) => tailnet !== first);
    for (const client of others) client.count(true);
    const newDevice = await measureNewDevices({
      server,
      tailnet: first,
      key: keys.get(first) ?? '',
      own,
      load,
    });
    say(`new device: ${JSON.stringify(newDevice)}`);
    const policy = await measurePolicy({ subject, tailnet: first, own, load });
    say(`policy: ${JSON.stringify(policy)}`);
    await sleep(QUIET_MS);
    let foreignBytes = 0;
    for (const client of others) {
      foreignBytes += client.counted;
      client.count(false);
    }
    const registered = await measureRegistrations(server, keys, load.registrations);
    say(`registrations: ${JSON.stringify(registered)}`);
    await sleep(SETTLE_MS);
    const reconnectedInMs = await measureReconnect(subject, clients);
    say(`reconnected in ${reconnectedInMs.toFixed(0)} ms`);
    return {
      subject: subject.name,
      load,
      joinedInMs,
      joinCpuSec,
      ...idle,
      newDevice,
      policy,
      foreignBytes,
      registered,
      reconnectedInMs,
      residentAfterMb: residentBytes(subject.pid()) / 1e6,
    };
  } finally {
    for (const client of clients) client.close();
  }
}

async function measureIdle(
  subject: Subject,
  forMs: number,
): Promise<Pick<Measured, 'idleCpuPercent' | 'residentMb'>> {
  const before = cpuSeconds(subject.pid());
  await sleep(forMs);
  const spent = cpuSeconds(subject.pid()) - before;
  return { idleCpuPercent: (spent / (forMs / 1000)) * 100, residentMb: residentBytes(subject.pid()) / 1e6 };
}

/** From a device's first byte to each peer's message that names it. */
async function measureNewDevices(options: {
  readonly server: ServerFacts;
  readonly tailnet: string;
  readonly key: string;
  readonly own: readonly LightClient[];
  readonly load: Load;
}): Promise<Times> {
  const { server, tailnet, key, own, load } = options;
  const times: number[] = [];
  for (let at = 0; at < load.changes; at += 1) {
    const joiner = new LightClient(server, tailnet, `newcomer-${at}`);
    const seen = Promise.all(own.map((client) => client.sees(`"newcomer-${at}"`)));
    const began = performance.now();
    await joiner.register(key);
    times.push(...(await inTime(seen, 'a new device is seen')).map((when) => when - began));
    joiner.close();
  }
  return timesOf(times);
}

/** From the request of the change to each device's message with the new filter. */
async function measurePolicy(options: {
  readonly subject: Subject;
  readonly tailnet: string;
  readonly own: readonly LightClient[];
  readonly load: Load;
}): Promise<Times> {
  const { subject, tailnet, own, load } = options;
  const times: number[] = [];
  for (let at = 0; at < load.changes; at += 1) {
    const port = FIRST_PORT + at;
    const seen = Promise.all(own.map((client) => client.sees(`"First":${port}`)));
    const began = performance.now();
    await subject.allowPort(tailnet, port);
    times.push(...(await inTime(seen, 'a policy is seen')).map((when) => when - began));
  }
  return timesOf(times);
}

async function measureRegistrations(
  server: ServerFacts,
  keys: ReadonlyMap<string, string>,
  count: number,
): Promise<Times & { readonly allMs: number }> {
  const tailnets = [...keys];
  const began = performance.now();
  const times = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const [tailnet, key] = tailnets[at % tailnets.length] ?? ['', ''];
      const client = new LightClient(server, tailnet, `storm-${at}`);
      try {
        return await client.register(key);
      } finally {
        client.close();
      }
    }),
  );
  return { ...timesOf(times), allMs: performance.now() - began };
}

async function measureReconnect(subject: Subject, clients: readonly LightClient[]): Promise<number> {
  const maps = new Map(clients.map((client) => [client, client.maps]));
  await subject.kill();
  await sleep(QUIET_MS);
  await subject.start();
  const began = performance.now();
  const deadline = began + 2 * LOST_MS;
  while (clients.some((client) => client.maps === maps.get(client))) {
    if (performance.now() > deadline) throw new Error('not every device came back');
    await sleep(10);
  }
  return performance.now() - began;
}

async function inTurns<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = [...items].reverse();
  const worker = async (): Promise<void> => {
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, () => worker()));
}

async function inTime<Result>(result: Promise<Result>, what: string): Promise<Result> {
  const late = new AbortController();
  const timeout = sleep(LOST_MS, undefined, { signal: late.signal }).then(() => {
    throw new Error(`not in ${LOST_MS} ms: ${what}`);
  });
  timeout.catch(() => undefined);
  return Promise.race([result, timeout]).finally(() => late.abort());
}

export function timesOf(values: readonly number[]): Times {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}
