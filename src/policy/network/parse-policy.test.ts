import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { compileNetworkPolicy } from './compiled-network.ts';
import { DEFAULT_NETWORK_POLICY, NETWORK_POLICY_MAX_LENGTH, parseNetworkPolicy } from './parse-policy.ts';
import { runNetworkTests } from './run-tests.ts';
import { DEVICES, NAMES, PEOPLE } from './test-network.ts';

function faultsOf(sections: object): readonly string[] {
  return parseNetworkPolicy(JSON.stringify({ ...NAMES, ...sections }))
    .problems.filter(({ severity }) => severity === 'error')
    .map(({ path, message, fix }) => `${path}: ${message} (${fix})`);
}

test('the policy of a new tailnet has no fault and lets every device reach every other', () => {
  const { policy, problems } = parseNetworkPolicy(DEFAULT_NETWORK_POLICY);
  assert.deepEqual(problems, []);
  assert.ok(policy !== null);
  const compiled = compileNetworkPolicy(policy, { users: PEOPLE, nodes: DEVICES });
  for (const { id } of DEVICES) assert.equal(compiled.peersOf(id).size, DEVICES.length - 1);
  assert.equal(compiled.sshPolicyOf(1), null, 'and nobody logs in by SSH');
});

test('an unknown key is an error with line, column and the nearest known name', () => {
  const { policy, problems } = parseNetworkPolicy('{\n  "grants": [],\n  "grousp": {},\n}');
  assert.equal(policy, null);
  assert.deepEqual(problems, [
    {
      severity: 'error',
      path: 'grousp',
      line: 3,
      column: 13,
      code: 'unknown_key',
      message: '"grousp" is not a key of a network policy',
      fix: 'did you mean "groups"?',
    },
  ]);
});

test('keys of older files are read: ACLs, Groups, users and ports', () => {
  const text = `{
    "Groups": { "group:a": ["Alice@Example.com"] }, // case of a login does not matter
    "ACLs": [{ "Action": "accept", "Users": ["group:a"], "Ports": ["*:22"], "#note": "kept for us" }],
  }`;
  const { policy, problems } = parseNetworkPolicy(text);
  assert.deepEqual(problems, []);
  assert.equal(policy?.rules?.length, 1);
  assert.deepEqual([...(policy?.groups.get('group:a') ?? [])], ['alice@example.com']);
});

test('a file without grants and acls allows everything, as at Tailscale, and warns of it', () => {
  const { policy, problems } = parseNetworkPolicy('{}');
  assert.equal(policy?.rules, null);
  assert.deepEqual(
    problems.map(({ severity, code }) => [severity, code]),
    [['warning', 'grants_missing']],
  );
  assert.deepEqual(parseNetworkPolicy('{"acls": []}').policy?.rules, [], 'an empty list allows nothing');
});

