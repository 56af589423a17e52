/**
 * The network's policy against recorded cases: `POSTERN_NETWORK_POLICY_CASES=FOLDER node --test
 * test/conformance/network-policy.test.ts`, where FOLDER holds folders of `.hujson` captures (see
 * network-policy-cases.ts). It belongs to no task; without the folder it is skipped and says so.
 *
 * Compared as sets: the order of rules, sources and ports means nothing to a client. What differs on
 * purpose is listed with its reason, and a listed case that no longer differs fails.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  compileNetworkPolicy,
  parseNetworkPolicy,
  runNetworkTests,
  type CompiledNetwork,
  type WireFilterRule,
  type WireSshRule,
} from '../../src/policy/index.ts';
import { readCases, type RecordedAnswer, type RecordedCase } from './network-policy-cases.ts';

const FOLDER = process.env['POSTERN_NETWORK_POLICY_CASES'];

const UNRECORDED_ROUTE = 'the recording leaves out that the router had an approved route';
const LOCALPART =
  "a rule with localpart: for other devices also opens each source's own device there; not here";
const NARROWER_INTERNET =
  'autogroup:internet there includes loopback, multicast and reserved addresses; not here';
const ONE_FAMILY = 'a device known by its IPv6 address alone is not looked up there';
const FUNNEL = 'funnel is not supported, and refused';
const POOLS = 'ipPool is not supported, and refused';
const CASE_OF_DOMAIN = 'mail domains are compared there with their case';

/** What is not the same, by case. */
const DIFFERS: Readonly<Record<string, string>> = {
  'acl-ah01': UNRECORDED_ROUTE,
  'acl-h03': UNRECORDED_ROUTE,
  'acl-k03': UNRECORDED_ROUTE,
  'acl-mu07': UNRECORDED_ROUTE,
  'routes-b17-autogroup-internet-with-exit-autoapprover': NARROWER_INTERNET,
  'routes-b18-autogroup-internet-wildcard-src-with-exit-autoapprover': NARROWER_INTERNET,
  'policytest-allpass-grants-only-tag-src-ipv6-literal-dst': ONE_FAMILY,
  'sshtest-malformed-dst-bare-ipv6': ONE_FAMILY,
  'nodeattrs-attr-c1-funnel': FUNNEL,
  'nodeattrs-funnel-f1-tag': FUNNEL,
  'nodeattrs-funnel-f2-user': FUNNEL,
  'nodeattrs-ippool-g1-admin': POOLS,
  'nodeattrs-ippool-g2-group': POOLS,
  'nodeattrs-ippool-g3-mixed': POOLS,
  'ssh-e1': CASE_OF_DOMAIN,
  ...Object.fromEntries(
    ['d10', 'd11', 'd12', 'd2', 'd3', 'd4', 'd5', 'd6', 'd7', 'e5', 'e6', 'f3', 'f4', 'f5'].map((name) => [
      `ssh-${name}`,
      LOCALPART,
    ]),
  ),
  'sshtest-user-localpart-domain-match': LOCALPART,
};

if (FOLDER === undefined) {
  test('recorded policy cases', { skip: 'POSTERN_NETWORK_POLICY_CASES names no folder' }, () => {});
} else {
  const cases = readCases(FOLDER);
  const counts = { same: 0, differs: 0, failed: 0 };
  for (const one of cases) {
    test(`${one.kind}/${one.name}`, () => {
      counts.failed += 1;
      const found = differencesOf(one);
      const reason = DIFFERS[one.name];
      if (reason !== undefined) {
        assert.ok(found.length > 0, `it is the same now, but is listed: ${reason}`);
        counts.differs += 1;
      } else {
        assert.deepEqual(found, []);
        counts.same += 1;
      }
      counts.failed -= 1;
    });
  }
  test('the rate', (context) => {
    context.diagnostic(
      `${counts.same} of ${cases.length} cases are the same, ${counts.differs} differ as listed, ${counts.failed} fail`,
    );
    assert.ok(cases.length > 0, `${FOLDER} holds no cases`);
  });
}

function differencesOf(one: RecordedCase): readonly string[] {
  const { policy, problems } = parseNetworkPolicy(one.policy, { domains: ['example.com', 'passkey'] });
  const errors = problems.filter(({ severity }) => severity === 'error').map(({ message }) => message);
  if (policy === null) return one.accepted ? [`refused: ${errors.join('; ')}`] : [];
  const compiled = compileNetworkPolicy(policy, { users: one.users, nodes: one.nodes.values() });
  const failures = runNetworkTests(compiled).map(({ path, got }) => `${path}: ${got}`);
  if (!one.accepted) return failures.length > 0 ? [] : [`not refused: ${one.refusal}`];
  return [
    ...failures,
    ...approvalsOf(one, compiled),
    ...[...one.answers].flatMap(([name, answer]) => compareDevice(one, compiled, name, answer)),
  ];
}

/** Where every advertised route was approved by the policy or by nobody, the recording says by which. */
function approvalsOf(one: RecordedCase, compiled: CompiledNetwork): readonly string[] {
  if (!/^routes-(d|ea)[0-9]+-/.test(one.name)) return [];
  return [...one.nodes].flatMap(([name, { id, routes }]) =>
    (one.advertised.get(name) ?? [])
      .filter((route) => !routes.includes(route) && compiled.approvesRoute(id, route) && isSubnet(route))
      .map((route) => `${name}: ${route} is approved here alone`),
  );
}

