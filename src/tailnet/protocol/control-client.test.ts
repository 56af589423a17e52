import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { zstdCompressSync } from 'node:zlib';
import { systemRandom } from '../../base/random.ts';
import { Secret } from '../../base/secret.ts';
import type { ControlEvent } from './control-client.ts';
import {
  type ControlCall,
  type FakeClient,
  type FakeControl,
  startFakeClient,
  startFakeControl,
} from './fake-control.ts';
import { createNodeState, parseNodeState, revealNodeState } from './node-state.ts';

let server: FakeControl | null = null;
let running: FakeClient | null = null;

afterEach(async () => {
  await running?.client.close();
  await server?.close();
  running = null;
  server = null;
});

const SELF = {
  ID: 1,
  StableID: 'n1',
  Name: 'ours.test.',
  User: 1,
  Key: `nodekey:${'1'.repeat(64)}`,
  Addresses: ['100.64.0.1/32'],
  MachineAuthorized: true,
};

interface Answers {
  readonly register?: (call: ControlCall, count: number) => void;
  readonly map?: (call: ControlCall) => void;
}

const confirm = (call: ControlCall): void => call.answer(200, { MachineAuthorized: true });

async function start({
  register = confirm,
  map = (call) => call.send({ Node: SELF }),
}: Answers): Promise<FakeControl> {
  let count = 0;
  server = await startFakeControl((call) => {
    if (call.path === '/machine/register') register(call, (count += 1));
    else if (call.path === '/machine/map' && call.body['Stream'] === true) map(call);
    else call.answer(200);
  });
  return server;
}

function connect(fake: FakeControl, authKey: string | null = 'key'): FakeClient {
  running = startFakeClient(fake.url, authKey === null ? null : new Secret(authKey));
  return running;
}

const isState =
  (state: string) =>
  (event: ControlEvent): ControlEvent | false =>
    event.type === 'state' && event.state === state && event;

async function problemOf(client: FakeClient, state = 'offline'): Promise<string> {
  const event = await client.event(isState(state));
  return event.type === 'state' ? (event.problem?.code ?? 'none') : 'none';
}