const REFUSED: readonly (readonly [what: string, sections: object, expected: RegExp])[] = [
  [
    'an undefined group',
    { grants: [{ src: ['group:x'], dst: ['*'], ip: ['*'] }] },
    /grants\[0\]\.src\[0\]: "group:x" is not defined/,
  ],
  [
    'an undefined tag',
    { grants: [{ src: ['*'], dst: ['tag:serve'], ip: ['*'] }] },
    /"tag:serve" is not defined \(did you mean "tag:server"\?/,
  ],
  [
    'an undefined host',
    { acls: [{ action: 'accept', src: ['*'], dst: ['offce:22'] }] },
    /"offce" is not defined \(did you mean "office"/,
  ],
  ['an undefined set', { grants: [{ src: ['ipset:x'], dst: ['*'], ip: ['*'] }] }, /"ipset:x" is not defined/],
  [
    'an unknown autogroup',
    { grants: [{ src: ['autogroup:members'], dst: ['*'], ip: ['*'] }] },
    /did you mean "autogroup:member"/,
  ],
  ['a service', { grants: [{ src: ['*'], dst: ['svc:web'], ip: ['*'] }] }, /services are not supported/],
  [
    'an action that is not accept',
    { acls: [{ action: 'deny', src: ['*'], dst: ['*:*'] }] },
    /a policy can only allow/,
  ],
  ['a rule without action', { acls: [{ src: ['*'], dst: ['*:*'] }] }, /the rule has no action/],
  [
    'a destination without ports',
    { acls: [{ action: 'accept', src: ['*'], dst: ['tag:server'] }] },
    /"tag:server" has no ports \(write "tag:server:\*"/,
  ],
  [
    'a port above 65535',
    { acls: [{ action: 'accept', src: ['*'], dst: ['*:70000'] }] },
    /70000 is above the last port/,
  ],
  ['port 0', { grants: [{ src: ['*'], dst: ['*'], ip: ['tcp:0'] }] }, /ports begin at 1/],
  [
    'a range that ends before it begins',
    { grants: [{ src: ['*'], dst: ['*'], ip: ['90-80'] }] },
    /ends before it begins/,
  ],
  [
    'ports of a protocol without ports',
    { grants: [{ src: ['*'], dst: ['*'], ip: ['icmp:80'] }] },
    /only tcp, udp and sctp have ports/,
  ],
  [
    'an unknown protocol',
    { acls: [{ action: 'accept', proto: 'http', src: ['*'], dst: ['*:*'] }] },
    /http is no protocol/,
  ],
  [
    'a protocol with a leading zero',
    { acls: [{ action: 'accept', proto: '06', src: ['*'], dst: ['*:*'] }] },
    /06 is no protocol/,
  ],
  ['a grant of nothing', { grants: [{ src: ['*'], dst: ['*'] }] }, /a grant needs ip or app/],
  [
    'every address as a destination',
    { grants: [{ src: ['*'], dst: ['0.0.0.0/0'], ip: ['*'] }] },
    /every address there is/,
  ],
  [
    'capabilities of the network itself',
    { grants: [{ src: ['*'], dst: ['*'], app: { 'tailscale.com/cap/ingress': [{}] } }] },
    /belongs to the network itself/,
  ],
  [
    'a capability without a domain',
    { grants: [{ src: ['*'], dst: ['*'], app: { 'https://x/cap': [{}] } }] },
    /no name of a capability/,
  ],
  [
    'capabilities at the internet',
    { grants: [{ src: ['*'], dst: ['autogroup:internet'], app: { 'example.com/cap/x': [{}] } }] },
    /no programs that could read/,
  ],
  [
    'via that is no tag',
    { grants: [{ src: ['*'], dst: ['office'], ip: ['*'], via: ['group:eng'] }] },
    /via is the tag of routers/,
  ],
  [
    'srcPosture',
    { grants: [{ src: ['*'], dst: ['*'], ip: ['*'], srcPosture: ['posture:x'] }] },
    /srcPosture asks for facts/,
  ],
  ['defaultSrcPosture', { defaultSrcPosture: ['posture:x'] }, /nothing here checks posture/],
  ['derpMap', { derpMap: { Regions: {} } }, /relays are not set in the policy/],
  ['ipPool', { nodeAttrs: [{ target: ['*'], ipPool: ['100.64.1.0/24'] }] }, /not given from pools/],
  ['funnel', { nodeAttrs: [{ target: ['*'], attr: ['funnel'] }] }, /funnel publishes/],
  [
    'self as a source',
    { grants: [{ src: ['autogroup:self'], dst: ['*'], ip: ['*'] }] },
    /cannot be used as source/,
  ],
  [
    'self asked by tags',
    { grants: [{ src: ['tag:server'], dst: ['autogroup:self'], ip: ['*'] }] },
    /autogroup:self needs people/,
  ],
  [
    'self asked by everybody in a grant',
    { grants: [{ src: ['*'], dst: ['autogroup:self'], ip: ['*'] }] },
    /autogroup:self needs people/,
  ],
  [
    'the internet as a source',
    { grants: [{ src: ['autogroup:internet'], dst: ['*'], ip: ['*'] }] },
    /cannot be used as source \(autogroup:internet may only be a destination/,
  ],
  [
    'danger-all as a destination',
    { grants: [{ src: ['*'], dst: ['autogroup:danger-all'], ip: ['*'] }] },
    /may only be a source/,
  ],
  ['a group in a group', { groups: { 'group:a': ['group:b'], 'group:b': [] } }, /groups have people only/],
  ['a group without its prefix', { groups: { eng: [] } }, /no group name/],
  ['a member without @', { groups: { 'group:a': ['alice'] } }, /no login name/],
  ['a tag that begins with a digit', { tagOwners: { 'tag:1': [] } }, /no tag name/],
  ['a host that is no address', { hosts: { office: 'nowhere' } }, /no address and no prefix/],
  ['a prefix with host bits', { hosts: { office: '10.0.0.1/8' } }, /no address and no prefix/],
  ['a set in itself', { ipsets: { 'ipset:a': ['add ipset:b'], 'ipset:b': ['ipset:a'] } }, /contains itself/],
  ['a set of people', { ipsets: { 'ipset:a': ['group:eng'] } }, /no part of a set/],
  ['a route that is no prefix', { autoApprovers: { routes: { office: ['tag:router'] } } }, /is no prefix/],
  [
    'an SSH rule without action',
    { ssh: [{ src: ['group:eng'], dst: ['tag:server'], users: ['root'] }] },
    /the rule has no action/,
  ],
  [
    'an SSH action in capitals',
    { ssh: [{ action: 'Accept', src: ['group:eng'], dst: ['tag:server'], users: ['root'] }] },
    /no action of an SSH rule/,
  ],
  [
    'an SSH rule without users',
    { ssh: [{ action: 'accept', src: ['group:eng'], dst: ['tag:server'] }] },
    /needs users/,
  ],
  [
    'any user of a host',
    { ssh: [{ action: 'accept', src: ['group:eng'], dst: ['tag:server'], users: ['*'] }] },
    /"\*" is no user/,
  ],
  [
    'SSH from anywhere',
    { ssh: [{ action: 'accept', src: ['*'], dst: ['tag:server'], users: ['root'] }] },
    /"\*" cannot be used as SSH source/,
  ],
  [
    'SSH to a host name',
    { ssh: [{ action: 'accept', src: ['group:eng'], dst: ['office'], users: ['root'] }] },
    /"office" cannot be used as SSH destination/,
  ],
  [
    'SSH from a tag to people',
    { ssh: [{ action: 'accept', src: ['tag:server'], dst: ['autogroup:member'], users: ['root'] }] },
    /a tagged device cannot log in to the devices of people/,
  ],
  [
    'SSH to one person from others',
    { ssh: [{ action: 'accept', src: ['group:eng'], dst: ['alice@example.com'], users: ['root'] }] },
    /for this person alone/,
  ],
  [
    'a check period above a week',
    {
      ssh: [
        { action: 'check', checkPeriod: '168h1s', src: ['group:eng'], dst: ['tag:server'], users: ['root'] },
      ],
    },
    /no time up to 168h/,
  ],
  [
    'a check period without check',
    {
      ssh: [
        { action: 'accept', checkPeriod: '1h', src: ['group:eng'], dst: ['tag:server'], users: ['root'] },
      ],
    },
    /checkPeriod belongs to/,
  ],
  [
    'an empty acceptEnv',
    {
      ssh: [{ action: 'accept', acceptEnv: [''], src: ['group:eng'], dst: ['tag:server'], users: ['root'] }],
    },
    /an empty name of a variable/,
  ],
  [
    'a session recorder',
    {
      ssh: [
        {
          action: 'accept',
          recorder: ['tag:server'],
          src: ['group:eng'],
          dst: ['tag:server'],
          users: ['root'],
        },
      ],
    },
    /sessions are not recorded/,
  ],
  ['a test of nothing', { tests: [{ src: 'group:eng' }] }, /the test asks nothing/],
  [
    'a test of many ports',
    { tests: [{ src: 'group:eng', accept: ['tag:server:1-9'] }] },
    /not one host and one port/,
  ],
  ['a test of a prefix', { tests: [{ src: 'group:eng', accept: ['office:22'] }] }, /is many addresses/],
  [
    'a test by ICMP',
    { tests: [{ src: 'group:eng', proto: 'icmp', accept: ['tag:server:22'] }] },
    /a test tries tcp, udp or sctp/,
  ],
  ['an SSH test without dst', { sshTests: [{ src: 'group:eng', accept: ['root'] }] }, /the test has no dst/],
  [
    'an SSH test of nothing',
    { sshTests: [{ src: 'group:eng', dst: ['tag:server'] }] },
    /the test asks nothing/,
  ],
  [
    'an SSH test with an empty user',
    { sshTests: [{ src: 'group:eng', dst: ['tag:server'], accept: [''] }] },
    /logs in nowhere/,
  ],
  ['a setting of another type', { randomizeClientPort: 'yes' }, /must be true or false, got a string/],
  ['a list that is none', { grants: {} }, /grants must be a list, got an object/],
  ['an unknown OneCGNATRoute', { OneCGNATRoute: 'always' }, /no setting of OneCGNATRoute/],
];

for (const [what, sections, expected] of REFUSED) {
  test(`refused with its place and a remedy: ${what}`, () => {
    const faults = faultsOf(sections);
    assert.ok(
      faults.some((fault) => expected.test(fault)),
      `expected ${String(expected)}, got ${faults.join('; ') || 'no fault'}`,
    );
  });
}

test('a mail domain must be one of the tailnet, where these are known', () => {
  const text = '{"grants": [{"src": ["user:*@Example.com"], "dst": ["*"], "ip": ["*"]}]}';
  assert.ok(parseNetworkPolicy(text).policy !== null);
  assert.ok(parseNetworkPolicy(text, { domains: ['example.com'] }).policy !== null);
  assert.equal(parseNetworkPolicy(text, { domains: ['example.org'] }).policy, null);
});

test('a group that only sign-in knows is an error, or a warning where sign-in brings groups', () => {
  const text = '{"grants": [{"src": ["group:oncall"], "dst": ["*"], "ip": ["*"]}]}';
  assert.equal(parseNetworkPolicy(text).policy, null);
  const { policy, problems } = parseNetworkPolicy(text, { groupsFromSignIn: true });
  assert.ok(policy !== null);
  assert.deepEqual(
    problems.map(({ severity }) => severity),
    ['warning'],
  );
});

test('the size of a policy is limited: its length, its rules, what they name, its sets', () => {
  const long = `{"grants": []}${' '.repeat(NETWORK_POLICY_MAX_LENGTH)}`;
  assert.match(parseNetworkPolicy(long).problems[0]?.message ?? '', /at most/);
  const rules = Array.from({ length: 5001 }, () => ({ src: ['*'], dst: ['*'], ip: ['*'] }));
  assert.match(faultsOf({ grants: rules }).join(), /5001 rules; at most 5000/);
  const many = Array.from({ length: 60_000 }, () => '*');
  assert.match(faultsOf({ grants: [{ src: many, dst: ['*'], ip: ['*'] }] }).join(), /name too many/);
  const entries = Array.from({ length: 11_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/25`);
  assert.match(faultsOf({ ipsets: { 'ipset:a': entries } }).join(), /too many ranges/);
  const wide = entries.slice(0, 9000);
  const often = Array.from({ length: 60 }, () => 'ipset:wide');
  assert.match(
    faultsOf({ ipsets: { 'ipset:wide': wide, 'ipset:a': often } }).join(),
    /"ipset:a" takes too many ranges/,
  );
  const deep = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`ipset:${index}`, [`ipset:${index + 1}`]]),
  );
  assert.match(faultsOf({ ipsets: { ...deep, 'ipset:20': ['10.0.0.1'] } }).join(), /more than 16 deep/);
});

test('of faults at most 200 are told', () => {
  const grants = Array.from({ length: 1000 }, () => ({ src: ['group:x'], dst: ['*'], ip: ['*'] }));
  assert.equal(parseNetworkPolicy(JSON.stringify({ grants })).problems.length, 200);
});

const WORDS = [
  '*',
  'alice@example.com',
  'user:*@example.com',
  'group:eng',
  'tag:server',
  'tag:router',
  'autogroup:member',
  'autogroup:self',
  'autogroup:internet',
  'autogroup:danger-all',
  'autogroup:tagged',
  'office',
  '10.1.0.0/16',
  '100.64.0.1-100.64.0.9',
  '::/0',
  'ipset:a',
  'tag:server:22',
  '*:*',
  'office:80-443',
  '[fd7a::1]:22',
  'tcp:443',
  'icmp:*',
  'root',
  'localpart:*@example.com',
  'autogroup:nonroot',
  'accept',
  'check',
  '12h',
  'always',
  '__proto__',
  '',
];
const KEYS = [
  'groups',
  'hosts',
  'ipsets',
  'tagOwners',
  'acls',
  'grants',
  'ssh',
  'nodeAttrs',
  'autoApprovers',
  'tests',
  'sshTests',
  'src',
  'dst',
  'ip',
  'app',
  'via',
  'action',
  'users',
  'target',
  'attr',
  'routes',
  'exitNode',
  'accept',
  'deny',
  'group:eng',
  'tag:server',
  'ipset:a',
  'ipset:b',
  '__proto__',
  'constructor',
  'toString',
  '10.0.0.0/8',
];

test('any text gives a policy or problems, and any policy answers every question: nothing throws', () => {
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>(...WORDS, null, true, Number.MAX_VALUE, -1),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 6 }),
    ),
  })).value;
  const words = fc.array(fc.constantFrom(...WORDS), { maxLength: 3 });
  const rule = fc.record({ src: words, dst: words, ip: words, via: words }, { requiredKeys: [] });
  const ssh = fc.record({ action: fc.constantFrom(...WORDS), src: words, dst: words, users: words });
  const shaped = fc.record(
    {
      grants: fc.array(rule, { maxLength: 3 }),
      acls: fc.array(fc.record({ action: fc.constant('accept'), src: words, dst: words }), { maxLength: 3 }),
      ssh: fc.array(ssh, { maxLength: 2 }),
      ipsets: fc.dictionary(fc.constantFrom('ipset:a', 'ipset:b'), words),
      tests: fc.array(fc.record({ src: fc.constantFrom(...WORDS), accept: words }), { maxLength: 2 }),
      nodeAttrs: fc.array(fc.record({ target: words, attr: words }), { maxLength: 2 }),
      autoApprovers: fc.record({ exitNode: words }),
    },
    { requiredKeys: [] },
  );
  const sources = fc.array(
    fc.constantFrom('*', 'alice@example.com', 'group:eng', 'tag:server', 'autogroup:tagged', 'office'),
    { maxLength: 3 },
  );
  const destinations = fc.array(
    fc.constantFrom('*', 'tag:router', 'autogroup:internet', '10.1.0.0/16', '100.64.0.1-100.64.0.9'),
    { maxLength: 3 },
  );
  const valid = fc.record({
    grants: fc.array(
      fc.record({
        src: sources,
        dst: destinations,
        ip: fc.constantFrom(['*'], ['tcp:443', '22'], ['icmp:*']),
        via: fc.constantFrom([], ['tag:router']),
      }),
    ),
  });
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(valid, shaped, json, fc.string()), (value) => {
      const text = typeof value === 'object' ? JSON.stringify({ ...NAMES, ...value }) : JSON.stringify(value);
      const { policy, problems } = parseNetworkPolicy(text ?? '', { groupsFromSignIn: true });
      for (const { message, fix, path } of problems) assert.ok(message !== '' && fix !== '', path);
      if (policy === null) return;
      accepted += 1;
      const compiled = compileNetworkPolicy(policy, { users: PEOPLE, nodes: DEVICES });
      for (const { id } of DEVICES) {
        for (const peer of compiled.peersOf(id)) compiled.routesFor(id, peer);
        JSON.stringify([compiled.filterOf(id), compiled.sshPolicyOf(id), compiled.capabilitiesOf(id)]);
        compiled.approvesRoute(id, '10.1.0.0/16');
      }
      runNetworkTests(compiled);
    }),
    { numRuns: 400 },
  );
  assert.ok(accepted > 10, `only ${accepted} of the texts were policies, so the property says little`);
});

test('the policy on the page for users has no problem, and its tests hold in an empty tailnet', () => {
  const page = readFileSync(resolve(import.meta.dirname, '../../../docs/network-policy.md'), 'utf8');
  const text = /^```jsonc\n(\{.*?)^```$/ms.exec(page)?.[1] ?? '';
  const { policy, problems } = parseNetworkPolicy(text);
  assert.deepEqual(problems, []);
  assert.ok(policy !== null && policy.tests.length > 0);
  assert.deepEqual(runNetworkTests(compileNetworkPolicy(policy, { users: [], nodes: [] })), []);
});
