/**
 * The gateway as a device of a Headscale network by its own node (`postern up`), with the official
 * client as its peer: who calls, what the network's policy lets through, and that a right that ends
 * takes the open connection along (DESIGN section 5, door `node`).
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TEST_CERT, TEST_KEY } from '../../src/net/test-certificates.ts';
import { eventually } from '../scenarios/ask.ts';
import { askFrom } from './request.ts';
import { CAPABILITY, EVERY_MODEL, type GatewayUnderTest, startGateway } from './gateway.ts';
import {
  BASE_DOMAIN,
  type BedUser,
  type Machine,
  startTailnetBed,
  type TailnetBed,
  type TailscaleDevice,
} from './tailnet-bed.ts';

const BREAK_GLASS = 'break-glass-of-this-test-0123456789';
/** What the command line presents. */
const ADMIN = { POSTERN_TOKEN: BREAK_GLASS };
const ORIGIN = 'http://ai';
/** Of the model server on the laptop. */
const MODEL_PORT = 9000;
const MODEL_SERVER = `require('node:http').createServer((request, response) => {
  request.resume().on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({
      id: 'x', object: 'chat.completion', created: 1, model: 'inside-model',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'from inside ' + request.socket.remoteAddress } }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    }));
  });
}).listen(${MODEL_PORT}, '0.0.0.0')`;

let bed: TailnetBed;
let alice: BedUser;
let bob: BedUser;
let machine: Machine;
let gateway: GatewayUnderTest;
let laptop: TailscaleDevice;
let stateDir = '';
let controlHost = '';

/** Everybody reaches everything; `users` may use every model, by the network's own policy. */
function policyFor(users: readonly string[], ip: readonly string[] = ['*']): object {
  const app = { [CAPABILITY]: [EVERY_MODEL] };
  return {
    tagOwners: { 'tag:gateway': [alice.login], 'tag:ci': [alice.login] },
    grants: [
      ...(ip.length === 0 ? [] : [{ src: ['*'], dst: ['*'], ip }]),
      ...(users.length === 0 ? [] : [{ src: users, dst: ['tag:gateway'], app }]),
    ],
  };
}

async function startIt(): Promise<GatewayUnderTest> {
  const [cert, key] = [join(stateDir, 'tls.crt'), join(stateDir, 'tls.key')];
  await writeFile(cert, TEST_CERT);
  await writeFile(key, TEST_KEY);
  return startGateway(
    { machine },
    {
      flags: ['--tls-cert', cert, '--tls-key', key],
      env: { POSTERN_ADMIN_TOKEN: BREAK_GLASS },
      stateDir,
      providers: {
        inside: {
          baseurl: `http://alice-laptop.${BASE_DOMAIN}:${MODEL_PORT}`,
          models: ['inside-model'],
          compatibility: { openai_chat: true },
        },
      },
    },
  );
}

async function network(): Promise<Record<string, unknown>> {
  const shown = await gateway.postern.cli(['up', '--status', '--json'], ADMIN);
  assert.equal(shown.code, 0, shown.stderr);
  return JSON.parse(shown.stdout) as Record<string, unknown>;
}

before(async () => {
  bed = await startTailnetBed();
  controlHost = new URL(bed.headscale.url).host;
  [alice, bob] = [await bed.headscale.addUser('alice'), await bed.headscale.addUser('bob')];
  await bed.headscale.setPolicy(policyFor(['*']));
  machine = await bed.addMachine('host');
  stateDir = await mkdtemp(join(tmpdir(), 'postern-joined-'));
  gateway = await startIt();
});

after(async () => {
  await gateway?.stop();
  await bed?.close();
  if (stateDir !== '') await rm(stateDir, { recursive: true, force: true });
});

