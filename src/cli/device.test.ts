/** `postern device`: what it asks, what it prints where, and how it fails (docs/reference/cli.md). */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { type Answers, problem, runInProcess, startFakeServer } from './fake-server.ts';

const PHONE = {
  id: 'dev_1',
  name: 'phone',
  public_key: 'key',
  principal: 'postern:device:00',
  addresses: ['10.37.16.2', 'fd00::2'],
  last_handshake_at: null,
  endpoint: '192.0.2.7:4711',
  received_bytes: 1_024,
  sent_bytes: 2_048,
};
const CONFIGURATION = '[Interface]\nPrivateKey = made\n\n[Peer]\nPublicKey = theirs\n';
const LIST = { body: { items: [PHONE], next_cursor: null, enabled: true } };

async function run(t: TestContext, answers: Answers, words: readonly string[], isTerminal = false) {
  const server = await startFakeServer(answers);
  t.after(() => server.close());
  const stderr = { text: '', isTTY: isTerminal, write: (text: string) => (stderr.text += text) };
  const result = await runInProcess(['device', ...words, '--url', server.url], { stderr });
  return { ...result, stderr: stderr.text, asked: server.requests };
}

describe('postern device', () => {
  test('lists devices; --json prints the answer as it is', async (t) => {
    const answers = { 'GET /api/v1/devices': LIST };
    for (const words of [[], ['list']]) {
      const { exitCode, stdout } = await run(t, answers, words);
      assert.equal(exitCode, 0);
      assert.match(stdout, /phone +10\.37\.16\.2 +- +192\.0\.2\.7:4711 +1024 +2048 +dev_1/);
    }
    const { stdout } = await run(t, answers, ['list', '--json']);
    assert.deepEqual(JSON.parse(stdout), LIST.body);
    const none = await run(t, { 'GET /api/v1/devices': { body: { items: [] } } }, []);
    assert.equal(none.stdout, 'no devices\n');
  });

  test('the configuration alone is on standard output, so that it can go to a file', async (t) => {
    const answers = {
      'POST /api/v1/devices': { status: 201, body: { ...PHONE, configuration: CONFIGURATION } },
    };
    const { exitCode, stdout, stderr, asked } = await run(t, answers, ['add', 'phone']);
    assert.equal(exitCode, 0);
    assert.equal(stdout, CONFIGURATION);
    assert.deepEqual(JSON.parse(asked[0]?.body ?? ''), { name: 'phone' });
    assert.match(stderr, /10\.37\.16\.2.*not shown again/);
    assert.doesNotMatch(stderr, /█/);
  });

  test('a terminal is shown a code, unless it is not wanted or holds no key', async (t) => {
    const answers = {
      'POST /api/v1/devices': { status: 201, body: { ...PHONE, configuration: CONFIGURATION } },
    };
    const { stderr, stdout } = await run(t, answers, ['add', 'phone'], true);
    assert.match(stderr, /█/);
    assert.doesNotMatch(stdout, /█/);
    assert.doesNotMatch((await run(t, answers, ['add', 'phone', '--no-qr'], true)).stderr, /█/);
    const own = await run(t, answers, ['add', 'ci', '--public-key', 'key'], true);
    assert.doesNotMatch(own.stderr, /█|whoever has this text/);
    assert.deepEqual(JSON.parse(own.asked[0]?.body ?? ''), { name: 'ci', public_key: 'key' });
  });

  test('removes by name or id; an unknown one is 2, and nothing is asked of the server but the list', async (t) => {
    const answers = { 'GET /api/v1/devices': LIST, 'DELETE /api/v1/devices/dev_1': { status: 204 } };
    for (const which of ['phone', 'dev_1']) {
      const { exitCode, stdout, asked } = await run(t, answers, ['remove', which]);
      assert.equal(exitCode, 0);
      assert.equal(stdout, 'phone is removed\n');
      assert.equal(asked[1]?.path, '/api/v1/devices/dev_1');
    }
    const unknown = await run(t, answers, ['remove', 'tablet']);
    assert.equal(unknown.exitCode, 2);
    assert.match(unknown.stderr, /there is no device "tablet"; see postern device list/);
    assert.equal(unknown.asked.length, 1);
    const told = await run(t, answers, ['remove', 'phone', '--json']);
    assert.deepEqual(JSON.parse(told.stdout), { id: 'dev_1', removed: true });
  });

  test('5 without presence, 4 without the role, 1 where it cannot be, in the words of the server', async (t) => {
    const add = ['add', 'phone'];
    const absent = problem(403, 'presence_required', 'show presence', { presence_url: 'http://x/presence' });
    assert.equal((await run(t, { 'POST /api/v1/devices': absent }, add)).exitCode, 5);
    const roleless = problem(403, 'role_missing', 'you need the role admin');
    assert.equal((await run(t, { 'POST /api/v1/devices': roleless }, add)).exitCode, 4);
    const off = problem(409, 'conflict', "Postern's own network is off");
    const { exitCode, stderr, stdout } = await run(t, { 'POST /api/v1/devices': off }, add);
    assert.equal(exitCode, 1);
    assert.match(stderr, /network is off/);
    assert.equal(stdout, '');
  });
});
