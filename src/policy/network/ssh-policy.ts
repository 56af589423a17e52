/**
 * Tailscale SSH: which rules a device is given (tailcfg.SSHPolicy). Principals are the addresses of the
 * devices that may log in; checks stand before accepts, so that the stricter rule of two decides.
 */
import type { NetworkDirectory, NetworkNode, NodeIdentity } from './directory.ts';
import { isSelf } from './node-sets.ts';
import type { Selector, SshRule } from './policy.ts';

/** Where a device asks about a check; the client fills in the `$` names and sends it over its own connection. */
export const SSH_CHECK_URL =
  'https://unused/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID?local_user=$LOCAL_USER';
/** 12 h, Tailscale's own. */
const CHECK_PERIOD_SEC = 12 * 3600;
/** Principals of one device's policy; beyond it nobody is added. */
const PRINCIPALS_MAX = 100_000;

export interface WireSshAction {
  readonly accept?: true;
  readonly allowAgentForwarding?: true;
  readonly allowLocalPortForwarding?: true;
  readonly allowRemotePortForwarding?: true;
  readonly holdAndDelegate?: string;
}

export interface WireSshRule {
  readonly principals: readonly { readonly nodeIP: string }[];
  /** Asked user to user on the host; `*` any, `=` the same, empty none. */
  readonly sshUsers: Readonly<Record<string, string>>;
  readonly action: WireSshAction;
  readonly acceptEnv?: readonly string[];
}

/** The rules of one device, in the order in which it asks them. */
export function buildSshRules(
  node: NetworkNode,
  rules: readonly SshRule[],
  directory: NetworkDirectory,
  checkUrl: string,
): readonly WireSshRule[] {
  const found: WireSshRule[] = [];
  let principals = 0;
  for (const rule of inOrder(rules)) {
    const action = actionOf(rule, checkUrl);
    for (const { sources, users } of accessesTo(node, rule, directory)) {
      const addresses = sources.flatMap((one) => one.addressTexts.map((nodeIP) => ({ nodeIP })));
      principals += addresses.length;
      if (addresses.length === 0 || principals > PRINCIPALS_MAX) continue;
      found.push({
        principals: addresses,
        sshUsers: users,
        action,
        ...(rule.acceptEnv.length === 0 ? {} : { acceptEnv: rule.acceptEnv }),
      });
    }
  }
  return found;
}

/** Checks first; otherwise as written. */
export function inOrder(rules: readonly SshRule[]): readonly SshRule[] {
  return [
    ...rules.filter(({ action }) => action === 'check'),
    ...rules.filter(({ action }) => action === 'accept'),
  ];
}

function actionOf(rule: SshRule, checkUrl: string): WireSshAction {
  if (rule.action === 'check') return { holdAndDelegate: checkUrl };
  return {
    accept: true,
    allowAgentForwarding: true,
    allowLocalPortForwarding: true,
    allowRemotePortForwarding: true,
  };
}

interface Access {
  readonly sources: readonly NetworkNode[];
  readonly users: Readonly<Record<string, string>>;
}

/** A rule's meaning at one device; people whose own name is among the users get a rule of their own after it. */
function accessesTo(node: NetworkNode, rule: SshRule, directory: NetworkDirectory): readonly Access[] {
  const sources = sshSources(node, rule, directory);
  const localparts = rule.users.filter(isLocalpart);
  const users = sshUsers(rule.users);
  if (localparts.length === 0) return [{ sources, users }];
  const accesses: Access[] = [];
  for (const group of byPerson(sources)) {
    accesses.push({ sources: group, users });
    const name = localNameOf(group[0], localparts);
    if (name !== null) accesses.push({ sources: group, users: { [name]: name } });
  }
  return accesses;
}

/** The devices that a rule lets log in to this one; in the order of people, then devices. */
function sshSources(node: NetworkNode, rule: SshRule, directory: NetworkDirectory): readonly NetworkNode[] {
  const isOpen = rule.destinations.some((one) => !isSelf(one) && directory.selects(one, node));
  const own = !isOpen && rule.destinations.some(isSelf) ? node.user : null;
  if (!isOpen && own === null) return [];
  const found = new Map<number, NetworkNode>();
  for (const source of rule.sources) {
    for (const one of directory.candidates(source)) {
      if (directory.selects(source, one) && (isOpen || one.user?.id === own?.id)) found.set(one.id, one);
    }
  }
  return [...found.values()].sort(
    (a, b) => (a.user?.id ?? Infinity) - (b.user?.id ?? Infinity) || a.id - b.id,
  );
}

