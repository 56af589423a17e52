/**
 * Reads a tailnet's policy file: HuJSON with the sections that Tailscale documents (tailscale.com/kb/1337,
 * 1538, 1396, 1387). It never throws on a bad text: what is wrong comes out as problems with line, column
 * and remedy, and a text with any error gives no policy. What is not supported here (device posture,
 * services, session recording, address pools, relay maps) is refused and said, never taken for done.
 */
import { HujsonError, parseHujson, type HujsonDocument } from '../../wire/hujson.ts';
import type { Problem } from '../problem.ts';
import { parseIpRange, type IpRange } from './ip-ranges.ts';
import type { NetworkPolicy, NodeAttribute, Selector } from './policy.ts';
import { PolicyProblems, PolicyReader, quote } from './reader.ts';
import { readAcls, readApp, readGrants } from './read-access.ts';
import { readAddressNames, readGroups, readTagNames, readTagOwners } from './read-names.ts';
import { readSsh } from './read-ssh.ts';
import { readSshTests, readTests } from './read-tests.ts';
import { readSelectors, type DefinedNames } from './selectors.ts';

/** Longer texts are refused. */
export const NETWORK_POLICY_MAX_LENGTH = 1024 * 1024;
/** People, tags and ranges of addresses that all rules name together. */
const SELECTORS_MAX = 50_000;
/** After `acls` are split by destination. */
const RULES_MAX = 5_000;

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
  'postures',
  'defaultSrcPosture',
  'tests',
  'sshTests',
  'randomizeClientPort',
  'disableIPv4',
  'OneCGNATRoute',
  'derpMap',
] as const;

/** What a new tailnet has: every device reaches every other, nobody logs in by SSH. */
export const DEFAULT_NETWORK_POLICY = `// Who may reach whom in this network. The format is Tailscale's policy file.
{
  // Every device may reach every other. Narrow this to what you need.
  "grants": [{ "src": ["*"], "dst": ["*"], "ip": ["*"] }],

  // "groups": { "group:eng": ["alice@example.com"] },
  // "tagOwners": { "tag:server": ["group:eng"] },
  // "tests": [{ "src": "alice@example.com", "accept": ["tag:server:443"] }],
}
`;

export interface ParseNetworkOptions {
  /** True where sign-in brings groups: then a rule may name one that the file does not define. Default false. */
  readonly groupsFromSignIn?: boolean;
  /** Mail domains that people sign in from; `user:*@domain` must name one of them. Default: any. */
  readonly domains?: readonly string[];
}

export interface ParsedNetworkPolicy {
  /** Null if any problem is an error. */
  readonly policy: NetworkPolicy | null;
  /** At most 200. */
  readonly problems: readonly Problem[];
}

/** Reads and checks a policy. Never throws. */
export function parseNetworkPolicy(text: string, options: ParseNetworkOptions = {}): ParsedNetworkPolicy {
  let document: HujsonDocument;
  try {
    document = parseHujson(text, { maxLength: NETWORK_POLICY_MAX_LENGTH, maxDepth: 50 });
  } catch (error) {
    if (!(error instanceof HujsonError)) throw error;
    const { line, column, fault } = error;
    return {
      policy: null,
      problems: [
        {
          severity: 'error',
          path: '',
          line,
          column,
          code: 'bad_syntax',
          message: fault,
          fix: 'correct the text here',
        },
      ],
    };
  }
  const problems = new PolicyProblems(document);
  for (const { path } of document.duplicates) {
    problems.add('error', path, {
      code: 'duplicate_key',
      message: `${quote(String(path.at(-1)))} is written twice in one object`,
      fix: 'keep one of them',
    });
  }
  const policy = readPolicy(new PolicyReader(document.value, [], problems), options);
  return { policy: problems.hasErrors ? null : policy, problems: problems.list };
}

