/** The official client signs in on the pages of our own coordination server; a person follows them with curl. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../scenarios/ask.ts';
import { type ControlServerBed, startControlServerBed } from './control-server.ts';
import type { TailscaleDevice } from './device.ts';

const ALICE = 'alice@example.com';
const HOME = 'home';

let bed: ControlServerBed;
let laptop: TailscaleDevice;

before(async () => {
  bed = await startControlServerBed();
  await bed.admin({ do: 'create', name: HOME, kind: 'people', users: [ALICE] });
  laptop = await bed.join('laptop', { authKey: await bed.key(HOME, { user: ALICE }) });
});

after(() => bed?.close());

/** `tailscale up` without a key, and the address that it shows. */
async function askToSignIn(
  words: readonly string[],
): Promise<{ readonly url: string; readonly done: Promise<unknown> }> {
  const before = String(Object(await laptop.status())['AuthURL'] ?? '');
  const done = laptop.tailscale(
    [
      'up',
      `--login-server=${bed.url}`,
      '--hostname=laptop',
      '--netfilter-mode=off',
      '--reset',
      '--timeout=40s',
      ...words,
    ],
    { timeoutMs: 45_000 },
  );
  const url = await eventually(
    async () => {
      const shown = String(Object(await laptop.status())['AuthURL'] ?? '');
      return shown !== '' && shown !== before ? shown : null;
    },
    'the client shows an address',
    20_000,
  );
  return { url, done };
}

async function curl(words: readonly string[]): Promise<string> {
  const jar = `${laptop.machine.folder}/cookies`;
  const result = await laptop.machine.exec(['curl', '-sS', '-b', jar, '-c', jar, ...words]);
  assert.equal(result.code, 0, result.stderr);
  return result.stdout;
}

/** The person's half, as far as the last page. */
async function signIn(url: string, email: string): Promise<string> {
  await bed.admin({ do: 'sign-in', tailnet: HOME, email });
  assert.match(await curl([url]), /laptop.*Sign in with Bed/s);
  const onward = await curl(['-d', 'provider=bed', `${url}/sign-in`]);
  const [, callback = ''] = /href="([^"]+)"/.exec(onward) ?? [];
  const asked = await curl([callback.replaceAll('&#38;', '&')]);
  assert.match(asked, /Is this your device\?/);
  const [, token = ''] = /name="token" value="(\w+)"/.exec(asked) ?? [];
  return curl(['-d', `token=${token}&tailnet=${HOME}&answer=mine`, `${url}/decide`]);
}

describe('an official client whose person signs in', () => {
  test('renews the key of its device by --force-reauth; nobody else can', async () => {
    const first = await bed.device(HOME, 'laptop');
    const { url, done } = await askToSignIn(['--force-reauth']);
    assert.match(await signIn(url, 'bob@example.com'), /belongs to somebody else/);
    assert.match(await signIn(url, ALICE), /The device is in/);
    await done;
    const renewed = await bed.device(HOME, 'laptop');
    assert.equal(renewed.id, first.id);
    assert.notEqual(renewed.nodeKey, first.nodeKey);
    assert.equal(Object(await laptop.status())['BackendState'], 'Running');
  });

  test('after logout it joins by sign-in alone', async () => {
    await laptop.mustTailscale(['logout']);
    const { url, done } = await askToSignIn([]);
    assert.match(await signIn(url, ALICE), /The device is in/);
    await done;
    await eventually(
      async () => (Object(await laptop.status())['BackendState'] === 'Running' ? true : null),
      'the client is in',
      20_000,
    );
  });
});
