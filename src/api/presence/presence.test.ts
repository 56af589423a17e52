import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Answer, caller, startTestApi, type TestApi, tokenCaller } from '../test-api.ts';
import { createTestAuthenticator } from './test-authenticator.ts';

const starter = caller('local:1000');
const other = caller('local:1001');
const MINUTE = 60_000;

let t: TestApi;
beforeEach(async () => {
  t = await startTestApi();
  t.world.access.set('local:1000', { roles: new Set(['user']) });
  t.world.access.set('local:1001', { roles: new Set(['user']) });
});
afterEach(() => t.close());

async function claimCode(): Promise<string> {
  const link = await t.api.offerClaim();
  return link?.url.reveal().split('#')[1] ?? '';
}

/** What a browser sends after an answer gave it presence. */
function browserOf(answer: Answer): Record<string, string> {
  const cookie = String(answer.headers['set-cookie']?.[0]).split(';')[0] ?? '';
  return { cookie, 'x-postern-presence-proof': String(answer.json['proof']) };
}

async function presentBrowser(as = starter): Promise<Record<string, string>> {
  await t.send(as, 'POST', '/api/v1/presence/requests', { body: { announce: true } });
  const answer = await t.send(as, 'POST', '/api/v1/presence/redeem', { body: { code: printedCode() } });
  assert.equal(answer.status, 200, answer.text);
  return browserOf(answer);
}

function printedCode(): string {
  return /presence#([a-z0-9]+)/.exec(t.world.terminal.at(-1) ?? '')?.[1] ?? '';
}

async function presenceOf(headers: Record<string, string>, as = starter): Promise<unknown> {
  return (await t.send(as, 'GET', '/api/v1/whoami', { headers })).json['presence'];
}

describe('the claim (DESIGN section 5)', () => {
  test('the code of the link makes its ambient caller the first admin, with presence, once', async () => {
    const code = await claimCode();
    assert.match(code, /^[0-9a-z]{32}$/);
    const answer = await t.send(starter, 'POST', '/api/v1/claim', { body: { code } });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(t.world.store.grants[0]?.principal, 'local:1000');
    assert.equal(t.world.store.grants[0]?.role, 'admin');
    assert.equal(await presenceOf(browserOf(answer)), 'claim');
    assert.equal(t.world.store.audit.at(-1)?.action, 'claim');
    const again = await t.send(other, 'POST', '/api/v1/claim', { body: { code } });
    assert.equal(again.json['code'], 'already_claimed');
    assert.equal(await t.api.offerClaim(), null);
  });

  test('the link names localhost and carries the code in its fragment only; the store keeps its hash only', async () => {
    const link = (await t.api.offerClaim())?.url.reveal() ?? '';
    assert.match(link, new RegExp(`^http://localhost:${t.port}/claim#[0-9a-z]{32}$`));
    assert.ok(
      ![...t.world.store.settings.values()].some((value) => value.includes(link.split('#')[1] ?? '-')),
    );
    assert.ok(!JSON.stringify(t.world.terminal).includes(link));
  });

  test('a wrong, an expired and a replaced code are refused', async () => {
    const first = await claimCode();
    const second = await claimCode();
    for (const code of ['0'.repeat(32), first]) {
      assert.equal(
        (await t.send(starter, 'POST', '/api/v1/claim', { body: { code } })).json['code'],
        'claim_refused',
      );
    }
    t.world.now += 61 * MINUTE;
    assert.equal(
      (await t.send(starter, 'POST', '/api/v1/claim', { body: { code: second } })).json['code'],
      'claim_refused',
    );
    assert.deepEqual(t.world.store.grants, []);
  });

  test('a used code stays used, also when the admin is gone', async () => {
    const code = await claimCode();
    await t.send(starter, 'POST', '/api/v1/claim', { body: { code } });
    t.world.store.grants.length = 0;
    assert.equal(
      (await t.send(other, 'POST', '/api/v1/claim', { body: { code } })).json['code'],
      'claim_refused',
    );
  });

  test('two callers with the same code at once make one admin', async () => {
    const code = await claimCode();
    const answers = await Promise.all(
      [starter, other].map((as) => t.send(as, 'POST', '/api/v1/claim', { body: { code } })),
    );
    assert.deepEqual(
      answers.map((answer) => answer.status).toSorted((a, b) => a - b),
      [200, 409],
    );
    assert.equal(t.world.store.grants.length, 1);
  });

  test('a token, a tagged device and a shared device claim nothing', async () => {
    const code = await claimCode();
    const device = { stableId: 'n1', name: 'box', addresses: [], tags: ['tag:ci'], shared: false };
    const refused = [
      tokenCaller('local:1000', ['use', 'read', 'admin']),
      caller('tailscale:nodeid:n1', { door: 'tailscaled', user: null, device }),
      caller('tailscale:userid:5', { door: 'tailscaled', device: { ...device, tags: [], shared: true } }),
    ];
    for (const as of refused) {
      assert.equal(
        (await t.send(as, 'POST', '/api/v1/claim', { body: { code } })).json['code'],
        'presence_refused',
      );
    }
  });

  test('no claim is offered or taken where the document names an admin', async () => {
    const code = await claimCode();
    t.world.namesAdmin = true;
    assert.equal(await t.api.offerClaim(), null);
    assert.equal(
      (await t.send(starter, 'POST', '/api/v1/claim', { body: { code } })).json['code'],
      'already_claimed',
    );
  });

  test('opening the link claims nothing: it is a page', async () => {
    const code = await claimCode();
    const page = await t.send(starter, 'GET', '/claim');
    assert.match(String(page.headers['content-type']), /text\/html/);
    assert.ok(!page.text.includes(code));
    assert.deepEqual(t.world.store.grants, []);
  });
});