function readPolicy(root: PolicyReader, options: ParseNetworkOptions): NetworkPolicy | null {
  const file = root.members(KEYS);
  if (file === null) {
    root.error('bad_type', 'the policy is no object', 'write { "grants": […] }');
    return null;
  }
  const groups = readGroups(file.groups);
  const names: DefinedNames = {
    groups: new Set(groups.keys()),
    tags: readTagNames(file.tagOwners),
    addresses: readAddressNames(file.hosts, file.ipsets),
    groupsFromSignIn: options.groupsFromSignIn ?? false,
    domains: options.domains === undefined ? null : new Set(options.domains.map((one) => one.toLowerCase())),
    budget: { selectors: SELECTORS_MAX },
  };
  refuseUnbuilt(file);
  const rules = [...readGrants(file.grants, names), ...readAcls(file.acls, names)];
  if (rules.length > RULES_MAX) {
    root.error(
      'bad_value',
      `the policy has ${rules.length} rules; at most ${RULES_MAX} are read`,
      'use groups and tags',
    );
  }
  const isOpen = file.grants.isAbsent && file.acls.isAbsent;
  if (isOpen) {
    root.warn(
      'grants_missing',
      'the policy has neither grants nor acls, so every device reaches every other',
      'write "grants": [] to allow nothing',
    );
  }
  return {
    groups,
    addresses: names.addresses,
    tagOwners: readTagOwners(file.tagOwners, names),
    rules: isOpen ? null : rules,
    ssh: file.ssh.isAbsent ? null : readSsh(file.ssh, names),
    nodeAttributes: file.nodeAttrs.items().flatMap((item) => readNodeAttribute(item, names) ?? []),
    autoApprovers: readAutoApprovers(file.autoApprovers, names),
    tests: readTests(file.tests, names),
    sshTests: readSshTests(file.sshTests, names),
    settings: {
      randomizeClientPort: file.randomizeClientPort.optionalBoolean() ?? false,
      disableIpv4: file.disableIPv4.optionalBoolean() ?? false,
      oneCgnatRoute: readOneCgnatRoute(file.OneCGNATRoute),
    },
  };
}

function refuseUnbuilt(file: Readonly<Record<(typeof KEYS)[number], PolicyReader>>): void {
  if (file.postures.entries().length > 0) {
    file.postures.warn(
      'not_built',
      'device posture is read and not applied; rules that ask for it are refused',
      'remove postures',
    );
  }
  if (file.defaultSrcPosture.items().length > 0) {
    file.defaultSrcPosture.error(
      'not_built',
      'defaultSrcPosture narrows every rule, and nothing here checks posture',
      'remove it',
    );
  }
  if (file.derpMap.entries().length > 0) {
    file.derpMap.error(
      'not_built',
      'relays are not set in the policy',
      'set them in the settings of the server',
    );
  }
}

function readNodeAttribute(reader: PolicyReader, names: DefinedNames): NodeAttribute | null {
  const entry = reader.members(['target', 'attr', 'app', 'ipPool']);
  if (entry === null) return null;
  if (entry.ipPool.items().length > 0) {
    entry.ipPool.error('not_built', 'addresses are not given from pools of the policy', 'remove ipPool');
  }
  const attributes: string[] = [];
  for (const item of entry.attr.items()) {
    const name = item.text();
    if (name === null) continue;
    if (name === '' || name.length > 200)
      item.error('bad_value', 'a node attribute is a name of 1 to 200 characters', 'write its name');
    else if (name === 'funnel')
      item.error(
        'not_built',
        'funnel publishes devices to the internet, which is not supported',
        'remove it',
      );
    else attributes.push(name);
  }
  const app = readNodeApp(entry.app);
  return {
    ...reader.place,
    targets: readSelectors(entry.target, 'node attribute target', names),
    attributes,
    app,
  };
}

/** App connectors are a setting of the network's own, so they are let through where grants refuse them. */
function readNodeApp(reader: PolicyReader): NodeAttribute['app'] {
  const entries = reader.entries();
  const connectors = entries.find(([name]) => name === 'tailscale.com/app-connectors');
  if (connectors === undefined) return readApp(reader);
  if (entries.length > 1) {
    reader.error(
      'bad_value',
      'tailscale.com/app-connectors stands alone',
      'give other capabilities in an entry of their own',
    );
  }
  return { [connectors[0]]: connectors[1].items().map(({ value }) => value ?? null) };
}

function readAutoApprovers(reader: PolicyReader, names: DefinedNames): NetworkPolicy['autoApprovers'] {
  const section = reader.members(['routes', 'exitNode', 'services']);
  if (section === null) return { routes: [], exitNode: [] };
  if (section.services.entries().length > 0) {
    section.services.error('not_built', 'services are not supported', 'remove services');
  }
  const routes: { range: IpRange; approvers: readonly Selector[] }[] = [];
  for (const [text, approvers] of section.routes.entries()) {
    const range = text.includes('-') ? null : parseIpRange(text);
    if (range === null) approvers.error('bad_value', `${quote(text)} is no prefix`, 'write 10.0.0.0/16');
    else routes.push({ range, approvers: readSelectors(approvers, 'auto approver', names) });
  }
  return { routes, exitNode: readSelectors(section.exitNode, 'auto approver', names) };
}

/** `mac-always`, `mac-never`, or nothing. */
function readOneCgnatRoute(reader: PolicyReader): boolean | null {
  const text = reader.optionalText();
  if (text === null || text === '') return null;
  if (text === 'mac-always') return true;
  if (text === 'mac-never') return false;
  reader.error(
    'bad_value',
    `${quote(text)} is no setting of OneCGNATRoute`,
    'write "mac-always" or "mac-never"',
  );
  return null;
}
