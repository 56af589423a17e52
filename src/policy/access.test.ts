import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../identity/caller.ts';
import { compilePolicy } from './compile-policy.ts';
import { parseGatewayDocument } from './parse-document.ts';
import type { FoundProviderView, StoredGrantView } from './ports.ts';
import type { PolicySnapshot } from './snapshot.ts';
import { byToken, localCaller, taggedCaller, tailnetCaller } from './test-callers.ts';

const OPENAI: FoundProviderView = {
  id: 'openai',
  name: 'OpenAI',
  baseUrl: 'https://api.openai.com',
  header: 'bearer',
  compatibility: ['openai_chat', 'openai_responses'],
  costBasis: 'openai',
  models: ['gpt-*'],
};
const CAP = 'postern.dev/cap/gateway';

function policy(document: object, storedGrants: readonly StoredGrantView[] = []): PolicySnapshot {
  const parsed = parseGatewayDocument(JSON.stringify(document), { source: 'api', found: [OPENAI] });
  assert.deepEqual(
    parsed.problems.filter((one) => one.severity === 'error'),
    [],
  );
  return compilePolicy({
    document: parsed.document,
    found: [OPENAI],
    storedGrants,
    tailnet: 'test',
    version: 'v1',
  });
}
function grants(...all: readonly (readonly [src: readonly string[], ...capabilities: object[]])[]): object {
  return { grants: all.map(([src, ...capabilities]) => ({ src, app: { [CAP]: capabilities } })) };
}
const may = (snapshot: PolicySnapshot, caller: Caller, model = 'gpt-5'): boolean =>
  snapshot.accessOf(caller).grant('openai', model) !== null;
const USER = [{ role: 'user' }, { models: '**' }] as const;

test('access: without a grant nobody has anything (DESIGN section 6, deny by default)', () => {
  const snapshot = policy({});
  for (const caller of [tailnetCaller('alice'), localCaller(), taggedCaller('tag:ci')]) {
    const access = snapshot.accessOf(caller);
    assert.equal(access.roles.size, 0);
    assert.equal(access.grant('openai', 'gpt-5'), null);
    assert.equal(access.grant('postern', 'echo'), null);
    assert.equal(access.readMetrics || access.readPricing, false);
  }
});

test('access: whom each form of src means', () => {
  const alice = tailnetCaller('alice@example.com', { groups: ['group:eng', 'scim@example.com'] });
  const local = localCaller(1000, 'alice');
  const ci = taggedCaller('tag:ci', 'tag:prod');
  const foreign = tailnetCaller('eve', { door: 'token', principal: 'jwt:https://idp:1', device: null });
  const shared = tailnetCaller('proxy', {
    device: { stableId: 'n', name: 'n', addresses: [], tags: ['tag:ci'], shared: true },
  });
  const everyone = {
    alice,
    local,
    ci,
    foreign,
    shared,
    aliceToken: byToken(alice, {}),
    localToken: byToken(local, {}),
  };
  const table: Readonly<Record<string, readonly (keyof typeof everyone)[]>> = {
    '*': ['alice', 'ci', 'aliceToken'],
    '(loopback)': ['local', 'localToken'],
    'alice@example.com': ['alice', 'aliceToken'],
    alice: ['local', 'localToken'],
    'group:eng': ['alice', 'aliceToken'],
    'scim@example.com': ['alice', 'aliceToken'],
    'group:none': [],
    'tag:ci': ['ci'],
    'tag:other': [],
    'tag:ci,tag:prod': ['ci'],
    'tag:prod,tag:ci': ['ci'],
    'tag:ci,tag:other': [],
    'local:1000': ['local', 'localToken'],
    'local:1001': [],
    'tailscale:userid:alice@example.com': ['alice', 'aliceToken'],
    'jwt:https://idp:1': ['foreign'],
    'ALICE@example.com': [],
  };
  for (const [source, expected] of Object.entries(table)) {
    const snapshot = policy(grants([[source], ...USER]));
    const matched = Object.entries(everyone)
      .filter(([, caller]) => may(snapshot, caller))
      .map(([name]) => name);
    assert.deepEqual(matched, expected, source);
  }
});

test('access: a set of tags is matched as a set: one tag more is another set', () => {
  const snapshot = policy(grants([['tag:a,tag:b'], ...USER]));
  assert.equal(may(snapshot, taggedCaller('tag:b', 'tag:a')), true);
  assert.equal(may(snapshot, taggedCaller('tag:a', 'tag:b', 'tag:c')), false);
  assert.equal(may(snapshot, taggedCaller('tag:a')), false);
});

test("access: the document's groups hold logins, principals and tags", () => {
  const snapshot = policy({
    groups: { 'group:x': ['alice', 'tag:ci', 'local:7'] },
    ...grants([['group:x'], ...USER]),
  });
  assert.equal(may(snapshot, tailnetCaller('alice')), true);
  assert.equal(may(snapshot, taggedCaller('tag:ci')), true);
  assert.equal(may(snapshot, localCaller(7, 'bob')), true);
  assert.equal(may(snapshot, tailnetCaller('bob')), false);
  assert.deepEqual(snapshot.accessOf(tailnetCaller('alice')).groups, ['group:x']);
});