describe('presence of a browser (DESIGN section 5)', () => {
  test('the cookie is HttpOnly, SameSite=Strict, host-only, for all paths, and Secure where the connection is', async () => {
    const code = await claimCode();
    const answer = await t.send(starter, 'POST', '/api/v1/claim', { body: { code } });
    const cookie = String(answer.headers['set-cookie']?.[0]);
    assert.match(cookie, /^postern_presence=[0-9a-z]{32}; Max-Age=600; Path=\/; HttpOnly; SameSite=Strict$/);
    await t.send(other, 'POST', '/api/v1/presence/requests', { body: { announce: true } });
    const encrypted = await t.send(other, 'POST', '/api/v1/presence/redeem', {
      body: { code: printedCode() },
      context: { secure: true, listener: 'tailnet' },
    });
    assert.match(String(encrypted.headers['set-cookie']?.[0]), /; Secure/);
  });

  test('the cookie alone is not enough: the half in the storage of the origin is needed too', async () => {
    const headers = await presentBrowser();
    assert.equal(await presenceOf(headers), 'link');
    assert.equal(await presenceOf({ cookie: headers['cookie'] ?? '' }), null);
    assert.equal(
      await presenceOf({ 'x-postern-presence-proof': headers['x-postern-presence-proof'] ?? '' }),
      null,
    );
    assert.equal(await presenceOf({ ...headers, 'x-postern-presence-proof': 'x' }), null);
    const asCommand = { 'x-postern-presence': (headers['cookie'] ?? '').split('=')[1] ?? '' };
    assert.equal(await presenceOf(asCommand), null);
  });

  test('it is bound to its principal and ends after ten minutes, or when it is ended', async () => {
    const headers = await presentBrowser();
    assert.equal(await presenceOf(headers, other), null);
    t.world.now += 10 * MINUTE - 1;
    assert.equal(await presenceOf(headers), 'link');
    t.world.now += 1;
    assert.equal(await presenceOf(headers), null);
    const again = await presentBrowser();
    assert.equal((await t.send(starter, 'DELETE', '/api/v1/presence')).status, 204);
    assert.equal(await presenceOf(again), null);
  });

  test('it lifts no token over its scope', async () => {
    const headers = await presentBrowser();
    const answer = await t.send(tokenCaller('local:1000', ['use', 'read']), 'POST', '/api/v1/tokens', {
      body: { name: 'x' },
      headers,
    });
    assert.equal(answer.json['code'], 'scope_missing');
  });

  test('over the network it needs HTTPS', async () => {
    const answer = await t.send(starter, 'POST', '/api/v1/presence/requests', {
      body: {},
      context: { listener: 'tailnet' },
    });
    assert.equal(answer.json['code'], 'presence_needs_https');
  });
});

