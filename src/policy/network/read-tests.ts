/** The sections `tests` and `sshTests`: what must and must not be possible, checked before a policy is used. */
import type { NetworkTest, Selector, SshTest, TestTarget } from './policy.ts';
import { quote, type PolicyReader } from './reader.ts';
import { splitHostPorts } from './read-access.ts';
import { checkSelector, isHostName, readSelector, type DefinedNames } from './selectors.ts';
import { parsePorts, parseProtocol } from './traffic.ts';

export function readTests(reader: PolicyReader, names: DefinedNames): readonly NetworkTest[] {
  return reader.items().flatMap((item) => readTest(item, names) ?? []);
}

function readTest(reader: PolicyReader, names: DefinedNames): NetworkTest | null {
  const test = reader.members(['src', 'user', 'proto', 'accept', 'allow', 'deny', 'srcPostureAttrs']);
  if (test === null) {
    reader.error(
      'bad_type',
      `${reader.place.path} must be an object`,
      'write { "src": "…", "accept": […], "deny": […] }',
    );
    return null;
  }
  if (test.srcPostureAttrs.entries().length > 0) {
    test.srcPostureAttrs.error('not_built', 'posture is not supported', 'remove srcPostureAttrs');
  }
  const protocolText = test.proto.optionalText();
  const protocol = protocolText === null || protocolText === '' ? null : parseProtocol(protocolText);
  if (protocol !== null && ('fault' in protocol || ![6, 17, 132].includes(protocol.value))) {
    test.proto.error(
      'bad_test',
      `a test tries tcp, udp or sctp, got ${quote(protocolText ?? '')}`,
      'write "tcp", "udp" or "sctp"',
    );
  }
  const src = test.src.isAbsent ? test.user : test.src;
  const source = readSelector(src, 'test source', names);
  const accepted = test.accept.isAbsent ? test.allow : test.accept;
  const accept = accepted.items().flatMap((item) => readTestTarget(item, names) ?? []);
  const deny = test.deny.items().flatMap((item) => readTestTarget(item, names) ?? []);
  if (accepted.items().length + test.deny.items().length === 0) {
    reader.error('bad_test', 'the test asks nothing', 'add "accept" or "deny" with host:port');
  }
  if (source === null) return null;
  return {
    ...reader.place,
    source,
    sourceText: src.text() ?? '',
    protocol: protocol !== null && 'value' in protocol ? protocol.value : null,
    accept,
    deny,
  };
}

/** One host and one port: a test is one attempt to connect. */
function readTestTarget(reader: PolicyReader, names: DefinedNames): TestTarget | null {
  const text = reader.text();
  if (text === null) return null;
  const parts = splitHostPorts(text);
  const ports = parts === null ? null : parsePorts(parts.ports);
  const [range, ...more] = ports !== null && 'value' in ports ? ports.value : [];
  if (parts === null || range === undefined || more.length > 0 || range.first !== range.last) {
    reader.error('bad_test', `${quote(text)} is not one host and one port`, 'write host:443');
    return null;
  }
  const selector = checkSelector(parts.host, reader, 'test destination', names);
  if (selector === null) return null;
  if (isManyAddresses(selector, parts.host)) {
    reader.error(
      'bad_test',
      `${quote(text)} is many addresses, and a test connects to one`,
      'name one address',
    );
    return null;
  }
  return { text, selector, port: range.first };
}

function isManyAddresses(selector: Selector, written: string): boolean {
  if (selector.kind !== 'addresses') return false;
  if (!isHostName(written) && written.includes('/')) return true;
  const [range, ...more] = selector.ranges;
  return range === undefined || more.length > 0 || range.first !== range.last;
}

export function readSshTests(reader: PolicyReader, names: DefinedNames): readonly SshTest[] {
  return reader.items().flatMap((item) => readSshTest(item, names) ?? []);
}

function readSshTest(reader: PolicyReader, names: DefinedNames): SshTest | null {
  const test = reader.members(['src', 'dst', 'accept', 'check', 'deny', 'srcPostureAttrs']);
  if (test === null) {
    reader.error(
      'bad_type',
      `${reader.place.path} must be an object`,
      'write { "src": "…", "dst": […], "accept": ["root"] }',
    );
    return null;
  }
  const source = readSelector(test.src, 'SSH test source', names);
  const destinations = test.dst.items().flatMap((item) => {
    const text = item.text();
    const selector = text === null ? null : checkSelector(text, item, 'SSH test destination', names);
    if (text === null || selector === null) return [];
    if (isManyAddresses(selector, text)) {
      item.error('bad_test', `${quote(text)} is many addresses, and a test logs in to one host`, 'name one');
      return [];
    }
    return [{ text, selector }];
  });
  if (test.dst.items().length === 0) reader.error('bad_test', 'the test has no dst', 'add "dst": ["tag:…"]');
  const [accept = [], check = [], deny = []] = [test.accept, test.check, test.deny].map(readTestUsers);
  if (accept.length + check.length + deny.length === 0) {
    reader.error('bad_test', 'the test asks nothing', 'add "accept", "check" or "deny" with user names');
  }
  return source === null
    ? null
    : { ...reader.place, source, sourceText: test.src.text() ?? '', destinations, accept, check, deny };
}

function readTestUsers(reader: PolicyReader): readonly string[] {
  const users: string[] = [];
  for (const item of reader.items()) {
    const user = item.text();
    if (user === '') item.error('bad_test', 'an empty user name logs in nowhere', 'write a name');
    else if (user !== null) users.push(user);
  }
  return users;
}