describe('joining', () => {
  test('a registration carries the auth key once; with an early payload before HTTP/2 too', async () => {
    const fake = await start({});
    fake.early = Buffer.concat([Buffer.from('ffffff545300000002', 'hex'), Buffer.from('{}')]);
    const client = connect(fake);
    await client.event(isState('running'));
    assert.deepEqual(fake.calls[0]?.body['Auth'], { AuthKey: 'key' });
    assert.equal(client.client.netmap?.self.name, 'ours.test');
    assert.equal(client.client.state.isRegistered, true);
    assert.doesNotMatch(inspect(client, { depth: 9 }), /'key'/);
  });

  test('an interactive login: the URL is told, the follow-up waits, a 410 begins anew and is not repeated', async () => {
    const fake = await start({
      register: (call, count) => {
        if (count === 1) call.answer(200, { AuthURL: 'https://login.example/a' });
        else if (count === 2) call.answer(410, 'gone');
        else confirm(call);
      },
    });
    const client = connect(fake, null);
    const url = await client.event((event) => event.type === 'login_url' && event.url);
    assert.equal(url, 'https://login.example/a');
    await client.event(isState('running'));
    const registers = fake.calls.filter(({ path }) => path === '/machine/register');
    assert.deepEqual(
      registers.map(({ body }) => body['Followup'] ?? null),
      [null, 'https://login.example/a', null],
    );
  });

  test('a login URL that is no web address is refused', async () => {
    const fake = await start({ register: (call) => call.answer(200, { AuthURL: 'javascript:alert(1)' }) });
    assert.equal(await problemOf(connect(fake, null)), 'control_protocol');
  });

  test('an expired key: a new one that names the old one', async () => {
    const fake = await start({
      register: (call, count) => (count === 1 ? call.answer(200, { NodeKeyExpired: true }) : confirm(call)),
    });
    const state = { ...createNodeState(fake.url, systemRandom), isRegistered: true };
    running = startFakeClient(fake.url, null, state);
    await running.event((event) => event.type === 'node_key');
    await running.event(isState('running'));
    const [first, second] = fake.calls;
    assert.equal(second?.body['OldNodeKey'], first?.body['NodeKey']);
    assert.notEqual(second?.body['NodeKey'], first?.body['NodeKey']);
  });

  test('a login that says the key has expired marks the map in use: nobody waits for the next one', async () => {
    const fake = await start({
      register: (call, count) => {
        if (count === 2) call.answer(200, { NodeKeyExpired: true });
        else confirm(call);
      },
      map: (call) => {
        call.send({ Node: SELF });
        if (fake.calls.length < 4) call.end();
      },
    });
    const client = connect(fake);
    const marked = await client.event(
      (event) => event.type === 'netmap' && event.netmap.self.isExpired && event,
    );
    assert.deepEqual([marked.changes.self, marked.changes.filters], [true, false]);
    const newKey = await client.event((event) => event.type === 'node_key' && event);
    assert.ok(client.events.indexOf(marked) < client.events.indexOf(newKey));
  });

  test('a server that never ends the login is given up after some steps', async () => {
    const fake = await start({ register: (call) => call.answer(200, { NodeKeyExpired: true }) });
    assert.equal(await problemOf(connect(fake)), 'control_protocol');
  });

  test('a refusal is final; 429 is waited for; a 500 is tried again', async () => {
    const refusing = await start({ register: (call) => call.answer(200, { Error: 'not you\u001b[31m' }) });
    const event = await connect(refusing).event(isState('stopped'));
    assert.match(
      event.type === 'state' ? (event.problem?.message ?? '') : '',
      /refused this device: not you \[31m$/,
    );
    await refusing.close();
    const busy = await start({
      register: (call, count) => {
        if (count === 1) call.answer(429, '', { 'retry-after': '2' });
        else if (count === 2) call.answer(500, 'oh');
        else confirm(call);
      },
    });
    const client = connect(busy);
    assert.equal(await problemOf(client), 'control_rate_limited');
    await client.event(isState('running'));
  });

  test('`close` ends a login that nobody finishes', async () => {
    const fake = await start({
      register: (call, count) => {
        if (count === 1) call.answer(200, { AuthURL: 'https://login.example/a' });
      },
    });
    const client = connect(fake, null);
    await client.event(isState('needs_login'));
    await client.client.close();
    assert.equal(client.events.at(-1)?.type, 'state');
  });
});

describe('following the map', () => {
  test('messages in zstd and in plain JSON, keep-alives, and deltas', async () => {
    const fake = await start({
      map: (call) => {
        call.send(zstdCompressSync(Buffer.from(JSON.stringify({ Node: SELF }))));
        call.send({ KeepAlive: true });
        call.send({ Domain: 'example.test' });
      },
    });
    const client = connect(fake);
    await client.event((event) => event.type === 'netmap' && event.netmap.domain === 'example.test');
    assert.equal(client.events.filter(({ type }) => type === 'netmap').length, 2);
  });

  test('a stream that ends is begun again, and the last map stays meanwhile', async () => {
    let streams = 0;
    const fake = await start({
      map: (call) => {
        streams += 1;
        call.send({ Node: { ...SELF, Name: `ours${streams}.test.` } });
        if (streams === 1) call.end();
      },
    });
    const client = connect(fake);
    await client.event(isState('offline'));
    assert.equal(client.client.netmap?.self.name, 'ours1.test');
    await client.event((event) => event.type === 'netmap' && event.netmap.self.name === 'ours2.test');
  });

  const hostile: readonly (readonly [string, (call: ControlCall) => void, string])[] = [
    ['no JSON', (call) => call.send(Buffer.from('x')), 'control_protocol'],
    ['no node', (call) => call.send({ Peers: [] }), 'control_protocol'],
    ['tailnet lock', (call) => call.send({ Node: SELF, TKAInfo: { Head: 'x' } }), 'control_tailnet_lock'],
    ['broken zstd', (call) => call.send(Buffer.from('28b52ffd00', 'hex')), 'control_protocol'],
    [
      'a bomb',
      (call) => call.send(zstdCompressSync(Buffer.from(JSON.stringify({ Node: SELF }).padEnd(80 << 20)))),
      'control_protocol',
    ],
    ['a refusal', (call) => call.answer(403, 'no'), 'control_refused'],
  ];
  for (const [what, map, code] of hostile) {
    test(`${what} is refused: ${code}`, async () => {
      const client = connect(await start({ map }));
      assert.equal(await problemOf(client, code === 'control_tailnet_lock' ? 'stopped' : 'offline'), code);
      assert.equal(client.client.netmap, null);
    });
  }

  test('a length beyond the limit ends the stream before anything is kept', async () => {
    const fake = await start({ map: (call) => call.answer(200, '\xff'.repeat(4)) });
    assert.equal(await problemOf(connect(fake)), 'control_protocol');
  });

  test('pings are answered once each, over the same connection: HEAD and `/echo`', async () => {
    const ping = { URL: 'https://elsewhere.example/ping?id=1' };
    const payload = Buffer.from('POST /echo HTTP/1.1\r\nHost: x\r\n\r\nhello').toString('base64');
    const echo = { URL: '/echo-answer', Types: 'c2n', Payload: payload };
    const answered = Promise.withResolvers<void>();
    const fake = await startFakeControl((call) => {
      if (call.path === '/machine/register') confirm(call);
      else if (call.body['Stream'] === true) {
        call.send({ Node: SELF, PingRequest: ping });
        call.send({ KeepAlive: true, PingRequest: ping });
        call.send({ KeepAlive: true, PingRequest: echo });
      } else call.answer(200);
      if (call.path === '/echo-answer') answered.resolve();
    });
    server = fake;
    connect(fake);
    await answered.promise;
    assert.equal(fake.calls.filter(({ path }) => path === '/ping?id=1').length, 1);
    const answer = String(fake.calls.find(({ path }) => path === '/echo-answer')?.body['text']);
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nhello$/);
  });
});