describe('presence of a command line (INTERFACES, API)', () => {
  async function ask(as = starter): Promise<{ id: string; secret: string; answer: Answer }> {
    const answer = await t.send(as, 'POST', '/api/v1/presence/requests', {
      body: { client: 'postern login' },
    });
    assert.equal(answer.status, 201, answer.text);
    return { id: String(answer.json['id']), secret: String(answer.json['poll_secret']), answer };
  }
  const poll = (id: string, secret: string, as = starter): Promise<Answer> =>
    t.send(as, 'POST', `/api/v1/presence/requests/${id}/poll`, { body: { poll_secret: secret } });

  test('a browser with presence approves, the command collects once, and the token works for its principal only', async () => {
    const { id, secret, answer } = await ask();
    assert.equal(answer.json['url'], `http://localhost:${t.port}/presence?request=${id}`);
    assert.equal((await poll(id, secret)).json['state'], 'pending');
    const shown = await t.send(starter, 'GET', `/api/v1/presence/requests/${id}`);
    assert.equal(shown.json['user_code'], answer.json['user_code']);
    assert.equal(shown.json['approved'], false);
    const approve = `/api/v1/presence/requests/${id}/approve`;
    assert.equal((await t.send(starter, 'POST', approve, { body: {} })).json['code'], 'presence_required');
    t.world.now += 5_000;
    const headers = await presentBrowser();
    assert.equal((await t.send(starter, 'POST', approve, { body: {}, headers })).status, 204);
    const approved = await t.send(starter, 'GET', `/api/v1/presence/requests/${id}`);
    assert.equal(approved.json['approved'], true);
    const collected = await poll(id, secret);
    assert.equal(collected.json['state'], 'approved');
    const token = { 'x-postern-presence': String(collected.json['token']) };
    assert.equal(await presenceOf(token), 'link');
    assert.equal(await presenceOf(token, other), null);
    assert.equal((await poll(id, secret)).status, 404);
  });

  test('what is approved ends with the presence that approved it: presence cannot prolong itself', async () => {
    const headers = await presentBrowser();
    t.world.now += 9 * MINUTE;
    const { id, secret } = await ask();
    await t.send(starter, 'POST', `/api/v1/presence/requests/${id}/approve`, { body: {}, headers });
    const token = { 'x-postern-presence': String((await poll(id, secret)).json['token']) };
    assert.equal(await presenceOf(token), 'link');
    t.world.now += MINUTE;
    assert.equal(await presenceOf(token), null);
  });

  test('the code of the terminal confirms; wrong codes and secrets, other principals and late ones are refused', async () => {
    const { id, secret } = await ask();
    const code = printedCode();
    const confirm = (value: string, as = starter): Promise<Answer> =>
      t.send(as, 'POST', `/api/v1/presence/requests/${id}/confirm`, { body: { code: value } });
    assert.equal((await confirm('0'.repeat(32))).json['code'], 'presence_refused');
    assert.equal((await confirm(code, other)).json['code'], 'not_found');
    assert.equal(
      (await t.send(other, 'POST', '/api/v1/presence/redeem', { body: { code } })).json['code'],
      'presence_refused',
    );
    assert.equal((await confirm(code)).status, 204);
    assert.equal((await poll(id, 'wrong-secret')).json['code'], 'presence_refused');
    assert.equal((await poll(id, secret, other)).json['code'], 'not_found');
    assert.equal((await poll(id, secret)).json['state'], 'approved');
    t.world.now += MINUTE;
    const late = await ask();
    const lateCode = printedCode();
    t.world.now += 5 * MINUTE;
    assert.equal(
      (await t.send(starter, 'POST', '/api/v1/presence/redeem', { body: { code: lateCode } })).json['code'],
      'presence_refused',
    );
    assert.equal((await poll(late.id, late.secret)).status, 404);
  });

  test('the code of an earlier request confirms a later one of the same principal, once', async () => {
    await ask();
    const code = printedCode();
    const second = await ask();
    assert.equal(
      (await t.send(starter, 'POST', `/api/v1/presence/requests/${second.id}/confirm`, { body: { code } }))
        .status,
      204,
    );
    assert.equal((await poll(second.id, second.secret)).json['state'], 'approved');
    assert.equal((await t.send(starter, 'POST', '/api/v1/presence/redeem', { body: { code } })).status, 403);
  });

  test('a caller floods neither the memory nor the terminal', async () => {
    for (let i = 0; i < 4; i += 1) await ask();
    const fifth = await t.send(starter, 'POST', '/api/v1/presence/requests', { body: {} });
    assert.equal(fifth.status, 429);
    assert.equal(t.world.terminal.length, 1);
  });

  test('what is printed on the terminal holds no control characters of strangers', async () => {
    const odd = caller('local:1000', { user: { id: 'x', login: 'eve\u001b[2J\u202e\n', displayName: null } });
    await ask(odd);
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    assert.doesNotMatch(t.world.terminal[0] ?? '', /[\u0000-\u001f\u007f-\u009f\u202e]/);
    const bad = await t.send(starter, 'POST', '/api/v1/presence/requests', {
      body: { client: 'a\u001b[31m' },
    });
    assert.equal(bad.status, 400);
  });
});

