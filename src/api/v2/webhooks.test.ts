/** Webhooks, the log of changes, changes of OAuth clients, and what goes beyond Tailscale's API v2. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setUp } from './v2-bed.fixture.ts';

const HOOK = { endpointUrl: 'https://chat.example.com/secret-path', subscriptions: ['nodeCreated'] };

test('a webhook is made, read, changed, rotated, tried and removed; its secret is told twice, its path never logged', async (t) => {
  const { ask, client, home, bed, audit } = await setUp(t);
  const { token } = await client(home, ['webhooks']);
  const sent: string[] = [];
  bed.admin.webhooks.open((webhook, secret, { type }) => {
    sent.push(`${webhook.id} ${secret.reveal()} ${type}`);
  });
  const made = (await ask(token, 'POST /tailnet/-/webhooks', { body: { ...HOOK, providerType: '' } })).json;
  assert.match(made.secret, /^pstw_/);
  const id = String(made.endpointId);
  const { secret: first, ...shown } = made;
  assert.deepEqual((await ask(token, `GET /webhooks/${id}`)).json, shown);
  assert.deepEqual((await ask(token, 'GET /tailnet/-/webhooks')).json, { webhooks: [shown] });
  const changed = await ask(token, `PATCH /webhooks/${id}`, { body: { subscriptions: ['policyUpdate'] } });
  assert.deepEqual([changed.json.subscriptions, changed.json.secret], [['policyUpdate'], undefined]);
  const { secret } = (await ask(token, `POST /webhooks/${id}/rotate`)).json;
  assert.notEqual(secret, first);
  assert.equal((await ask(token, `POST /webhooks/${id}/test`)).status, 202);
  assert.deepEqual(sent, [`${id} ${secret} test`]);
  assert.equal((await ask(token, `DELETE /webhooks/${id}`)).status, 200);
  assert.equal((await ask(token, `GET /webhooks/${id}`)).status, 404);
  assert.deepEqual(
    audit.map(({ action }) => action),
    ['create', 'change', 'rotate', 'remove'].map((what) => `tailnet.webhook.${what}`),
  );
  assert.doesNotMatch(JSON.stringify(audit), /secret-path|pstw_/);
});

test('webhooks of another tailnet are 404, and what is malformed 400', async (t) => {
  const { ask, client, home, other, audit } = await setUp(t);
  const [own, foreign] = [await client(home, ['all']), await client(other, ['all'])];
  const { endpointId } = (await ask(own.token, 'POST /tailnet/-/webhooks', { body: HOOK })).json;
  for (const line of ['GET ', 'PATCH ', 'DELETE ', 'POST /rotate', 'POST /test']) {
    const [method = '', rest = ''] = line.split(' ');
    const body = method === 'GET' ? undefined : { subscriptions: ['nodeCreated'] };
    const answer = await ask(foreign.token, `${method} /webhooks/${endpointId}${rest}`, { body });
    assert.equal(answer.status, 404, line);
  }
  const logged = audit.length;
  for (const body of [
    {},
    { ...HOOK, providerType: 'telex' },
    { ...HOOK, subscriptions: 'nodeCreated' },
    { ...HOOK, endpointUrl: 7 },
  ])
    assert.equal((await ask(own.token, 'POST /tailnet/-/webhooks', { body })).status, 400);
  assert.equal(audit.length, logged);
  for (const body of [
    { ...HOOK, endpointUrl: 'file:///etc/passwd' },
    { ...HOOK, subscriptions: null },
  ])
    assert.equal((await ask(own.token, 'POST /tailnet/-/webhooks', { body })).status, 400);
});

test('the log of changes has those of one tailnet between two times, and none of an earlier one of its name', async (t) => {
  const { ask, client, home, other, bed, pass } = await setUp(t);
  const [own, foreign] = [await client(home, ['all']), await client(other, ['all'])];
  const span = 'start=2020-01-01T00:00:00Z&end=2040-01-01T00:00:00Z';
  const logOf = async (token: string, tailnet = '-', query = span) =>
    ask(token, `GET /tailnet/${tailnet}/logging/configuration?${query}`);
  await ask(own.token, 'POST /tailnet/-/dns/preferences', { body: { magicDNS: false } });
  pass(1000);
  await ask(foreign.token, 'POST /tailnet/-/dns/preferences', { body: { magicDNS: false } });
  const { json } = await logOf(foreign.token);
  assert.equal(json.tailnet, other.domain);
  const [entry, ...more] = json.logs;
  assert.equal(more.length, 0);
  assert.deepEqual(
    [entry.action, entry.type, entry.origin, entry.actor.id, entry.target.name],
    ['tailnet.change', 'CONFIG', 'CONFIG_API', `oauth-client:${foreign.id}`, 'other'],
  );
  assert.equal((await logOf(foreign.token, home.id)).status, 404);
  for (const query of ['', 'start=2020-01-01T00:00:00Z', 'start=x&end=y', 'start=2041-01-01&end=2040-01-01'])
    assert.equal((await logOf(own.token, '-', query)).status, 400, query);
  await bed.admin.deleteTailnet(other);
  bed.pass(10_000);
  const again = await bed.admin.createTailnet({ name: 'other', kind: 'machines' });
  const next = await client(again, ['all']);
  assert.deepEqual((await logOf(next.token)).json.logs, []);
});

test('an OAuth client is changed by one that may as much, and its tokens with it', async (t) => {
  const { ask, client, home, bed } = await setUp(t);
  const own = await client(home, ['all'], ['tag:a']);
  const wide = await client(home, ['dns', 'policy_file'], ['tag:a']);
  const narrow = await client(home, ['oauth_keys', 'dns'], ['tag:a']);
  const put = (token: string, id: string, body: object) => ask(token, `PUT /tailnet/-/keys/${id}`, { body });
  const asked = { keyType: 'client', description: 'dns only', scopes: ['dns:read'], tags: ['tag:a'] };
  assert.equal((await put(narrow.token, wide.id, asked)).status, 400, 'it would take what it does not have');
  assert.equal((await put(own.token, wide.id, { ...asked, scopes: ['no:such'] })).status, 400);
  assert.equal((await put(own.token, wide.id, { ...asked, scopes: null })).status, 400);
  assert.equal((await put(narrow.token, narrow.id, { ...asked, tags: ['tag:b'] })).status, 400);
  assert.equal((await put(own.token, 'oc_none', asked)).status, 404);
  assert.equal(
    (await ask(wide.token, 'POST /tailnet/-/dns/preferences', { body: { magicDNS: false } })).status,
    200,
  );
  const changed = await put(own.token, wide.id, asked);
  assert.deepEqual([changed.json.scopes, changed.json.description], [['dns:read'], 'dns only']);
  assert.equal(
    (await ask(wide.token, 'GET /tailnet/-/dns/preferences')).status,
    403,
    'its token had dns, no more',
  );
  assert.equal(bed.admin.clients.get(home.id, wide.id)?.description, 'dns only');
});

test('a narrow client of the gateway’s tailnet stays in it; only one for everything reaches the others', async (t) => {
  const { ask, client, home, other, bed } = await setUp(t);
  const narrow = await client(home, ['devices:core', 'webhooks', 'tailnets:read']);
  assert.equal((await ask(narrow.token, `GET /tailnet/${other.id}/devices`)).status, 404);
  assert.equal((await ask(narrow.token, `GET /tailnet/${other.id}/webhooks`)).status, 404);
  assert.equal((await ask(narrow.token, 'GET /organizations/-/tailnets')).status, 200);
  const whole = await client(home, ['all']);
  assert.equal((await ask(whole.token, `GET /tailnet/${other.id}/webhooks`)).status, 200);
  const child = await client(other, ['all']);
  await bed.admin.deleteTailnet(home);
  assert.equal((await ask(child.token, 'GET /organizations/-/tailnets')).status, 403, 'nobody moves up');
});

test('a POST with the Idempotency-Key of before is made once: same answer for the same asker, 422 for another body', async (t) => {
  const { ask, client, home, other } = await setUp(t);
  const [own, foreign] = [await client(home, ['all']), await client(other, ['all'])];
  const post = (token: string, key: string, body: object = HOOK) =>
    ask(token, 'POST /tailnet/-/webhooks', { body, headers: { 'idempotency-key': key } });
  const count = async (): Promise<number> =>
    (await ask(own.token, 'GET /tailnet/-/webhooks')).json.webhooks.length;
  const [first, second] = await Promise.all([post(own.token, 'a'), post(own.token, 'a')]);
  assert.deepEqual(second.json, first.json);
  assert.equal(await count(), 1);
  assert.equal((await post(own.token, 'a', { ...HOOK, subscriptions: ['nodeDeleted'] })).status, 422);
  assert.notEqual((await post(foreign.token, 'a')).json.endpointId, first.json.endpointId);
  assert.equal((await post(own.token, 'b', { ...HOOK, endpointUrl: 'ftp://x' })).status, 400);
  assert.equal((await post(own.token, 'b')).status, 200, 'a refusal is not kept');
  assert.equal((await post(own.token, 'x'.repeat(256))).status, 400);
  assert.equal(await count(), 2);
  const another = await client(home, ['all']);
  assert.equal((await post(another.token, 'a')).status, 200, 'another client is another asker');
  assert.equal(await count(), 3);
});

test('a tailnet with a ttl says when it ends, and is gone then with its client; without one it stays', async (t) => {
  const { ask, bed, client, home } = await setUp(t);
  const { token } = await client(home, ['all']);
  const make = (body: object) => ask(token, 'POST /organizations/-/tailnets', { body });
  assert.equal((await make({ displayName: 'brief', ttl: 59 })).status, 400);
  const brief = (await make({ displayName: 'brief', ttl: 60 })).json;
  const lasting = (await make({ displayName: 'lasting' })).json;
  assert.equal(Date.parse(brief.expiresAt) - Date.parse(brief.createdAt), 60_000);
  assert.equal(lasting.expiresAt, undefined);
  bed.pass(59_000);
  assert.equal(bed.admin.tailnet('brief').id, brief.id);
  bed.pass(1000);
  assert.throws(() => bed.admin.tailnet('brief'), /no such tailnet/);
  assert.equal(bed.admin.clients.find(brief.oauthClient.secret), null);
  await bed.coordinator.ledger.durable();
  assert.equal((await bed.reopen()).admin.tailnets().length, 3);
});

test('a credential is told what it may, and nothing of others', async (t) => {
  const { ask, client, home, other } = await setUp(t);
  const shown = async (token: string) => (await ask(token, 'GET /credential')).json;
  const narrow = await client(other, ['devices:core:read'], ['tag:ci']);
  assert.deepEqual(await shown(narrow.token), {
    principal: `oauth-client:${narrow.id}`,
    tailnet: { id: other.id, dnsName: other.domain },
    scopes: ['devices:core:read'],
    tags: ['tag:ci'],
    mayCreateTailnets: false,
    reachesAllTailnets: false,
  });
  const maker = await shown((await client(home, ['tailnets'])).token);
  assert.deepEqual([maker.mayCreateTailnets, maker.reachesAllTailnets], [true, false]);
  const whole = await shown('pst_admin');
  assert.deepEqual([whole.mayCreateTailnets, whole.reachesAllTailnets, whole.tags], [true, true, null]);
  assert.equal((await ask(null, 'GET /credential')).status, 401);
});
