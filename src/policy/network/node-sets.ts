/**
 * Which devices stand on one side of a rule. Rules that write the same list share one set; a change of
 * a device costs one question per set.
 */
import { covers, coversWhole, overlaps, overlapsAny, rangeOfIp, type IpRange } from './ip-ranges.ts';
import { internetRanges } from './known-ranges.ts';
import type { NetworkDirectory, NetworkNode } from './directory.ts';
import type { AccessRule, Selector } from './policy.ts';

/** Memberships over all sets; beyond it the sets are built anew when they are asked for. */
const MEMBERSHIPS_MAX = 2_000_000;

/** A side of a rule. Equal lists have equal keys. */
export interface RuleSide {
  readonly key: string;
  readonly selectors: readonly Selector[];
  /** For destinations: only routers with one of these tags count. Empty: any. */
  readonly via: readonly string[];
  readonly role: 'source' | 'destination';
}

export function sourceSide(rule: Pick<AccessRule, 'sources'>): RuleSide {
  return side('source', rule.sources, []);
}

/** Without `autogroup:self`, which depends on who asks. */
export function destinationSide(rule: AccessRule): RuleSide {
  return side(
    'destination',
    rule.destinations.filter((one) => !isSelf(one)),
    rule.via,
  );
}

function side(role: RuleSide['role'], selectors: readonly Selector[], via: readonly string[]): RuleSide {
  return { key: `${role} ${selectors.map(keyOf).join(' ')} via ${via.join(' ')}`, selectors, via, role };
}

function keyOf(selector: Selector): string {
  switch (selector.kind) {
    case 'any':
      return '*';
    case 'user':
      return selector.login;
    case 'domain':
      return `user:*@${selector.domain}`;
    case 'addresses':
      return `address:${selector.text}`;
    case 'autogroup':
      return `autogroup:${selector.name}`;
    case 'group':
    case 'tag':
      return selector.name;
    default:
      return selector satisfies never;
  }
}

export function isSelf(selector: Selector): boolean {
  return selector.kind === 'autogroup' && selector.name === 'self';
}

export function isInternet(selector: Selector): boolean {
  return selector.kind === 'autogroup' && selector.name === 'internet';
}

/** Every address of the tailnet, or every address. */
export function isWildcard(selector: Selector): boolean {
  return selector.kind === 'any' || (selector.kind === 'autogroup' && selector.name === 'danger-all');
}

/** Whether a destination's addresses lie where an exit node sends traffic. */
function isPublic(range: IpRange): boolean {
  return coversWhole(internetRanges(), range);
}

export class NodeSets {
  readonly #directory: NetworkDirectory;
  readonly #sets = new Map<string, { readonly side: RuleSide; readonly ids: Set<number> }>();
  #memberships = 0;

  constructor(directory: NetworkDirectory) {
    this.#directory = directory;
  }

  /** The devices of a side: by who they are, by address, or as the router of its addresses. */
  of(one: RuleSide): ReadonlySet<number> {
    const known = this.#sets.get(one.key);
    if (known !== undefined) return known.ids;
    const ids = new Set<number>();
    for (const selector of one.selectors) {
      for (const node of this.#directory.candidates(selector)) {
        if (!ids.has(node.id) && this.#stands(one, selector, node)) ids.add(node.id);
      }
    }
    if (this.#memberships > MEMBERSHIPS_MAX) this.#forget();
    this.#sets.set(one.key, { side: one, ids });
    this.#memberships += ids.size;
    return ids;
  }

  /** False for a side that was never asked for, or was forgotten. */
  has(key: string): boolean {
    return this.#sets.has(key);
  }

  /** After a device changed, came or went. Says the keys of the sets that have it now or had it before. */
  update(id: number): ReadonlySet<string> {
    const node = this.#directory.nodes.get(id);
    const keys = new Set<string>();
    for (const [key, { side: one, ids }] of this.#sets) {
      const had = ids.delete(id);
      const has = node !== undefined && one.selectors.some((selector) => this.#stands(one, selector, node));
      if (has) ids.add(id);
      this.#memberships += Number(has) - Number(had);
      if (had || has) keys.add(key);
    }
    return keys;
  }

  #stands(one: RuleSide, selector: Selector, node: NetworkNode): boolean {
    if (one.via.length > 0) return carriesVia(one.via, selector, node);
    if (this.#directory.selects(selector, node)) return true;
    if (selector.kind === 'addresses') {
      return (
        node.subnets.some(({ range }) => overlapsAny(selector.ranges, range)) ||
        (one.role === 'destination' &&
          node.exitRoutes.length > 0 &&
          selector.ranges.some((range) => isExitFor(node, range)))
      );
    }
    return one.role === 'destination' && isInternet(selector) && node.exitRoutes.length > 0;
  }

  #forget(): void {
    this.#sets.clear();
    this.#memberships = 0;
  }
}

/** Whether a router carries a destination of a rule with `via`. */
export function carriesVia(via: readonly string[], selector: Selector, node: NetworkNode): boolean {
  if (!node.tags.some((tag) => via.includes(tag))) return false;
  if (isInternet(selector)) return node.exitRoutes.length > 0;
  return (
    selector.kind === 'addresses' && node.subnets.some(({ range }) => overlapsAny(selector.ranges, range))
  );
}

/** Whether an exit node takes traffic to these addresses: public ones of a family that it carries. */
export function isExitFor(node: NetworkNode, range: IpRange): boolean {
  const family = range.family === 4 ? '0.0.0.0/0' : '::/0';
  return node.exitRoutes.includes(family) && isPublic(range);
}

/** Whether a device receives traffic for these addresses: they are its own or a subnet's behind it. */
export function receives(node: NetworkNode, range: IpRange): boolean {
  return (
    node.addresses.some((own) => covers(range, rangeOfIp(own))) ||
    node.subnets.some((subnet) => overlaps(subnet.range, range)) ||
    isExitFor(node, range)
  );
}