/** The devices that may be reached by SSH from this one: whose policy a change of this one touches. */
export function sshReachOf(
  node: NetworkNode,
  rules: readonly SshRule[],
  directory: NetworkDirectory,
): ReadonlySet<number> {
  const reached = new Set<number>();
  for (const rule of rules) {
    if (!rule.sources.some((source) => directory.selects(source, node))) continue;
    for (const destination of rule.destinations) {
      if (isSelf(destination)) {
        for (const id of node.user === null ? [] : directory.nodesOf(node.user.id)) reached.add(id);
        continue;
      }
      for (const one of directory.candidates(destination))
        if (directory.selects(destination, one)) reached.add(one.id);
    }
  }
  return reached;
}

function sshUsers(users: readonly string[]): Readonly<Record<string, string>> {
  const map: Record<string, string> = {};
  if (users.includes('autogroup:nonroot')) map['*'] = '=';
  map['root'] = users.includes('root') ? 'root' : '';
  for (const user of users) {
    if (user !== 'root' && user !== 'autogroup:nonroot' && !isLocalpart(user)) {
      Object.defineProperty(map, user, { value: user, enumerable: true, configurable: true, writable: true });
    }
  }
  return map;
}

function isLocalpart(user: string): boolean {
  return user.startsWith('localpart:*@') && user.length > 12;
}

/** The name before the @ of a person whose domain is among `localpart:*@domain`; null if there is none. */
function localNameOf(node: NodeIdentity | undefined, localparts: readonly string[]): string | null {
  const [name, domain, ...more] = node?.user?.login.split('@') ?? [];
  if (name === undefined || domain === undefined || more.length > 0 || name === 'root' || name === '')
    return null;
  return localparts.some((one) => one.slice(12).toLowerCase() === domain) ? name : null;
}

/** Devices of each person together; devices with tags each by itself stand for nobody, so together last. */
function byPerson(nodes: readonly NetworkNode[]): readonly (readonly NetworkNode[])[] {
  const groups = new Map<number | null, NetworkNode[]>();
  for (const node of nodes) {
    const key = node.user?.id ?? null;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [node]);
    else group.push(node);
  }
  return [...groups.values()];
}

/** What a login would meet: the first rule that knows the user decides. */
export interface SshVerdict {
  readonly action: 'accept' | 'check';
  readonly rule: SshRule;
  /** Seconds; 0: every time. */
  readonly checkPeriodSec: number;
}

/** Whether one device may log in to another as a user of the host; null: no rule lets it. */
export function judgeSsh(
  source: NodeIdentity,
  destination: NodeIdentity,
  user: string,
  inputs: { readonly rules: readonly SshRule[]; readonly directory: NetworkDirectory },
): SshVerdict | null {
  const { directory } = inputs;
  const selects = (selectors: readonly Selector[], node: NodeIdentity): boolean =>
    selectors.some((one) => directory.selects(one, node));
  for (const rule of inOrder(inputs.rules)) {
    const isOwn = rule.destinations.some(isSelf) && source.user !== null && source.user === destination.user;
    if (!selects(rule.sources, source) || !(isOwn || selects(rule.destinations, destination))) continue;
    if (!mayBe(user, rule.users, source)) continue;
    const checkPeriodSec = rule.action === 'check' ? (rule.checkPeriodSec ?? CHECK_PERIOD_SEC) : 0;
    return { action: rule.action, rule, checkPeriodSec };
  }
  return null;
}

function mayBe(user: string, users: readonly string[], source: NodeIdentity): boolean {
  if (user === 'root') return users.includes('root');
  return (
    users.includes(user) ||
    users.includes('autogroup:nonroot') ||
    localNameOf(source, users.filter(isLocalpart)) === user
  );
}
