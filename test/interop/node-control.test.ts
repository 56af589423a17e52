/**
 * Our node in a network of Headscale, among official devices: joined by auth key or by hand, reached
 * through the relay and then directly, cut off by policy, and through restarts of the control server.
 * The tests follow one another in one network.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '../scenarios/ask.ts';
import { type ControlNode, setUdp, startControlNode } from './control-node.ts';
import { openFrom } from './request.ts';
import { type BedUser, startTailnetBed, type TailnetBed, type TailscaleDevice } from './tailnet-bed.ts';

const EXAMPLE = fileURLToPath(new URL('../../examples/tailnet-node.ts', import.meta.url));
const CAPABILITY = 'example.com/cap/ai';
/** Serves HTTP at the official device. */
const WEB = `require('node:http').createServer((q, s) => s.end('web ' + q.socket.remoteAddress)).listen(80, '0.0.0.0')`;
/** A change has to have taken effect by then. */
const CUT_MAX_MS = 1000;

let bed: TailnetBed;
let alice: BedUser;
let one: TailscaleDevice;
let ours: ControlNode;
/** Ours in the network. */
let address = '';

before(async () => {
  bed = await startTailnetBed();
  alice = await bed.headscale.addUser('alice');
  const machine = await bed.addMachine('ours');
  await setUdp(machine, false);
  const authKey = await bed.headscale.authKey({ user: alice });
  [one, ours] = await Promise.all([
    bed.join('one', { user: alice }),
    startControlNode(machine, { hostname: 'ours', controlUrl: bed.headscale.url, authKey }),
  ]);
  one.machine.start([process.execPath, '-e', WEB]);
  [address = ''] = (await ours.reaches('running')).addresses;
});

after(() => bed?.close());

async function curl(path: string, host = address): Promise<Record<string, unknown>> {
  const words = ['curl', '-s', '-S', '-m', '20', `http://${host}${path}`];
  const done = await one.machine.exec(words, { timeoutMs: 25_000 });
  assert.equal(done.code, 0, done.stderr);
  return JSON.parse(done.stdout) as Record<string, unknown>;
}

function pathToOne(): Promise<string | null> {
  return ours.status().then(({ peers }) => peers.find(({ peer }) => peer.name === 'one')?.path ?? null);
}

/** What the administrator does who is shown a login URL. */
async function register(url: string): Promise<void> {
  const authId = url.split('/').at(-1) ?? '';
  await bed.headscale.command(['auth', 'register', '--auth-id', authId, '--user', alice.name]);
}

/** A request that stays open; resolves when our program has it. */
async function hold(): Promise<{ readonly ended: Promise<string>; readonly index: number }> {
  const index = (await ours.held()).length;
  const stream = await openFrom(one.machine, `http://${address}/hold`);
  assert.equal(stream.status, 200, ours.log());
  return { ended: stream.ended, index };
}

/** How long after the last map the held connection was cut. */
async function cutAfterMap(index: number): Promise<number> {
  const endedAt = await eventually(
    async () => (await ours.held())[index]?.endedAt ?? null,
    'the connection is cut',
    20_000,
  );
  const maps = (await ours.events()).filter(({ type }) => type === 'network');
  const map = maps.findLast(({ at }) => at <= endedAt + CUT_MAX_MS);
  assert.ok(map !== undefined);
  return endedAt - map.at;
}

