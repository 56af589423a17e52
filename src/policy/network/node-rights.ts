/** What a policy gives beside reach: node capabilities, tags that may be given, routes that need no click. */
import type { JsonValue } from '../../wire/hujson.ts';
import type { NetworkDirectory, NetworkNode } from './directory.ts';
import { covers, parseIpRange } from './ip-ranges.ts';
import type { NetworkPolicy, Selector } from './policy.ts';
import type { NetworkUser } from './world.ts';

/** Names and values of node capabilities, as tailcfg.Node.CapMap has them. */
export type NodeCapabilities = Readonly<Record<string, readonly JsonValue[] | null>>;

/** Roles that may give any tag that is defined. */
const TAG_ADMINS: readonly string[] = ['owner', 'admin', 'network-admin'];

/** Sorted by name; values of one name add up. */
export function capabilitiesOf(
  node: NetworkNode,
  { settings, nodeAttributes }: NetworkPolicy,
  directory: NetworkDirectory,
): NodeCapabilities {
  const found = new Map<string, readonly JsonValue[] | null>();
  if (settings.randomizeClientPort) found.set('randomize-client-port', null);
  if (settings.disableIpv4) found.set('disable-ipv4', null);
  if (settings.oneCgnatRoute !== null) found.set(`one-cgnat?v=${settings.oneCgnatRoute}`, null);
  for (const { targets, attributes, app } of nodeAttributes) {
    if (!targets.some((target) => directory.selects(target, node))) continue;
    for (const name of attributes) if (!found.has(name)) found.set(name, null);
    for (const [name, values] of Object.entries(app ?? {})) {
      found.set(name, [...(found.get(name) ?? []), ...values]);
    }
  }
  return Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function mayTag(
  user: NetworkUser,
  tag: string,
  policy: NetworkPolicy,
  directory: NetworkDirectory,
): boolean {
  if (!policy.tagOwners.has(tag)) return false;
  if (TAG_ADMINS.includes(user.role)) return true;
  return ownersOf(tag, policy).some((owner) => directory.isPerson(owner, user));
}

export function tagsMayTag(tags: readonly string[], tag: string, policy: NetworkPolicy): boolean {
  if (!policy.tagOwners.has(tag)) return false;
  if (tags.includes(tag)) return true;
  return ownersOf(tag, policy).some((owner) => owner.kind === 'tag' && tags.includes(owner.name));
}

/** The owners of a tag and of the tags that own it; tags that own each other end the search. */
function ownersOf(tag: string, { tagOwners }: NetworkPolicy): readonly Selector[] {
  const seen = new Set<string>([tag]);
  const owners: Selector[] = [];
  for (const name of seen) {
    for (const owner of tagOwners.get(name) ?? []) {
      owners.push(owner);
      if (owner.kind === 'tag') seen.add(owner.name);
    }
  }
  return owners;
}

/** A prefix within a written one is approved; an exit route also by `exitNode`. */
export function approvesRoute(
  node: NetworkNode,
  prefix: string,
  { autoApprovers }: NetworkPolicy,
  directory: NetworkDirectory,
): boolean {
  const range = parseIpRange(prefix);
  if (range === null) return false;
  const isExit = prefix === '0.0.0.0/0' || prefix === '::/0';
  const approvers = autoApprovers.routes
    .filter((one) => covers(one.range, range))
    .flatMap((one) => one.approvers);
  return [...approvers, ...(isExit ? autoApprovers.exitNode : [])].some((approver) =>
    directory.selects(approver, node),
  );
}
