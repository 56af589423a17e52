/**
 * Who a rule is about, as text: `*`, people, groups, tags, autogroups, hosts, sets of addresses,
 * addresses. Which of them may stand where is said by the tables below.
 */
import { nearestName } from '../../base/nearest-name.ts';
import { parseIpRange, unionOf, type IpRange, type IpRanges } from './ip-ranges.ts';
import { ROLE_AUTOGROUPS, type AutogroupName, type Selector } from './policy.ts';
import { quote, type PolicyReader } from './reader.ts';

/** What a file defines, for the names in its rules. */
export interface DefinedNames {
  readonly groups: ReadonlySet<string>;
  readonly tags: ReadonlySet<string>;
  /** By their names; `ipset:x` among them. */
  readonly addresses: ReadonlyMap<string, IpRanges>;
  /** A group that the file does not define may come from sign-in. */
  readonly groupsFromSignIn: boolean;
  /** Mail domains of the tailnet's people, in lower case; null: not known, and then any may be named. */
  readonly domains: ReadonlySet<string> | null;
  /** Counted down with every selector and range that a rule names, so that one file stays bounded. */
  readonly budget: { selectors: number };
}

/** Where a selector stands. */
export type SelectorUse =
  | 'source'
  | 'destination'
  | 'SSH source'
  | 'SSH destination'
  | 'node attribute target'
  | 'tag owner'
  | 'auto approver'
  | 'test source'
  | 'test destination'
  | 'SSH test source'
  | 'SSH test destination';

type Kind = Selector['kind'];

const PEOPLE: readonly AutogroupName[] = ROLE_AUTOGROUPS;
const DEVICES: readonly AutogroupName[] = [...PEOPLE, 'tagged', 'shared'];

/** The kinds and autogroups that have a meaning at a place. */
const ALLOWED: Readonly<
  Record<SelectorUse, { readonly kinds: readonly Kind[]; readonly autogroups: readonly AutogroupName[] }>
> = {
  source: {
    kinds: ['any', 'user', 'domain', 'group', 'tag', 'autogroup', 'addresses'],
    autogroups: [...DEVICES, 'danger-all'],
  },
  destination: {
    kinds: ['any', 'user', 'domain', 'group', 'tag', 'autogroup', 'addresses'],
    autogroups: [...PEOPLE, 'tagged', 'self', 'internet'],
  },
  'SSH source': { kinds: ['user', 'domain', 'group', 'tag', 'autogroup'], autogroups: DEVICES },
  'SSH destination': {
    kinds: ['user', 'tag', 'autogroup'],
    autogroups: [...PEOPLE, 'tagged', 'self'],
  },
  'node attribute target': {
    kinds: ['any', 'user', 'domain', 'group', 'tag', 'autogroup', 'addresses'],
    autogroups: [...PEOPLE, 'tagged'],
  },
  'tag owner': { kinds: ['user', 'group', 'tag', 'autogroup'], autogroups: PEOPLE },
  'auto approver': { kinds: ['user', 'group', 'tag', 'autogroup'], autogroups: [...PEOPLE, 'tagged'] },
  'test source': { kinds: ['user', 'group', 'tag', 'autogroup', 'addresses'], autogroups: DEVICES },
  'test destination': {
    kinds: ['any', 'user', 'group', 'tag', 'autogroup', 'addresses'],
    autogroups: [...PEOPLE, 'tagged', 'self'],
  },
  'SSH test source': { kinds: ['user', 'group', 'tag', 'autogroup', 'addresses'], autogroups: DEVICES },
  'SSH test destination': {
    kinds: ['user', 'tag', 'autogroup', 'addresses'],
    autogroups: [...PEOPLE, 'tagged', 'self'],
  },
};

const AUTOGROUPS: readonly AutogroupName[] = [
  ...ROLE_AUTOGROUPS,
  'tagged',
  'self',
  'internet',
  'danger-all',
  'shared',
];

/** Tag names: a letter, then letters, digits and dashes. */
const TAG = /^tag:[A-Za-z][A-Za-z0-9-]{0,62}$/;
/** A host's name; what looks like an address is one. */
const HOST = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export function isTagName(text: string): boolean {
  return TAG.test(text);
}

export function isHostName(text: string): boolean {
  return HOST.test(text) && parseIpRange(text) === null;
}

/** Reads one selector and checks that it is defined and may stand here; faults are reported. */
export function readSelector(reader: PolicyReader, use: SelectorUse, names: DefinedNames): Selector | null {
  const text = reader.text();
  return text === null ? null : checkSelector(text, reader, use, names);
}