test('access: models without a role open nothing, and that is visible', () => {
  const access = policy(grants([['*'], { models: '**' }])).accessOf(tailnetCaller('alice'));
  assert.equal(access.grant('openai', 'gpt-5'), null);
  assert.equal(access.noRole, true);
});

test('access: a role without models opens no model', () => {
  const snapshot = policy(grants([['*'], { role: 'admin' }]));
  assert.equal(may(snapshot, tailnetCaller('alice')), false);
  assert.equal(snapshot.accessOf(tailnetCaller('alice')).roles.has('admin'), true);
});

test('access: "(loopback)" and OS names never make an admin; the exact principal and a stored grant do (DESIGN section 5)', () => {
  const roles = (
    document: object,
    stored: readonly StoredGrantView[] = [],
    caller = localCaller(),
  ): string[] => [...policy(document, stored).accessOf(caller).roles];
  assert.deepEqual(roles(grants([['(loopback)'], { role: 'admin' }])), []);
  assert.deepEqual(roles(grants([['alice'], { role: 'admin' }])), []);
  assert.deepEqual(
    roles({ groups: { 'group:a': ['local:1000'] }, ...grants([['group:a'], { role: 'admin' }]) }),
    [],
  );
  assert.deepEqual(roles(grants([['local:1000'], { role: 'admin' }])), ['admin']);
  assert.deepEqual(roles({}, [{ principal: 'local:1000', role: 'admin', models: [] }]), ['admin']);
  assert.deepEqual(
    roles(grants([['(loopback)'], { role: 'admin' }]), [], byToken(localCaller(), { scopes: ['admin'] })),
    [],
  );
  assert.deepEqual(roles(grants([['(loopback)'], { role: 'user' }])), ['user']);
});

test('access: a stored grant is for its principal only', () => {
  const snapshot = policy({}, [{ principal: 'local:1000', role: 'user', models: ['**'] }]);
  assert.equal(may(snapshot, localCaller(1000)), true);
  assert.equal(may(snapshot, localCaller(1001)), false);
  assert.equal(
    snapshot.accessOf(localCaller(1000)).grant('openai', 'gpt-5')?.rule,
    'stored[local:1000:user]',
  );
});

test('access: capabilities that the network carried count like local grants, under both names', () => {
  for (const name of [CAP, 'tailscale.com/cap/aperture']) {
    const caller = tailnetCaller('alice', {
      capabilities: new Map([[name, [{ role: 'user' }, { models: 'openai/gpt-5' }]]]),
    });
    assert.equal(may(policy({}), caller), true);
    assert.equal(may(policy({}), caller, 'gpt-6'), false);
    assert.equal(policy({}).accessOf(caller).grant('openai', 'gpt-5')?.rule, `network["${name}"][1]`);
  }
});

test('access: what the network carried makes no admin of the local door', () => {
  const capabilities = new Map([[CAP, [{ role: 'admin' }, { role: 'user' }]]]);
  assert.deepEqual([...policy({}).accessOf({ ...localCaller(), capabilities }).roles], ['user']);
  assert.deepEqual([...policy({}).accessOf(tailnetCaller('a', { capabilities })).roles], ['admin', 'user']);
});

test('access: what the network carried in error opens nothing and breaks nothing', () => {
  const cycle: Record<string, unknown> = { role: 'user' };
  cycle['self'] = cycle;
  const bad = [
    cycle,
    1n,
    undefined,
    null,
    'x',
    [],
    { role: 'user', only: 'x' },
    { models: 7 },
    { role: 'user', quotas: [{ bucket: 'q' }] },
    'y'.repeat(100_000),
  ];
  const caller = tailnetCaller('alice', { capabilities: new Map([[CAP, bad]]) });
  assert.equal(policy({}).accessOf(caller).roles.size, 0);
});

test('access: a shared device without a token is nobody, whatever grants say', () => {
  const device = { stableId: 'n', name: 'router', addresses: [], tags: ['tag:ci'], shared: true };
  const shared = tailnetCaller('x', {
    device,
    groups: ['group:a'],
    capabilities: new Map([[CAP, [...USER]]]),
  });
  const snapshot = policy(grants([['*', 'tag:ci', 'group:a', shared.principal], ...USER]));
  assert.equal(snapshot.accessOf(shared).roles.size, 0);
  assert.equal(
    may(snapshot, {
      ...shared,
      door: 'token',
      token: { id: 't', scopes: ['use'], models: null, expiresAt: null },
    }),
    true,
  );
});

test('access: deny outweighs every grant, for whom and what it names', () => {
  const snapshot = policy({
    ...grants([['*'], ...USER]),
    deny: [{ src: ['alice'], models: ['openai/gpt-5*'] }],
  });
  assert.equal(may(snapshot, tailnetCaller('alice'), 'gpt-5-mini'), false);
  assert.equal(may(snapshot, tailnetCaller('alice'), 'gpt-4'), true);
  assert.equal(may(snapshot, tailnetCaller('bob'), 'gpt-5-mini'), true);
});