describe('postern up', () => {
  test('joins with an auth key from a file, as a device of its own', async () => {
    const file = join(stateDir, 'key.txt');
    const key = await bed.headscale.authKey({ tags: ['tag:gateway'] });
    await writeFile(file, `${key}\n`, { mode: 0o600 });
    const joined = await gateway.postern.cli(
      ['up', '--login-server', bed.headscale.url, '--auth-key', `file:${file}`, '--timeout', '25'],
      ADMIN,
    );
    assert.equal(joined.code, 0, `${joined.stderr}\n${gateway.postern.log()}`);
    assert.match(joined.stdout, new RegExp(`the gateway is ai\\.${RegExp.escape(BASE_DOMAIN)} \\(100\\.`));
    assert.equal((await bed.headscale.node('ai')).online, true);
    assert.doesNotMatch(gateway.postern.log(), new RegExp(RegExp.escape(key)));
    const { state, login_server: server, tags, domain } = await network();
    assert.deepEqual([state, server, tags], ['running', bed.headscale.url, ['tag:gateway']], String(domain));
    laptop = await bed.join('alice-laptop', { user: alice });
  });

  test('its name works on a peer, for curl and an SDK without any key, and the person is known', async () => {
    const listed = await eventually(
      async () => {
        const curl = await laptop.machine.exec(['curl', '-sS', '-m', '5', `${ORIGIN}/v1/models`]);
        return curl.code === 0 ? curl.stdout : null;
      },
      'curl lists the models',
      20_000,
    );
    assert.match(listed, /"postern\/echo"/);
    const script = `
      import OpenAI from '${import.meta.resolve('openai')}';
      const client = new OpenAI({ baseURL: '${ORIGIN}/v1', apiKey: 'none', maxRetries: 0 });
      const answer = await client.chat.completions.create({
        model: 'postern/echo', messages: [{ role: 'user', content: 'hello from the SDK' }] });
      console.log(answer.choices[0].message.content);`;
    const words = [process.execPath, '--input-type=module', '-e', script];
    const sdk = await laptop.machine.exec(words);
    assert.match(sdk.stdout, /hello from the SDK/, sdk.stderr);
    const { door, principal, user, device } = (await gateway.whoami(laptop.machine, ORIGIN)).json();
    const { id } = await bed.headscale.node('alice-laptop');
    assert.deepEqual(
      { door, principal, user, device },
      {
        door: 'node',
        principal: `tailscale:${controlHost}:userid:${alice.id}`,
        user: { id: alice.id, login: alice.login, display_name: alice.displayName },
        device: { id: String(id), name: 'alice-laptop', tags: [] },
      },
    );
    const logs = await gateway.postern.cli(['logs', '--json'], ADMIN);
    assert.match(logs.stdout, new RegExp(RegExp.escape(alice.login)), logs.stderr);
    assert.match(logs.stdout, /alice-laptop/);
  });

  test('a tagged device is itself; a foreign Host is 421; status tells how a peer is reached', async () => {
    const runner = await bed.join('runner', { tags: ['tag:ci'] });
    const answer = await eventually(
      () => gateway.whoami(runner.machine, ORIGIN).catch(() => null),
      'the runner reaches the gateway',
      20_000,
    );
    const { principal, user, device } = answer.json();
    const { id } = await bed.headscale.node('runner');
    assert.deepEqual(
      [principal, user, device],
      [`tailscale:${controlHost}:nodeid:${id}`, null, { id: String(id), name: 'runner', tags: ['tag:ci'] }],
    );
    const foreign = await gateway.whoami(runner.machine, ORIGIN, { headers: ['Host', 'evil.example'] });
    assert.equal(foreign.status, 421);
    const { peers } = (await network()) as { peers: { name: string; path: string | null }[] };
    const path = peers.find(({ name }) => name === 'runner')?.path;
    assert.ok(path === 'direct' || path === 'relay', String(path));
  });
});

