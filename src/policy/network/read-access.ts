/** The sections `grants` and `acls`: who may reach what. Both become rules that only ever allow. */
import type { JsonValue } from '../../wire/hujson.ts';
import type { AccessRule, Selector, Traffic } from './policy.ts';
import { quote, type PolicyReader } from './reader.ts';
import { checkSelector, readSelectors, type DefinedNames } from './selectors.ts';
import { ANY_PORT, parsePorts, parseProtocol, parseTraffic, portsFault } from './traffic.ts';

/** Capabilities of Tailscale's own programs that a policy may give; the rest of its domain is kept for the network. */
const TAILSCALE_CAPABILITIES = [
  'aperture',
  'drive',
  'golink',
  'kubernetes',
  'relay',
  'secrets',
  'tsidp',
  'webui',
].map((name) => `tailscale.com/cap/${name}`);

const GRANT_KEYS = ['src', 'dst', 'ip', 'app', 'via', 'srcPosture'] as const;
const ACL_KEYS = ['action', 'src', 'dst', 'proto', 'users', 'ports', 'srcPosture'] as const;

export function readGrants(reader: PolicyReader, names: DefinedNames): readonly AccessRule[] {
  return reader.items().flatMap((item) => readGrant(item, names) ?? []);
}

function readGrant(reader: PolicyReader, names: DefinedNames): AccessRule | null {
  const grant = reader.members(GRANT_KEYS);
  if (grant === null) {
    reader.error(
      'bad_type',
      `${reader.place.path} must be an object`,
      'write { "src": […], "dst": […], "ip": […] }',
    );
    return null;
  }
  refusePosture(grant.srcPosture);
  const sources = readSelectors(grant.src, 'source', names);
  const destinations = readSelectors(grant.dst, 'destination', names);
  const traffic = grant.ip.items().flatMap((item) => readTraffic(item) ?? []);
  const app = readApp(grant.app);
  const via = readVia(grant.via, names);
  if (grant.ip.items().length === 0 && grant.app.entries().length === 0) {
    reader.error(
      'missing_field',
      'a grant needs ip or app',
      'add "ip": ["*"], or the capabilities under "app"',
    );
  }
  if (destinations.some(isInternet) && app !== null) {
    reader.error(
      'bad_value',
      'autogroup:internet has no programs that could read an app capability',
      'remove app here',
    );
  }
  if (via.length > 0 && app !== null) {
    reader.warn(
      'never_matches',
      'a grant with via gives no capabilities, because a router has no program that reads them',
      'move app into a grant of its own',
    );
  }
  checkSelf(reader, sources, destinations, []);
  for (const destination of destinations) {
    if (destination.kind === 'addresses' && destination.ranges.some(isEverything)) {
      reader.error(
        'bad_value',
        `${quote(destination.text)} is every address there is`,
        'write "*" or "autogroup:internet"',
      );
    }
  }
  return { ...reader.place, sources, destinations, traffic, app, via };
}

/** One rule for each destination, since each has its own ports. */
export function readAcls(reader: PolicyReader, names: DefinedNames): readonly AccessRule[] {
  return reader.items().flatMap((item) => readAcl(item, names));
}

function readAcl(reader: PolicyReader, names: DefinedNames): readonly AccessRule[] {
  const acl = reader.members(ACL_KEYS);
  if (acl === null) {
    reader.error(
      'bad_type',
      `${reader.place.path} must be an object`,
      'write { "action": "accept", "src": […], "dst": […] }',
    );
    return [];
  }
  refusePosture(acl.srcPosture);
  const action = acl.action.optionalText();
  if (action !== 'accept') {
    acl.action.error(
      'bad_value',
      action === null ? 'the rule has no action' : `${quote(action)} is no action: a policy can only allow`,
      'write "action": "accept"',
    );
  }
  const protocolText = acl.proto.optionalText();
  const protocol = protocolText === null || protocolText === '' ? null : parseProtocol(protocolText);
  if (protocol !== null && 'fault' in protocol)
    acl.proto.error('bad_value', protocol.fault, 'use one of these');
  const number = protocol !== null && 'value' in protocol ? protocol.value : null;
  const sources = readSelectors(acl.src.isAbsent ? acl.users : acl.src, 'source', names);
  const targets = (acl.dst.isAbsent ? acl.ports : acl.dst)
    .items()
    .flatMap((item) => readTarget(item, number, names) ?? []);
  checkSelf(
    reader,
    sources,
    targets.map(({ selector }) => selector),
    ['any'],
  );
  return inSendingOrder(targets).map(({ selector, traffic }) => ({
    ...reader.place,
    sources,
    destinations: [selector],
    traffic: [traffic],
    app: null,
    via: [],
  }));
}

interface Target {
  readonly selector: Selector;
  readonly traffic: Traffic;
}

/** Tailscale sends `autogroup:self` after the others, unless all destinations are autogroups. */
function inSendingOrder(targets: readonly Target[]): readonly Target[] {
  if (targets.every(({ selector }) => selector.kind === 'autogroup')) return targets;
  return [
    ...targets.filter((one) => !isSelf(one.selector)),
    ...targets.filter((one) => isSelf(one.selector)),
  ];
}