/** The same for a text that is part of a value, like the host of `host:port`. */
export function checkSelector(
  text: string,
  reader: PolicyReader,
  use: SelectorUse,
  names: DefinedNames,
): Selector | null {
  const selector = parseSelector(text, reader, names);
  if (selector === null) return null;
  const wasWithin = names.budget.selectors >= 0;
  names.budget.selectors -= selector.kind === 'addresses' ? Math.max(1, selector.ranges.length) : 1;
  if (names.budget.selectors < 0) {
    if (wasWithin) {
      reader.error(
        'bad_value',
        'the rules name too many people, tags and addresses',
        'use groups, tags and prefixes',
      );
    }
    return null;
  }
  const allowed = ALLOWED[use];
  const fits =
    allowed.kinds.includes(selector.kind) &&
    (selector.kind !== 'autogroup' || allowed.autogroups.includes(selector.name));
  if (fits) return selector;
  reader.error('bad_value', `${quote(text)} cannot be used as ${use}`, misplacedFix(selector, use));
  return null;
}

function misplacedFix(selector: Selector, use: SelectorUse): string {
  if (selector.kind === 'autogroup') {
    if (selector.name === 'internet') return 'autogroup:internet may only be a destination';
    if (selector.name === 'self')
      return 'autogroup:self may only be a destination; name the people as the source';
    if (selector.name === 'danger-all') return 'autogroup:danger-all may only be a source';
  }
  return `${use} is one of: ${ALLOWED[use].kinds.join(', ')}`;
}

function parseSelector(text: string, reader: PolicyReader, names: DefinedNames): Selector | null {
  if (text === '*') return { kind: 'any' };
  if (text.startsWith('autogroup:')) return parseAutogroup(text, reader);
  if (text.startsWith('group:')) return definedGroup(text, reader, names);
  if (text.startsWith('tag:')) return definedTag(text, reader, names);
  if (text.startsWith('user:*@')) {
    const domain = text.slice(7).toLowerCase();
    return checkDomain(domain, reader, names) ? { kind: 'domain', domain } : null;
  }
  const named = names.addresses.get(text);
  if (named !== undefined) return { kind: 'addresses', text, ranges: named };
  if (text.startsWith('ipset:')) return undefinedName(text, reader, [...names.addresses.keys()], 'ipsets');
  if (text.startsWith('svc:')) {
    reader.error(
      'not_built',
      `${quote(text)} names a service, and services are not supported`,
      'name the devices that serve it',
    );
    return null;
  }
  const range: IpRange | null = parseIpRange(text);
  if (range !== null) return { kind: 'addresses', text, ranges: unionOf([range]) };
  if (/^[^\s@:/]+@[^\s@:/]*$/.test(text)) return { kind: 'user', login: text.toLowerCase() };
  return undefinedName(text, reader, [...names.addresses.keys()], 'hosts');
}

/** Whether people of a mail domain can be in the tailnet; a fault if not. */
export function checkDomain(domain: string, reader: PolicyReader, names: DefinedNames): boolean {
  const isName = /^[^\s@*]+$/.test(domain);
  if (isName && (names.domains === null || names.domains.has(domain))) return true;
  reader.error(
    'bad_value',
    isName
      ? `${quote(domain)} is no mail domain of this tailnet's people`
      : `${quote(domain)} is no mail domain`,
    names.domains === null ? 'write user:*@example.com' : `use one of ${[...names.domains].join(', ')}`,
  );
  return false;
}

function parseAutogroup(text: string, reader: PolicyReader): Selector | null {
  const found = AUTOGROUPS.find((name) => text === `autogroup:${name}`);
  if (found === 'shared') {
    reader.warn(
      'never_matches',
      'no devices are shared between tailnets here, so autogroup:shared is nobody',
      'remove it',
    );
  }
  if (found !== undefined) return { kind: 'autogroup', name: found };
  const known = AUTOGROUPS.map((name) => `autogroup:${name}`);
  return undefinedName(text, reader, known, null);
}

function definedGroup(text: string, reader: PolicyReader, names: DefinedNames): Selector | null {
  if (names.groups.has(text)) return { kind: 'group', name: text };
  if (!names.groupsFromSignIn) return undefinedName(text, reader, [...names.groups], 'groups');
  reader.warn(
    'never_matches',
    `${quote(text)} is not defined here, so only sign-in can bring its members`,
    'define it in groups if sign-in does not know it',
  );
  return { kind: 'group', name: text };
}

function definedTag(text: string, reader: PolicyReader, names: DefinedNames): Selector | null {
  return names.tags.has(text)
    ? { kind: 'tag', name: text }
    : undefinedName(text, reader, [...names.tags], 'tagOwners');
}

function undefinedName(
  text: string,
  reader: PolicyReader,
  known: readonly string[],
  section: string | null,
): null {
  const near = nearestName(text, known);
  reader.error(
    'bad_value',
    `${quote(text)} is not defined`,
    near !== null
      ? `did you mean ${quote(near)}?`
      : section === null
        ? `the autogroups are ${known.join(', ')}`
        : `define it in ${section}, or correct the name`,
  );
  return null;
}

/** The selectors of a list; faults are reported and left out. */
export function readSelectors(
  reader: PolicyReader,
  use: SelectorUse,
  names: DefinedNames,
): readonly Selector[] {
  const found: Selector[] = [];
  for (const item of reader.items()) {
    const selector = readSelector(item, use, names);
    if (selector !== null) found.push(selector);
  }
  return found;
}