describe('both ways', () => {
  test('HTTPS with the operator’s certificate is the same person', async () => {
    const curl = await laptop.machine.exec(['curl', '-sSk', '-m', '5', 'https://ai/api/v1/whoami']);
    const { door, user } = JSON.parse(curl.stdout || '{}') as { door: string; user: { login: string } };
    assert.deepEqual([door, user.login], ['node', alice.login], curl.stderr);
  });

  test('a provider on a device of the network is called through the node', async () => {
    const server = laptop.machine.start([process.execPath, '-e', MODEL_SERVER]);
    const answer = await eventually(
      async () => {
        const asked = await askFrom(laptop.machine, `${ORIGIN}/v1/chat/completions`, {
          body: { model: 'inside-model', messages: [{ role: 'user', content: 'hello' }] },
        });
        return asked.status === 200 ? asked.text : null;
      },
      'the model answers',
      20_000,
    );
    assert.match(answer, /from inside 100\./, gateway.postern.log());
    await server.stop();
  });

  test('metrics and doctor know the network', async () => {
    const doctor = await gateway.postern.cli(['doctor', '--json'], ADMIN);
    const { findings } = JSON.parse(doctor.stdout) as { findings: { check: string; level: string }[] };
    assert.deepEqual(
      findings.filter(({ check }) => check === 'network').map(({ level }) => level),
      ['ok'],
    );
    const metrics = await askFrom(machine, `${gateway.postern.url}/metrics`, {
      headers: ['X-Postern-Authorization', `Bearer ${BREAK_GLASS}`],
    });
    assert.match(metrics.text, /postern_node_up\{network="joined"\} 1/);
    assert.match(metrics.text, /part="control",event="filtered\.denied"/);
  });
});

describe('a right that ends, ends the open stream', () => {
  const endings: readonly (readonly [string, string, () => Promise<unknown>])[] = [
    ['the capability is taken away', 'capability', () => bed.headscale.setPolicy(policyFor([bob.login]))],
    ['the network lets nobody in any more', 'filter', () => bed.headscale.setPolicy(policyFor(['*'], []))],
    ['the device’s key expires', 'expired', () => bed.headscale.expireNode('leaving')],
  ];
  for (const [what, name, endIt] of endings) {
    test(what, async (t) => {
      const device = name === 'expired' ? await bed.join('leaving', { user: alice }) : laptop;
      const stream = await eventually(
        () => gateway.openStream(device.machine, ORIGIN, name).catch(() => null),
        'the stream is open',
        20_000,
      );
      await endIt();
      const cutMs = await gateway.untilCut(name, 4000);
      t.diagnostic(`cut ${Math.round(cutMs)} ms after the command had ended`);
      await stream.stop();
      await bed.headscale.setPolicy(policyFor(['*']));
    });
  }
});

describe('after that', () => {
  test('a restart joins again by itself, as the same device, without a key', async () => {
    const { id } = await bed.headscale.node('ai');
    await gateway.stop();
    gateway = await startIt();
    await eventually(
      async () => ((await network())['state'] === 'running' ? true : null),
      'it is in again',
      20_000,
    );
    assert.equal((await bed.headscale.node('ai')).id, id);
    const answer = await eventually(
      () => gateway.whoami(laptop.machine, ORIGIN).catch(() => null),
      'the peer reaches it again',
      20_000,
    );
    assert.equal(answer.json()['door'], 'node');
  });

  test('down leaves; out for good, up without a key prints a URL, and goes on once it is approved', async () => {
    const down = await gateway.postern.cli(['down'], ADMIN);
    assert.equal(down.code, 0, down.stderr);
    assert.equal((await network())['state'], 'off');
    const out = await gateway.postern.cli(['down', '--logout'], ADMIN);
    assert.equal(out.code, 0, out.stderr);
    const waiting = gateway.postern.cli(
      ['up', '--login-server', bed.headscale.url, '--timeout', '25'],
      ADMIN,
    );
    const url = await eventually(
      async () => {
        const { login_url: shown } = await network();
        return typeof shown === 'string' ? shown : null;
      },
      'a login URL',
      20_000,
    );
    const id = url.split('/').at(-1) ?? '';
    await bed.headscale.command(['auth', 'register', '--user', alice.name, '--auth-id', id]);
    const joined = await waiting;
    assert.equal(joined.code, 0, `${joined.stderr}\n${gateway.postern.log()}`);
    assert.ok(joined.stderr.includes(url), joined.stderr);
    assert.match(joined.stdout, /the gateway is /);
    const told = gateway.postern
      .log()
      .split('\n')
      .filter((line) => line.includes(url));
    assert.deepEqual([told.length, told.every((line) => line.startsWith('postern: '))], [1, true]);
  });
});