/** `host:ports`; an IPv6 address may stand in brackets. */
function readTarget(reader: PolicyReader, protocol: number | null, names: DefinedNames): Target | null {
  const text = reader.text();
  if (text === null) return null;
  const parts = splitHostPorts(text);
  /* `tag:server` alone: its colon is no port's. */
  if (parts === null || /^(?:autogroup|group|ipset|tag)$/.test(parts.host)) {
    reader.error('bad_value', `${quote(text)} has no ports`, `write ${quote(`${text}:*`)} for every port`);
    return null;
  }
  const ports = parsePorts(parts.ports);
  if ('fault' in ports)
    reader.error('bad_value', `${quote(text)}: ${ports.fault}`, 'write host:port, host:80-443 or host:*');
  const traffic: Traffic = { protocol, ports: 'value' in ports ? ports.value : [ANY_PORT] };
  const fault = portsFault(traffic);
  if (fault !== null)
    reader.error('bad_value', `${quote(text)}: ${fault}`, `write ${quote(`${parts.host}:*`)}`);
  const selector = checkSelector(parts.host, reader, 'destination', names);
  return selector === null ? null : { selector, traffic };
}

/** Cuts `host:ports` at its last colon; null where there is none. */
export function splitHostPorts(text: string): { readonly host: string; readonly ports: string } | null {
  const colon = text.lastIndexOf(':');
  if (colon <= 0 || colon === text.length - 1) return null;
  const host = text.slice(0, colon);
  const bracketed = /^\[([0-9a-fA-F:.]+)\](\/[0-9]+)?$/.exec(host);
  return {
    host: bracketed === null ? host : `${bracketed[1]}${bracketed[2] ?? ''}`,
    ports: text.slice(colon + 1),
  };
}

function readTraffic(reader: PolicyReader): Traffic | null {
  const text = reader.text();
  if (text === null) return null;
  const traffic = parseTraffic(text);
  if ('value' in traffic) return traffic.value;
  reader.error(
    'bad_value',
    `${quote(text)}: ${traffic.fault}`,
    'write "*", "443", "80-443", "tcp:443" or "icmp:*"',
  );
  return null;
}

/** Application capabilities: `domain/path`, each with a list of values. */
export function readApp(reader: PolicyReader): Readonly<Record<string, readonly JsonValue[]>> | null {
  const entries: [string, readonly JsonValue[]][] = [];
  for (const [name, values] of reader.entries()) {
    if (!/^[^/:\s]+\/\S+$/.test(name)) {
      values.error(
        'bad_value',
        `${quote(name)} is no name of a capability`,
        'write a domain and a path, like example.com/cap/name',
      );
    } else if (name.startsWith('tailscale.com/') && !TAILSCALE_CAPABILITIES.includes(name)) {
      values.error(
        'bad_value',
        `${quote(name)} belongs to the network itself`,
        `of tailscale.com, a policy may give ${TAILSCALE_CAPABILITIES.join(', ')}`,
      );
    } else entries.push([name, values.items().map(({ value }) => value ?? null)]);
  }
  return entries.length === 0 ? null : Object.fromEntries(entries);
}

function readVia(reader: PolicyReader, names: DefinedNames): readonly string[] {
  const tags: string[] = [];
  for (const item of reader.items()) {
    const text = item.text();
    if (text === null) continue;
    if (text.startsWith('tag:') && names.tags.has(text)) tags.push(text);
    else
      item.error(
        'bad_value',
        `via is the tag of routers, got ${quote(text)}`,
        'name a tag that tagOwners defines',
      );
  }
  return tags;
}

function refusePosture(reader: PolicyReader): void {
  if (reader.items().length === 0) return;
  reader.error(
    'not_built',
    'srcPosture asks for facts about devices that nothing here checks, so the rule would allow too much or nothing',
    'remove srcPosture, or the rule',
  );
}

/**
 * `autogroup:self` means the devices of whoever asks, so only people can ask. `also` names kinds that
 * are allowed beside them: `*` in acls, where it is narrowed to people.
 */
function checkSelf(
  reader: PolicyReader,
  sources: readonly Selector[],
  destinations: readonly Selector[],
  also: readonly Selector['kind'][],
): void {
  if (!destinations.some(isSelf)) return;
  for (const source of sources) {
    const isPeople =
      source.kind === 'user' ||
      source.kind === 'domain' ||
      source.kind === 'group' ||
      (source.kind === 'autogroup' && !['tagged', 'shared', 'danger-all'].includes(source.name));
    if (isPeople || also.includes(source.kind)) continue;
    reader.error(
      'bad_value',
      'autogroup:self needs people as the source: users, groups, or an autogroup of people',
      'use autogroup:member as the source, or name the destination',
    );
    return;
  }
}

function isSelf(selector: Selector): boolean {
  return selector.kind === 'autogroup' && selector.name === 'self';
}

function isInternet(selector: Selector): boolean {
  return selector.kind === 'autogroup' && selector.name === 'internet';
}

function isEverything({ family, first, last }: { family: 4 | 6; first: bigint; last: bigint }): boolean {
  return first === 0n && last === (1n << (family === 4 ? 32n : 128n)) - 1n;
}
