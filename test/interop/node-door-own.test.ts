/**
 * A gateway that joins the network of another Postern (`postern up` towards `--lan`), with the official
 * client as the peer of both: control protocol, relay with a pinned certificate, and door are all ours.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type PosternProcess, startPostern } from '../postern-process.ts';
import { eventually } from '../scenarios/ask.ts';
import { startDevice } from './device.ts';
import { CAPABILITY, EVERY_MODEL } from './gateway.ts';
import { createMachineNetwork, type MachineNetwork } from './machines.ts';
import { findPrograms } from './programs.ts';
import { askFrom } from './request.ts';

const BREAK_GLASS = 'break-glass-of-this-test-0123456789';
const ADMIN = { POSTERN_TOKEN: BREAK_GLASS };
const OWNER = 'root@postern.internal';

let folder = '';
let network: MachineNetwork;
let coordination: PosternProcess;
let gateway: PosternProcess;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-both-'));
  network = await createMachineNetwork(folder);
  const env = { POSTERN_ADMIN_TOKEN: BREAK_GLASS };
  const [first, second] = [await network.add('first'), await network.add('second')];
  coordination = await startPostern({ prefix: first.prefix, flags: ['--lan'], env });
  const document = { grants: [{ src: ['*'], app: { [CAPABILITY]: [EVERY_MODEL] } }] };
  gateway = await startPostern({ prefix: second.prefix, document, env });
});

after(async () => {
  await gateway?.stop();
  await coordination?.stop();
  await network?.close();
  await rm(folder, { recursive: true, force: true });
});

async function cli(postern: PosternProcess, ...words: readonly string[]): Promise<string> {
  const result = await postern.cli(words, ADMIN);
  assert.equal(result.code, 0, `postern ${words.join(' ')}: ${result.stderr}\n${postern.log()}`);
  return result.stdout.trim();
}

test('a gateway in another Postern’s network knows an official client, directly and with that relay at hand', async () => {
  const loginServer = String(JSON.parse(await cli(coordination, 'tailnet', '--json')).login_server);
  const newKey = (): Promise<string> => cli(coordination, 'key', 'create', '--user', OWNER);
  const up = ['up', '--login-server', loginServer, '--hostname', 'beta', '--timeout', '25'];
  assert.match(await cli(gateway, ...up, '--auth-key', await newKey()), /the gateway is beta\./);
  const laptop = await startDevice(await network.add('laptop'), {
    programs: findPrograms(),
    controlUrl: loginServer,
    authKey: await newKey(),
    relayTls: true,
  });
  const answer = await eventually(
    async () => {
      const asked = await askFrom(laptop.machine, 'http://beta/api/v1/whoami').catch(() => null);
      return asked?.status === 200 ? asked.json() : null;
    },
    'the laptop is known',
    20_000,
  );
  assert.equal(answer['door'], 'node');
  assert.match(
    String(answer['principal']),
    new RegExp(`^tailscale:${RegExp.escape(new URL(loginServer).host)}:userid:`),
  );
  const chat = await askFrom(laptop.machine, 'http://beta/v1/chat/completions', {
    body: { model: 'postern/echo', messages: [{ role: 'user', content: 'hello from ours' }] },
  });
  assert.match(chat.text, /hello from ours/);
  const { relays } = JSON.parse(await cli(gateway, 'up', '--status', '--json')) as {
    relays: { state: string; problem: string | null }[];
  };
  assert.deepEqual(
    relays.map(({ state, problem }) => [state, problem]),
    [['connected', null]],
  );
});
