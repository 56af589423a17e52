/** Two stacks on a simulated network, and streams between them whose bytes are checked as they come. */
import { createHash } from 'node:crypto';
import assert from 'node:assert/strict';
import {
  NetStack,
  type NetStackOptions,
  type TcpConnection,
  type TcpHandlers,
} from '../../src/tailnet/netstack/index.ts';
import { type LinkConditions, SimulatedNetwork, seededRandom } from './network.ts';

const ADDRESS_A = Buffer.from([100, 64, 0, 1]);
export const ADDRESS_B = Buffer.from([100, 64, 0, 2]);

export interface StackPair {
  readonly network: SimulatedNetwork;
  readonly a: NetStack;
  readonly b: NetStack;
}

/** Not secret: for simulations. */
function testHash(data: Uint8Array): Uint8Array {
  return createHash('sha256').update('simulation').update(data).digest();
}

export function createPair(
  seed: number,
  conditions: LinkConditions | (() => LinkConditions),
  options: Partial<NetStackOptions> = {},
): StackPair {
  const network = new SimulatedNetwork(seed);
  const toB = network.link(conditions, (packet, now) => b.receive(packet, now));
  const toA = network.link(conditions, (packet, now) => a.receive(packet, now));
  const base = { keyedHash: testHash, ...options };
  const a: NetStack = new NetStack({
    addresses: [ADDRESS_A],
    random: seededRandom(seed + 1),
    ...base,
    output: toB,
  });
  const b: NetStack = new NetStack({
    addresses: [ADDRESS_B],
    random: seededRandom(seed + 2),
    ...base,
    output: toA,
  });
  network.add(a);
  network.add(b);
  return { network, a, b };
}

export interface Stream {
  connection: TcpConnection;
  received: Buffer[];
  receivedBytes: number;
  connected: boolean;
  ended: boolean;
  failure: string | null;
}

/** Handlers that read everything and write `payload` with an end after it. */
export function streamOver(
  network: SimulatedNetwork,
  payload: Buffer,
  options: { readonly reads?: boolean; readonly keepOpen?: boolean } = {},
): { stream: Stream; handlers: TcpHandlers; start: (connection: TcpConnection) => void } {
  const stream: Stream = {
    connection: undefined as unknown as TcpConnection,
    received: [],
    receivedBytes: 0,
    connected: false,
    ended: false,
    failure: null,
  };
  let written = 0;
  const write = (): void => {
    written += stream.connection.write(payload, written);
    stream.connection.flush(network.now);
    if (written === payload.length && options.keepOpen !== true) stream.connection.end(network.now);
  };
  const handlers: TcpHandlers = {
    connected: () => {
      stream.connected = true;
      write();
    },
    readable: () => {
      if (options.reads === false) return;
      for (let chunk = stream.connection.read(); chunk !== null; chunk = stream.connection.read()) {
        stream.received.push(Buffer.from(chunk));
        stream.receivedBytes += chunk.length;
      }
      stream.connection.noteRead(network.now);
      if (stream.connection.isAtEnd) stream.ended = true;
    },
    writable: write,
    failed: (failure) => {
      stream.failure = failure;
    },
  };
  const start = (connection: TcpConnection): void => {
    stream.connection = connection;
    connection.setHandlers(handlers);
    stream.connected = true;
    write();
  };
  return { stream, handlers, start };
}

/** Dials from a to b and streams `up` and `down` at once; returns the virtual ms that it took. */
export function transfer(pair: StackPair, up: Buffer, down: Buffer, limitMs: number): number {
  const { network, a, b } = pair;
  const server = streamOver(network, down);
  const client = streamOver(network, up);
  const listener = b.listen({ address: null, port: 80, accept: (connection) => server.start(connection) });
  const begin = network.now;
  const connection = a.connect(ADDRESS_B, 80, client.handlers, network.now);
  assert.ok(connection);
  client.stream.connection = connection;
  const done = network.run(() => client.stream.ended && server.stream.ended, begin + limitMs);
  const seed = `seed ${network.seed}`;
  assert.equal(client.stream.failure ?? server.stream.failure, null, seed);
  assert.ok(
    done,
    `${seed}: ${client.stream.receivedBytes}/${down.length} down, ${server.stream.receivedBytes}/${up.length} up, at ${network.now} ms ${JSON.stringify(a.counters.tcp)}`,
  );
  assert.ok(Buffer.concat(server.stream.received).equals(up), `${seed}: the bytes up differ`);
  assert.ok(Buffer.concat(client.stream.received).equals(down), `${seed}: the bytes down differ`);
  listener.close(network.now);
  return network.now - begin;
}