describe('passkeys (Web Authentication Level 3)', () => {
  const origin = (): string => `http://localhost:${t.port}`;

  async function register(): Promise<Awaited<ReturnType<typeof createTestAuthenticator>>> {
    const headers = await presentBrowser();
    const authenticator = await createTestAuthenticator();
    const options = await t.send(starter, 'POST', '/api/v1/presence/passkeys/options', { body: {}, headers });
    assert.equal(options.status, 200, options.text);
    const response = await authenticator.register(options.json, origin());
    const added = await t.send(starter, 'POST', '/api/v1/presence/passkeys', {
      body: { name: 'laptop', response },
      headers,
    });
    assert.equal(added.status, 201, added.text);
    return authenticator;
  }
  const begin = (as = starter): Promise<Answer> =>
    t.send(as, 'POST', '/api/v1/presence/assertion/options', { body: {} });
  const finish = (response: unknown, as = starter): Promise<Answer> =>
    t.send(as, 'POST', '/api/v1/presence/assertion', { body: { response } });

  test('a registered passkey shows presence', async () => {
    const passkey = await register();
    assert.match(t.world.terminal.at(-1) ?? '', /a passkey was added for user-1000/);
    const answer = await finish(await passkey.assert((await begin()).json, origin()));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(await presenceOf(browserOf(answer)), 'passkey');
    assert.equal(t.world.store.audit.at(-1)?.presence, 'passkey');
  });

  test('a passkey made for another origin is not registered', async () => {
    const headers = await presentBrowser();
    const authenticator = await createTestAuthenticator();
    const options = await t.send(starter, 'POST', '/api/v1/presence/passkeys/options', { body: {}, headers });
    const response = await authenticator.register(options.json, 'http://localhost:1');
    const added = await t.send(starter, 'POST', '/api/v1/presence/passkeys', { body: { response }, headers });
    assert.equal(added.json['code'], 'presence_refused');
    assert.deepEqual(t.world.store.passkeys, []);
  });

  test('a challenge is answered once, however fresh the second answer', async () => {
    const passkey = await register();
    const options = (await begin()).json;
    assert.equal((await finish(await passkey.assert(options, origin()))).status, 200);
    assert.equal((await finish(await passkey.assert(options, origin()))).json['code'], 'presence_refused');
  });

  test('registering needs presence', async () => {
    assert.equal(
      (await t.send(starter, 'POST', '/api/v1/presence/passkeys/options', { body: {} })).json['code'],
      'presence_required',
    );
  });

  test('a replayed answer, another origin, another principal, a late and an unasked answer are refused', async () => {
    const passkey = await register();
    const good = await passkey.assert((await begin()).json, origin());
    assert.equal((await finish(good)).status, 200);
    assert.equal((await finish(good)).json['code'], 'presence_refused');
    const foreign = await passkey.assert((await begin()).json, 'http://localhost:1');
    assert.equal((await finish(foreign)).json['code'], 'presence_refused');
    assert.equal((await begin(other)).json['code'], 'not_found');
    const mine = await passkey.assert((await begin()).json, origin());
    assert.equal((await finish(mine, other)).json['code'], 'presence_refused');
    t.world.now += 2 * MINUTE;
    assert.equal((await finish(mine)).json['code'], 'presence_refused');
  });

  test('odd answers are refused and never a fault', async () => {
    const passkey = await register();
    for (const response of [
      { id: passkey.id },
      {
        id: passkey.id,
        rawId: 7,
        type: 'public-key',
        response: { clientDataJSON: '\u0000', authenticatorData: 'AA' },
      },
      { id: '__proto__', response: null },
    ]) {
      await begin();
      assert.equal((await finish(response)).json['code'], 'presence_refused', JSON.stringify(response));
    }
  });

  test('passkeys need a name, not an address', async () => {
    await register();
    const answer = await t.send(starter, 'POST', '/api/v1/presence/assertion/options', {
      body: {},
      headers: { host: `127.0.0.1:${t.port}` },
    });
    assert.equal(answer.json['code'], 'presence_refused');
    assert.match(String(answer.json['detail']), /localhost/);
  });
});