test('access: of several grants the most private capture holds, floating ones included', () => {
  const capture = (...capabilities: object[]): string | undefined =>
    policy(grants([['*'], ...USER, ...capabilities]))
      .accessOf(tailnetCaller('a'))
      .grant('openai', 'gpt-5')?.capture;
  assert.equal(capture(), 'full');
  assert.equal(capture({ capture: 'metadata' }), 'metadata');
  assert.equal(
    capture({ capture: 'full' }, { models: 'openai/*', capture: 'none' }, { capture: 'metadata' }),
    'none',
  );
  assert.equal(capture({ models: 'anthropic/*', capture: 'none' }), 'full');
  assert.equal(capture({ capture: 'redacted' }), 'metadata');
});

test('access: retention "0" keeps no bodies at all', () => {
  const document = { ...grants([['*'], ...USER]), database: { retention: { duration: '0' } } };
  assert.equal(policy(document).accessOf(tailnetCaller('a')).grant('openai', 'gpt-5')?.capture, 'metadata');
});

test('access: headers and buckets of all matching grants add up', () => {
  const document = {
    quotas: { q: { capacity: '$1' } },
    ...grants([
      ['*'],
      { role: 'user' },
      { models: '**', add_headers: ['X-A: 1'] },
      { add_headers: ['x-b: 2'], quotas: [{ bucket: 'q' }] },
      { models: 'anthropic/*', add_headers: ['x-c: 3'] },
    ]),
  };
  const grant = policy(document).accessOf(tailnetCaller('a')).grant('openai', 'gpt-5');
  assert.deepEqual(grant?.addHeaders, [
    ['x-a', '1'],
    ['x-b', '2'],
  ]);
  assert.deepEqual(
    grant?.governance?.buckets.map(({ name }) => name),
    ['q'],
  );
});

test('access: a token narrows its owner and never widens (DESIGN section 5)', () => {
  const owner = tailnetCaller('alice');
  const snapshot = policy(
    grants([
      ['*'],
      { role: 'user' },
      { role: 'admin' },
      { role: 'auditor' },
      { models: 'openai/*', read_metrics: true },
    ]),
  );
  assert.equal(may(snapshot, byToken(owner, {})), true);
  assert.equal(may(snapshot, byToken(owner, { scopes: ['read'] })), false);
  assert.equal(may(snapshot, byToken(owner, { models: ['openai/gpt-5'] })), true);
  assert.equal(may(snapshot, byToken(owner, { models: ['openai/gpt-4'] })), false);
  assert.equal(may(snapshot, byToken(owner, { models: [] })), false);
  const roles = (...scopes: ('use' | 'read' | 'admin' | 'metrics')[]): string[] =>
    [...snapshot.accessOf(byToken(owner, { scopes })).roles].sort();
  assert.deepEqual(roles('use'), ['user']);
  assert.deepEqual(roles('read'), ['auditor', 'user']);
  assert.deepEqual(roles('admin'), ['admin', 'auditor', 'user']);
  assert.equal(snapshot.accessOf(byToken(owner, { scopes: ['use'] })).readMetrics, false);
  assert.equal(snapshot.accessOf(byToken(owner, { scopes: ['metrics'] })).readMetrics, true);
  const poor = policy(grants([['*'], ...USER]));
  assert.equal(
    poor.accessOf(byToken(owner, { scopes: ['metrics', 'admin'], models: ['**'] })).readMetrics,
    false,
  );
  assert.equal(poor.accessOf(byToken(owner, { scopes: ['admin'] })).roles.has('admin'), false);
});

test('access: leads count only with the role', () => {
  const leads = (...capabilities: object[]): readonly string[] =>
    policy(grants([['*'], ...capabilities])).accessOf(tailnetCaller('a')).leads;
  assert.deepEqual(leads({ role: 'lead', leads: ['group:a'] }), ['group:a']);
  assert.deepEqual(leads({ leads: ['group:a'] }), []);
});

test('access: pricing needs its capability, being an admin is not enough (Aperture section 3)', () => {
  assert.equal(policy(grants([['*'], { role: 'admin' }])).accessOf(tailnetCaller('a')).readPricing, false);
  assert.equal(
    policy(grants([['*'], { role: 'user' }, { read_pricing: true }])).accessOf(tailnetCaller('a'))
      .readPricing,
    true,
  );
});

test('access: a disabled provider is granted to nobody', () => {
  const document = { providers: { openai: { disabled: true } }, ...grants([['*'], ...USER]) };
  assert.equal(may(policy(document), tailnetCaller('a')), false);
});

test('access: the same caller object gets the same answer object, and memory stays bounded', () => {
  const snapshot = policy(grants([['*'], ...USER]));
  const caller = tailnetCaller('a');
  assert.equal(snapshot.accessOf(caller), snapshot.accessOf(caller));
  const access = snapshot.accessOf(caller);
  assert.equal(access.grant('openai', 'gpt-5'), access.grant('openai', 'gpt-5'));
  for (let i = 0; i < 10_000; i += 1) assert.notEqual(access.grant('openai', `gpt-${i}`), null);
});