function isSubnet(route: string): boolean {
  return route !== '0.0.0.0/0' && route !== '::/0';
}

function compareDevice(
  one: RecordedCase,
  compiled: CompiledNetwork,
  name: string,
  answer: RecordedAnswer,
): readonly string[] {
  const facts = one.nodes.get(name);
  if (facts === undefined) return [`${name} is not in the topology`];
  const found: string[] = [];
  const compare = (what: string, got: unknown, wanted: unknown): void => {
    if (JSON.stringify(got) !== JSON.stringify(wanted)) {
      found.push(`${name} ${what}: wanted ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`);
    }
  };
  compare('filter', filterSet(compiled.filterOf(facts.id)), filterSet(answer.packet_filter_rules ?? []));
  if (answer.ssh_rules !== undefined || one.kind.startsWith('ssh')) {
    compare('ssh', sshList(compiled.sshPolicyOf(facts.id)?.rules ?? []), sshList(answer.ssh_rules ?? []));
  }
  if (answer.netmap === undefined) return found;
  const names = new Map([...one.nodes].map(([key, { id }]) => [id, key]));
  const peers = (answer.netmap.Peers ?? []).filter(({ ComputedName }) => one.nodes.has(ComputedName));
  compare(
    'peers',
    [...compiled.peersOf(facts.id)].map((id) => names.get(id) ?? '').sort(),
    peers.map(({ ComputedName }) => ComputedName).sort(),
  );
  for (const peer of peers) {
    const id = one.nodes.get(peer.ComputedName)?.id ?? 0;
    const wanted = (peer.AllowedIPs ?? []).filter((text) => !(peer.Addresses ?? []).includes(text));
    const mayHave = compiled.routesFor(facts.id, id);
    const missing = wanted.filter((route) => !mayHave.includes(route));
    /* Of routers of one subnet only the first carries it, which is no matter of the policy. */
    const elsewhere = peers.filter((other) => other !== peer).flatMap(({ AllowedIPs = [] }) => AllowedIPs);
    const extra = mayHave.filter(
      (route) => !wanted.includes(route) && !isCarriedElsewhere(one, route, elsewhere),
    );
    compare(`routes of ${peer.ComputedName}`, { missing, extra }, { missing: [], extra: [] });
  }
  compareCapabilities(one, compiled, { name, id: facts.id, answer, compare });
  return found;
}

function isCarriedElsewhere(one: RecordedCase, route: string, elsewhere: readonly string[]): boolean {
  if (elsewhere.includes(route)) return true;
  return [...one.answers.values()].some(({ netmap }) =>
    (netmap?.Peers ?? []).some(({ AllowedIPs = [] }) => AllowedIPs.includes(route)),
  );
}

/** Capabilities that a policy names; the network gives others besides. */
function compareCapabilities(
  one: RecordedCase,
  compiled: CompiledNetwork,
  device: {
    name: string;
    id: number;
    answer: RecordedAnswer;
    compare: (what: string, got: unknown, wanted: unknown) => void;
  },
): void {
  if (one.kind !== 'nodeattrs_results') return;
  const given = Object.keys(device.answer.netmap?.SelfNode?.CapMap ?? {});
  const named = new Set(
    compiled.policy.nodeAttributes.flatMap(({ attributes, app }) => [
      ...attributes,
      ...Object.keys(app ?? {}),
    ]),
  );
  if (compiled.policy.settings.randomizeClientPort) named.add('randomize-client-port');
  const always = /^https:\/\/tailscale\.com\/cap\//;
  const visible = (names: readonly string[]): readonly string[] =>
    names.filter((name) => named.has(name) && !always.test(name)).sort();
  device.compare('capabilities', visible(Object.keys(compiled.capabilitiesOf(device.id))), visible(given));
}

/** Rules as texts in one order; a rule without sources allows nothing and is left out. */
function filterSet(rules: readonly WireFilterRule[]): readonly string[] {
  return rules
    .filter(({ SrcIPs }) => SrcIPs.length > 0)
    .map(({ SrcIPs, DstPorts = [], IPProto = [], CapGrant = [] }) =>
      JSON.stringify([
        [...SrcIPs].sort(),
        DstPorts.map(({ IP, Ports }) => `${IP} ${Ports.First}-${Ports.Last}`).sort(),
        IPProto.map(String).sort(),
        CapGrant.map(({ Dsts, CapMap }) => [
          [...Dsts].sort(),
          Object.entries(CapMap).sort(([a], [b]) => (a < b ? -1 : 1)),
        ]),
      ]),
    )
    .sort();
}

/** In order, since the first that matches decides; a principal named twice is one. */
function sshList(rules: readonly WireSshRule[]): readonly unknown[] {
  return rules.map(({ principals, sshUsers, action, acceptEnv = [] }) => [
    [...new Set(principals.map(({ nodeIP }) => nodeIP))].sort(),
    Object.entries(sshUsers)
      .map(([asked, given]) => `${asked}=${given}`)
      .sort(),
    action,
    acceptEnv,
  ]);
}
