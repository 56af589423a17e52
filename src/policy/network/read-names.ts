/** The sections that define names: `groups`, `hosts`, `ipsets`, `tagOwners`, and who may own what. */
import { difference, parseIpRange, unionOf, type IpRange, type IpRanges } from './ip-ranges.ts';
import { internetRanges } from './known-ranges.ts';
import type { Selector } from './policy.ts';
import { quote, type PolicyReader } from './reader.ts';
import { isHostName, isTagName, readSelectors, type DefinedNames } from './selectors.ts';

/** Members over all groups. */
const MEMBERS_MAX = 100_000;
/** Ranges of one set of addresses. */
const SET_RANGES_MAX = 10_000;
/** Ranges that are joined and cut for all sets together. */
const SET_WORK_MAX = 500_000;
/** Sets within sets. */
const SET_DEPTH_MAX = 16;

/** Login names by group; groups have people only, no groups (as at Tailscale). */
export function readGroups(reader: PolicyReader): ReadonlyMap<string, ReadonlySet<string>> {
  const groups = new Map<string, ReadonlySet<string>>();
  let members = 0;
  for (const [name, list] of reader.entries()) {
    if (!/^group:[^\s:]{1,128}$/.test(name)) {
      list.error('bad_value', `${quote(name)} is no group name`, 'write "group:" and a name');
      continue;
    }
    const logins = new Set<string>();
    for (const item of list.items()) {
      const login = item.text();
      if (login === null) continue;
      members += 1;
      if (login.startsWith('group:')) {
        item.error(
          'bad_value',
          `${quote(login)} is a group, and groups have people only`,
          'name its people here',
        );
      } else if (!/^[^\s@]+@[^\s@]*$/.test(login)) {
        item.error(
          'bad_value',
          `${quote(login)} is no login name`,
          'write it with its @, like alice@example.com',
        );
      } else logins.add(login.toLowerCase());
    }
    groups.set(name, logins);
  }
  if (members > MEMBERS_MAX) {
    reader.error(
      'bad_value',
      `the groups have ${members} members; at most ${MEMBERS_MAX} are read`,
      'use groups from sign-in',
    );
  }
  return groups;
}

/** Addresses by the name of a host or `ipset:` set. */
export function readAddressNames(hosts: PolicyReader, ipsets: PolicyReader): Map<string, IpRanges> {
  const named = new Map<string, IpRanges>();
  for (const [name, entry] of hosts.entries()) {
    if (!isHostName(name)) {
      entry.error('bad_value', `${quote(name)} is no host name`, 'use letters, digits, dots and dashes');
      continue;
    }
    const text = entry.text();
    if (text === null) continue;
    const range = text.includes('-') ? null : parseIpRange(text);
    if (range === null)
      entry.error('bad_value', `${quote(text)} is no address and no prefix`, 'write 10.0.0.1 or 10.0.0.0/24');
    else named.set(name, [range]);
  }
  const sets = new Map(ipsets.entries());
  const budget = { ranges: SET_WORK_MAX };
  for (const [name, entry] of sets) {
    if (!/^ipset:[^\s:]{1,128}$/.test(name))
      entry.error('bad_value', `${quote(name)} is no name of a set`, 'write "ipset:" and a name');
    else readSet(name, { sets, named, stack: [], budget });
  }
  return named;
}

interface SetReading {
  readonly sets: ReadonlyMap<string, PolicyReader>;
  readonly named: Map<string, IpRanges>;
  readonly stack: readonly string[];
  /** Ranges that may still be joined or cut, over all sets. */
  readonly budget: { ranges: number };
}

/** One set and, before it, the sets that it names. */
function readSet(name: string, reading: SetReading): IpRanges {
  const { sets, named, stack } = reading;
  const known = named.get(name);
  const entry = sets.get(name);
  if (known !== undefined || entry === undefined) return known ?? [];
  const fault = stack.includes(name)
    ? `${quote(name)} contains itself`
    : stack.length >= SET_DEPTH_MAX
      ? `sets lie in each other more than ${SET_DEPTH_MAX} deep`
      : null;
  if (fault !== null) entry.error('bad_value', fault, 'name the addresses instead');
  const ranges = fault === null ? joinEntries(entry, { ...reading, stack: [...stack, name] }) : [];
  if (ranges === null) {
    entry.error('bad_value', `${quote(name)} takes too many ranges to put together`, 'use wider prefixes');
  }
  named.set(name, ranges ?? []);
  return ranges ?? [];
}

/** Entries in their order: what is removed is what the earlier ones added. Null: too much work. */
function joinEntries(entry: PolicyReader, reading: SetReading): IpRanges | null {
  const { budget } = reading;
  let ranges: IpRanges = [];
  let added: IpRange[] = [];
  for (const item of entry.items()) {
    const text = item.text();
    if (text === null) continue;
    const [, operation, operand] = /^(?:(add|remove)\s+)?(\S+)$/.exec(text) ?? [];
    const operands = operand === undefined ? null : setOperand(operand, reading);
    if (operands === null) {
      item.error(
        'bad_value',
        `${quote(text)} is no part of a set of addresses`,
        'write an address, prefix, range, host, other ipset or autogroup:internet, with "add " or "remove " before it',
      );
      continue;
    }
    budget.ranges -= operands.length + (operation === 'remove' ? ranges.length + added.length : 0);
    if (budget.ranges < 0) return null;
    if (operation === 'remove') {
      ranges = difference(unionOf([...ranges, ...added]), operands);
      added = [];
    } else for (const range of operands) added.push(range);
  }
  const joined = unionOf([...ranges, ...added]);
  return joined.length > SET_RANGES_MAX ? null : joined;
}

function setOperand(text: string, reading: SetReading): IpRanges | null {
  if (text === 'autogroup:internet') return internetRanges();
  if (text.startsWith('ipset:')) return reading.sets.has(text) ? readSet(text, reading) : null;
  const host = reading.named.get(text);
  if (host !== undefined) return host;
  const range: IpRange | null = parseIpRange(text);
  return range === null ? null : [range];
}

/** The names of the tags, before their owners can be read (tags may own tags). */
export function readTagNames(reader: PolicyReader): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [name, owners] of reader.entries()) {
    if (isTagName(name)) names.add(name);
    else
      owners.error(
        'bad_value',
        `${quote(name)} is no tag name`,
        'write "tag:", a letter, then letters, digits and dashes',
      );
  }
  return names;
}

export function readTagOwners(
  reader: PolicyReader,
  names: DefinedNames,
): ReadonlyMap<string, readonly Selector[]> {
  return new Map(
    reader
      .entries()
      .filter(([name]) => names.tags.has(name))
      .map(([name, owners]) => [name, readSelectors(owners, 'tag owner', names)]),
  );
}
