/** Who is told where a provider is: an admin and the operator's log, not every caller (DESIGN section 12). */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { test } from 'node:test';
import { startPostern, type Postern } from './harness.ts';

/** A port of this machine on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  await new Promise((resolve) => void server.close(resolve));
  return address.port;
}

test('a provider that fails is not named by its address, except to an admin and in the log', async (t) => {
  const port = await closedPort();
  const provider = (baseurl: string, more: object = {}): object => ({
    baseurl,
    models: ['m'],
    auth_mode: 'none',
    compatibility: { openai_chat: true, anthropic_messages: true },
    ...more,
  });
  const providers = {
    closed: provider(`http://127.0.0.1:${port}`),
    private: provider('http://10.99.98.97'),
    keyless: provider('https://unreachable-host.test', {
      auth_mode: 'override',
      apikey: 'env:NOT_THERE',
      cost_basis: 'openai',
    }),
  };
  const start = (roles: readonly string[]): Promise<Postern> =>
    startPostern(t, {
      document: {
        providers,
        grants: roles.map((role) => ({
          src: [`local:${userInfo().uid}`],
          app: { 'postern.dev/cap/gateway': [{ role, models: '**' }] },
        })),
      },
      flags: { allowUpstream: '127.0.0.0/8' },
    });
  const [user, admin] = [await start(['user']), await start(['user', 'admin'])];
  for (const [model, reason, address] of [
    ['closed/m', 'upstream_unreachable', `127.0.0.1:${port}`],
    ['private/m', 'upstream_refused_address', '10.99.98.97'],
  ] as const)
    for (const [path, body] of [
      ['/v1/chat/completions', { model, messages: [] }],
      ['/v1/chat/completions', { model, messages: [], stream: true }],
      ['/v1/messages', { model, max_tokens: 1, messages: [] }],
    ] as const) {
      const told = await user.call(path, { body });
      assert.equal(told.headers['x-postern-reason'], reason, told.text);
      assert.ok(!told.text.includes(address), told.text);
      const all = await admin.call(path, { body });
      assert.equal(all.headers['x-postern-reason'], reason, all.text);
      assert.ok(all.text.includes(address.split(':')[0] ?? ''), all.text);
    }
  assert.ok(
    user.logLines.some((line) => line.includes(`127.0.0.1:${port}`)),
    user.logLines.join('\n'),
  );
  const keyless = await user.call('/v1/chat/completions', { body: { model: 'keyless/m', messages: [] } });
  assert.ok(!keyless.text.includes('unreachable-host'), keyless.text);
});