describe('a node of ours in a network of Headscale', { timeout: 120_000 }, () => {
  test('official devices see it: status, whois', async () => {
    const status = await one.mustTailscale(['status']);
    assert.match(status, new RegExp(`^${address.replaceAll('.', '\\.')} +ours +alice@`, 'm'));
    const whois = await one.mustTailscale(['whois', address]);
    assert.match(whois, /ours\.bed\.test/);
    assert.match(whois, /alice@example\.com/);
    assert.deepEqual(await ours.order('ownNames'), ['ours.bed.test', 'ours']);
  });

  test('without UDP, the relay carries both ways: `tailscale ping`, `curl`, and a dial of ours', async () => {
    await one.reach({ name: 'ours', addresses: [address, ''] });
    const ping = await one.mustTailscale(['ping', '--c=1', '--until-direct=false', address]);
    assert.match(ping, /via DERP/);
    const { peer } = await curl('/hello');
    assert.deepEqual(
      [Object(peer)['name'], Object(Object(peer)['user'])['login'], Object(peer)['network'] !== null],
      ['one', alice.login, true],
    );
    assert.equal(await ours.order('get', 'one', '/'), `web ${address}`);
    assert.equal(await pathToOne(), 'relay');
  });

  test('with UDP it goes direct, and undici and HTTP/2 go through it', async () => {
    await setUdp(ours.machine, true);
    await eventually(
      async () => {
        await curl('/again');
        return (await pathToOne()) === 'direct' ? true : null;
      },
      'a direct path',
      30_000,
    );
    const ping = await one.mustTailscale(['ping', '--c=3', '--until-direct=true', address]);
    assert.match(ping, new RegExp(`via ${ours.machine.address.replaceAll('.', '\\.')}:`));
    assert.equal(await ours.order('undici', 'one.bed.test', '/'), `web ${address}`);
  });

  test('WhoIs gives user, then tags, and the capabilities of the policy', async () => {
    await bed.headscale.setPolicy({
      tagOwners: { 'tag:ci': ['alice@example.com'] },
      grants: [
        { src: ['*'], dst: ['*'], ip: ['*'] },
        { src: ['tag:ci'], dst: ['*'], app: { [CAPABILITY]: [{ role: 'ci' }] } },
      ],
    });
    await bed.headscale.setTags('one', ['tag:ci']);
    const known = await eventually(
      async () => {
        const whois = await ours.whois(one.addresses[0]);
        return whois !== null && whois.tags.length > 0 && CAPABILITY in whois.capabilities ? whois : null;
      },
      'the tag and what it is granted',
      20_000,
    );
    assert.deepEqual([known.tags, known.user], [['tag:ci'], null]);
    assert.deepEqual(Object(known.capabilities)[CAPABILITY], [{ role: 'ci' }]);
    assert.equal((await ours.whois(one.addresses[1]))?.stableId, known.stableId);
    assert.equal(await ours.whois('100.99.99.99'), null);
    assert.equal(await ours.whois(address), null, 'the node is not its own peer');
  });

  test('a policy change cuts an open connection when its map comes, and lets nothing new in', async () => {
    const { ended, index } = await hold();
    await bed.headscale.setPolicy({
      tagOwners: { 'tag:ci': ['alice@example.com'] },
      grants: [{ src: ['*'], dst: ['*'], ip: ['tcp:22'] }],
    });
    assert.notEqual(await ended, 'end');
    const ms = await cutAfterMap(index);
    assert.ok(Math.abs(ms) < CUT_MAX_MS, `${ms} ms`);
    const refused = await one.machine.exec(['curl', '-s', '-m', '2', `http://${address}/`]);
    assert.notEqual(refused.code, 0);
    const { filtered } = (await ours.status()).control?.counters ?? assert.fail();
    assert.ok(filtered.denied > 0);
    await bed.headscale.setPolicy({
      tagOwners: { 'tag:ci': ['alice@example.com'] },
      grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }],
    });
    await eventually(() => curl('/back').catch(() => null), 'it is let in again', 20_000);
  });

  test('a restart of the control server, relay included, leaves an open direct connection alone', async () => {
    await eventually(async () => ((await pathToOne()) === 'direct' ? true : null), 'direct', 20_000);
    const { ended, index } = await hold();
    await bed.headscale.stop();
    await eventually(
      async () => ((await ours.status()).control?.state === 'offline' ? true : null),
      'the node notices',
      20_000,
    );
    assert.equal((await ours.status()).state, 'running');
    await curl('/meanwhile');
    await bed.headscale.start();
    await eventually(
      async () => {
        const { control } = await ours.status();
        return control?.state === 'running' && control.relays.some(({ state }) => state === 'connected')
          ? true
          : null;
      },
      'control and relay are back',
      40_000,
    );
    assert.equal((await ours.held())[index]?.endedAt, null);
    assert.equal(await Promise.race([ended, Promise.resolve('open')]), 'open');
  });

  test('two nodes of ours talk to each other; an ephemeral one is forgotten when it closes', async () => {
    const machine = await bed.addMachine('second');
    const second = await startControlNode(machine, {
      hostname: 'second',
      controlUrl: bed.headscale.url,
      authKey: await bed.headscale.authKey({ user: alice, ephemeral: true }),
      ephemeral: true,
    });
    await second.reaches('running');
    const answer = await eventually(
      () => second.order('get', 'ours', '/from-second').catch(() => null),
      'the second reaches ours',
      20_000,
    );
    const { peer } = JSON.parse(String(answer)) as { peer: { name: string; user: { login: string } } };
    assert.deepEqual([peer.name, peer.user.login], ['second', alice.login]);
    assert.equal(await second.order('http2', 'ours.bed.test', '8080'), 'h2');
    assert.ok((await bed.headscale.nodes()).some(({ name }) => name === 'second'));
    await second.order('close');
    await eventually(
      async () => ((await bed.headscale.nodes()).every(({ name }) => name !== 'second') ? true : null),
      'headscale has forgotten it',
      10_000,
    );
    await eventually(
      async () =>
        (await ours.status()).peers.every(({ peer: known }) => known.name !== 'second') ? true : null,
      'so has ours',
      10_000,
    );
  });

  test('the example is let in by hand, serves the official device by name, and says goodbye', async () => {
    const machine = await bed.addMachine('hello');
    const program = machine.start(
      [process.execPath, '--disable-warning=ExperimentalWarning', EXAMPLE, bed.headscale.url],
      { STATE_DIR: join(machine.folder, 'hello-state') },
    );
    const says = (what: RegExp): Promise<string> =>
      eventually(() => Promise.resolve(what.exec(program.log())?.[1] ?? null), `${what}`, 20_000);
    await register(await says(/let this device in: (\S+)/));
    const host = await says(/and http:\/\/([0-9.]+)\//);
    const answer = await eventually(
      async () => {
        const done = await one.machine.exec(['curl', '-s', '-m', '2', `http://${host}/`]);
        return done.code === 0 ? done.stdout : null;
      },
      'the example answers',
      20_000,
    );
    assert.equal(answer, 'hello one\n', 'a device with tags is nobody’s');
    await program.stop('SIGINT');
    assert.doesNotMatch(program.log(), /Error/);
  });

  test('an expired key ends all traffic; the login URL is told, and a login by hand goes on', async () => {
    const { index } = await hold();
    await bed.headscale.expireNode('ours');
    /* The other side may have heard first, and then hears no more of us. */
    assert.ok((await cutAfterMap(index)) < CUT_MAX_MS);
    const waiting = await ours.reaches('needs_login');
    assert.deepEqual([waiting.peers, waiting.control?.state !== 'running'], [[], true]);
    const url = await eventually(
      async () => (await ours.status()).control?.loginUrl ?? null,
      'a login URL',
      20_000,
    );
    assert.ok((await ours.events()).some((event) => event.type === 'login_url' && event.url === url));
    await register(url);
    const running = await ours.reaches('running');
    assert.equal(running.addresses[0], address, 'the same device');
    await eventually(() => curl('/after-login').catch(() => null), 'peers reach it with its new key', 20_000);
  });

  test('a kept state joins again without a key; a logout leaves the network', async () => {
    await ours.kill();
    const { machine } = ours;
    ours = await startControlNode(machine, { hostname: 'ours', controlUrl: bed.headscale.url });
    assert.equal((await ours.reaches('running')).addresses[0], address);
    await eventually(() => curl('/after-restart').catch(() => null), 'peers reach it', 20_000);
    await ours.order('logout');
    assert.equal((await ours.status()).state, 'stopped');
    const refused = await one.machine.exec(['curl', '-s', '-m', '2', `http://${address}/`]);
    assert.notEqual(refused.code, 0);
  });
});
