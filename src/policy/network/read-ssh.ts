/** The section `ssh`: who may log in where, as whom. */
import type { Selector, SshRule } from './policy.ts';
import { quote, type PolicyReader } from './reader.ts';
import { checkDomain, readSelectors, type DefinedNames } from './selectors.ts';

/** Seven days, Tailscale's limit. */
const CHECK_PERIOD_MAX_SEC = 168 * 3600;
const UNIT_SEC: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };
const SSH_KEYS = [
  'action',
  'src',
  'dst',
  'users',
  'checkPeriod',
  'acceptEnv',
  'srcPosture',
  'recorder',
  'enforceRecorder',
] as const;

export function readSsh(reader: PolicyReader, names: DefinedNames): readonly SshRule[] {
  return reader.items().flatMap((item) => readSshRule(item, names) ?? []);
}

function readSshRule(reader: PolicyReader, names: DefinedNames): SshRule | null {
  const rule = reader.members(SSH_KEYS);
  if (rule === null) {
    reader.error(
      'bad_type',
      `${reader.place.path} must be an object`,
      'write { "action": "check", "src": […], "dst": […], "users": […] }',
    );
    return null;
  }
  refuseUnbuilt(rule);
  const action = rule.action.optionalText() ?? '';
  if (action !== 'accept' && action !== 'check') {
    rule.action.error(
      action === '' ? 'missing_field' : 'bad_value',
      action === '' ? 'the rule has no action' : `${quote(action)} is no action of an SSH rule`,
      'write "action": "accept" or "check"',
    );
  }
  const sources = readSelectors(rule.src, 'SSH source', names);
  const destinations = readSelectors(rule.dst, 'SSH destination', names);
  checkSshPair(reader, sources, destinations);
  return {
    ...reader.place,
    action: action === 'check' ? 'check' : 'accept',
    sources,
    destinations,
    users: readSshUsers(rule.users, names),
    checkPeriodSec: readCheckPeriod(rule.checkPeriod, action),
    acceptEnv: readAcceptEnv(rule.acceptEnv),
  };
}

function refuseUnbuilt(
  rule: Readonly<Record<'srcPosture' | 'recorder' | 'enforceRecorder', PolicyReader>>,
): void {
  if (rule.srcPosture.items().length > 0) {
    rule.srcPosture.error(
      'not_built',
      'srcPosture is not supported, so the rule would allow too much or nothing',
      'remove srcPosture, or the rule',
    );
  }
  if (rule.recorder.items().length > 0) {
    rule.recorder.error(
      'not_built',
      'sessions are not recorded here, and a rule that asks for it must not pass for one that does',
      'remove recorder, or the rule',
    );
  }
  if (rule.enforceRecorder.optionalBoolean() === true) {
    rule.enforceRecorder.error('not_built', 'sessions are not recorded here', 'remove enforceRecorder');
  }
}

/** Devices of a person are for that person; tagged devices never log in to a person's device. */
function checkSshPair(
  reader: PolicyReader,
  sources: readonly Selector[],
  destinations: readonly Selector[],
): void {
  const hasTagged = sources.some(
    (source) => source.kind === 'tag' || (source.kind === 'autogroup' && source.name === 'tagged'),
  );
  for (const destination of destinations) {
    const isPeople =
      destination.kind === 'user' || (destination.kind === 'autogroup' && destination.name !== 'tagged');
    if (isPeople && hasTagged) {
      reader.error(
        'bad_value',
        'a tagged device cannot log in to the devices of people',
        'use a tag or autogroup:tagged as the destination',
      );
      return;
    }
    if (destination.kind !== 'user') continue;
    const isAlone = sources.every((source) => source.kind === 'user' && source.login === destination.login);
    if (!isAlone) {
      reader.error(
        'bad_value',
        `the devices of ${quote(destination.login)} are for this person alone`,
        'use autogroup:self as the destination',
      );
      return;
    }
  }
}

function readSshUsers(reader: PolicyReader, names: DefinedNames): readonly string[] {
  const users: string[] = [];
  for (const item of reader.items()) {
    const user = item.text();
    if (user === null) continue;
    if (user === '' || user === '*') {
      item.error(
        'bad_value',
        `${quote(user)} is no user of a host`,
        'write names, root, or autogroup:nonroot for all but root',
      );
    } else if (!isLocalpart(user) || checkDomain(user.slice(12).toLowerCase(), item, names)) users.push(user);
  }
  if (reader.items().length === 0) {
    reader.error('missing_field', 'an SSH rule needs users', 'write "users": ["autogroup:nonroot"]');
  }
  return users;
}

/** `12h`, `1h30m`, `45s`, `always`. Null where none is written or it is faulty. */
function readCheckPeriod(reader: PolicyReader, action: string): number | null {
  const text = reader.optionalText();
  if (text === null) return null;
  if (action !== 'check') {
    reader.error('bad_value', 'checkPeriod belongs to "action": "check"', 'remove it, or check');
    return null;
  }
  if (text === 'always') return 0;
  const seconds = durationSec(text);
  if (seconds === null || seconds > CHECK_PERIOD_MAX_SEC) {
    reader.error('bad_value', `${quote(text)} is no time up to 168h`, 'write 30m, 12h or always');
    return null;
  }
  return seconds;
}

/** `localpart:*@domain`: people of a domain, each by the name before the @. */
function isLocalpart(user: string): boolean {
  return user.startsWith('localpart:*@') && user.length > 12;
}

function durationSec(text: string): number | null {
  if (text.length > 40 || !/^(?:[0-9]{1,7}(?:\.[0-9]{1,3})?[hms])+$/.test(text)) return null;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)([hms])/g))
    seconds += Number(amount) * (UNIT_SEC[unit ?? ''] ?? 0);
  return seconds;
}

function readAcceptEnv(reader: PolicyReader): readonly string[] {
  const patterns: string[] = [];
  for (const item of reader.items()) {
    const pattern = item.text();
    if (pattern === '')
      item.error('bad_value', 'an empty name of a variable matches nothing', 'write names, with * and ?');
    else if (pattern !== null) patterns.push(pattern);
  }
  return patterns;
}