describe('the transport', () => {
  test('a record that does not open, or a frame that is too long, ends the connection', async () => {
    for (const hex of ['04001000112233445566778899aabbccddeeff', '04ffff', '050000']) {
      const fake = await start({});
      fake.garbage = Buffer.from(hex, 'hex');
      const client = connect(fake);
      assert.equal(await problemOf(client), 'control_protocol');
      await client.client.close();
      await fake.close();
    }
  });

  test('what is no control server is told as such', async () => {
    const fake = await start({});
    await fake.close();
    const client = connect(fake);
    assert.equal(await problemOf(client), 'control_unreachable');
  });
});

describe('the state', () => {
  test('comes back from its text, and never prints its keys', () => {
    const state = createNodeState('https://control.example', systemRandom);
    const read = parseNodeState(revealNodeState(state));
    assert.deepEqual(read.nodeKey.reveal(), state.nodeKey.reveal());
    assert.equal(JSON.stringify(state).includes(state.nodeKey.reveal().toString('hex')), false);
  });

  test('a damaged one is refused; so is one of another server', () => {
    const text = revealNodeState(createNodeState('https://control.example', systemRandom));
    for (const bad of [
      '',
      '{}',
      text.replace('privkey:', 'privkey:x'),
      text.replace('"version": 1', '"version": 2'),
    ]) {
      assert.throws(() => parseNodeState(bad), /damaged/);
    }
    assert.throws(
      () => startFakeClient('https://other.example', null, parseNodeState(text)),
      /another control server/,
    );
  });
});
