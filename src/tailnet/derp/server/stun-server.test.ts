import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, test } from 'node:test';
import { AppError } from '../../../base/errors.ts';
import { formatIpPort } from '../../../wire/ip-port.ts';
import { parseIp } from '../../../wire/ip.ts';
import { encodeStunRequest, parseStunAnswer } from '../../../wire/stun.ts';
import { networkOf } from './source-network.ts';
import { StunRates } from './stun-rates.ts';
import { StunServer } from './stun-server.ts';
import { VirtualClock } from './test-client.ts';

const TX = Buffer.from('000102030405060708090a0b', 'hex');
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function startServer(): Promise<StunServer> {
  const server = await StunServer.open({
    clock: new VirtualClock(),
    port: 0,
    address4: '127.0.0.1',
    address6: null,
  });
  closers.push(() => server.close());
  return server;
}

async function startClient(): Promise<Socket> {
  const socket = createSocket('udp4');
  closers.push(() => socket.close());
  const listening = once(socket, 'listening');
  socket.bind(0, '127.0.0.1');
  await listening;
  return socket;
}

/** The answer to the last of these datagrams, which must have one; the others must have none. */
async function ask(client: Socket, port: number, datagrams: readonly Buffer[]): Promise<Buffer> {
  const answered = once(client, 'message');
  for (const datagram of datagrams) client.send(datagram, port, '127.0.0.1');
  const [answer] = await answered;
  return Buffer.from(answer);
}

describe('the STUN server', () => {
  test('says from where a request came (RFC 8489 section 14.2), in less than the request or little more', async () => {
    const [server, client] = [await startServer(), await startClient()];
    const request = encodeStunRequest(TX);
    const answer = await ask(client, server.port, [request]);
    const parsed = parseStunAnswer(answer);
    assert.ok(parsed !== null && parsed.tx.equals(TX));
    assert.equal(formatIpPort(parsed.address), `127.0.0.1:${client.address().port}`);
    assert.ok(answer.length <= request.length * 1.1);
  });

  test('does so over IPv6, on the same port', async (context) => {
    const hasIpv6 = Object.values(networkInterfaces())
      .flat()
      .some((found) => found?.address === '::1');
    if (!hasIpv6) {
      context.diagnostic('this machine has no ::1');
      return;
    }
    const server = await StunServer.open({
      clock: new VirtualClock(),
      port: 0,
      address4: '127.0.0.1',
      address6: '::1',
    });
    const client = createSocket('udp6');
    closers.push(
      () => server.close(),
      () => client.close(),
    );
    const answered = once(client, 'message');
    client.send(encodeStunRequest(TX), server.port, '::1');
    const [answer] = await answered;
    const parsed = parseStunAnswer(Buffer.from(answer));
    assert.ok(parsed !== null);
    assert.equal(formatIpPort(parsed.address), `[::1]:${client.address().port}`);
  });

  test('answers nothing else: garbage, other requests, answers, long datagrams', async () => {
    const [server, client] = [await startServer(), await startClient()];
    const request = encodeStunRequest(TX);
    const wrongFingerprint = Buffer.from(request);
    wrongFingerprint[39] = (wrongFingerprint[39] ?? 0) ^ 1;
    const bad = [
      Buffer.from('hello'),
      Buffer.alloc(0),
      request.subarray(0, 39),
      wrongFingerprint,
      Buffer.concat([request, Buffer.alloc(600)]),
      Buffer.from(`010100002112a442${TX.toString('hex')}`, 'hex'),
    ];
    assert.ok(parseStunAnswer(await ask(client, server.port, [...bad, request]))?.tx.equals(TX));
    assert.deepEqual(server.counters, { answered: 1, ignored: bad.length, rateLimited: 0, sendFailed: 0 });
  });

  test('gives a network 200 answers at once, then 50 a second', async () => {
    const [server, client] = [await startServer(), await startClient()];
    let answers = 0;
    client.on('message', () => {
      answers += 1;
    });
    for (let i = 0; i < 250; i += 1) {
      client.send(encodeStunRequest(TX), server.port, '127.0.0.1');
      if (i % 25 === 24) await new Promise((resolve) => setImmediate(resolve));
    }
    for (const end = Date.now() + 5000; server.counters.answered + server.counters.rateLimited < 250;) {
      assert.ok(Date.now() < end, 'all were heard');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual([server.counters.answered, server.counters.rateLimited], [200, 50]);
    assert.ok(answers <= 200);
  });

  test('says which port it cannot have, and needs a family', async () => {
    const server = await startServer();
    const clock = new VirtualClock();
    const isBindError = (error: unknown): boolean =>
      error instanceof AppError && error.code === 'stun_bind' && error.message.includes('STUN');
    await assert.rejects(
      StunServer.open({ clock, port: server.port, address4: '127.0.0.1', address6: null }),
      isBindError,
    );
    await assert.rejects(StunServer.open({ clock, port: 0, address4: null, address6: null }), isBindError);
    await server.close();
    await server.close();
  });
});

test('a network’s share comes back with time; another network has its own', () => {
  const rates = new StunRates();
  const take = (network: string, count: number, nowMs: number): number =>
    Array.from({ length: count }, () => rates.take(network, nowMs)).filter(Boolean).length;
  assert.equal(take('a', 300, 0), 200);
  assert.equal(take('b', 300, 0), 200);
  assert.equal(take('a', 300, 1000), 50);
  assert.equal(take('a', 300, 1_000_000), 200);
});

test('of more networks than are remembered, the one that asked longest ago is forgotten', () => {
  const rates = new StunRates();
  for (let i = 0; i < 200; i += 1) rates.take('busy', 0);
  rates.take('old', 0);
  for (let i = 0; i < 8191; i += 1) {
    rates.take(`n${i}`, 0);
    assert.equal(rates.take('busy', 0), false);
  }
});

test('sources count by their address or /24, and by their /64', () => {
  const network = (text: string, bits: 24 | 32): string => networkOf(parseIp(text), bits);
  assert.equal(network('192.0.2.77', 32), '192.0.2.77');
  assert.equal(network('192.0.2.77', 24), '192.0.2.0');
  assert.equal(network('::ffff:192.0.2.77', 32), '192.0.2.77');
  assert.equal(network('2001:db8:1:2:3:4:5:6', 32), '2001:db8:1:2::');
  assert.equal(network('2001:db8:1:2::9', 24), '2001:db8:1:2::');
  assert.equal(networkOf(null, 32), 'unknown');
});
