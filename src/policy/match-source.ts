/**
 * Who a `src` entry means.
 *
 * | entry | means |
 * |---|---|
 * | `*` | this tailnet's devices, and tokens of their people; never the `local` door, never a foreign issuer |
 * | `(loopback)` | callers of the `local` door and their tokens |
 * | `group:x` | members, as the door or token says, or the document's `groups` |
 * | `tag:x` | devices that carry this tag, whatever others |
 * | `tag:a,tag:b` | devices with exactly this set of tags, in any order |
 * | `local:1000`, `tailscale:userid:1`, `service:ci` … | exactly this principal |
 * | anything else | a login, or a group that is named by an address |
 *
 * A shared device that presented no token is nobody. Comparison is exact, case included.
 */
import type { Caller, DoorName } from '../identity/caller.ts';

/** Sources of principals that name members of the tailnet. */
const TAILNET_SOURCES = new Set(['tailscale', 'postern']);
const TAILNET_DOORS: ReadonlySet<DoorName> = new Set(['tailscaled', 'serve', 'node']);
const PRINCIPAL_SOURCES = new Set([...TAILNET_SOURCES, 'local', 'jwt', 'service']);
const SOURCE_MAX_LENGTH = 512;

export type SourceMatch = { readonly matched: boolean; readonly why: string };

/** The part of a principal before its first colon. */
export function principalSource(principal: string): string {
  const colon = principal.indexOf(':');
  return colon < 0 ? '' : principal.slice(0, colon);
}

/** Why a text can be no `src` entry, in words that end a sentence; null if it can. */
export function sourceFault(source: string): string | null {
  if (source === '' || source.trim() !== source) return 'is empty or has blanks around it';
  if (source.length > SOURCE_MAX_LENGTH) return `has more than ${SOURCE_MAX_LENGTH} characters`;
  if (source.startsWith('autogroup:'))
    return `is "${source}"; autogroups are known to the network's policy file only`;
  if (source === 'group:' || source === 'tag:') return 'names nothing';
  if (source.includes('*') && source !== '*') return 'holds a "*"; only "*" alone is a wildcard here';
  if (source.startsWith('tag:') && source.split(',').some((tag) => !/^tag:[A-Za-z0-9-]+$/.test(tag)))
    return 'is no tag or list of tags';
  return null;
}

/** What a caller is matched by; groups already hold those of the document. */
export interface SourceSubject {
  readonly caller: Caller;
  readonly groups: ReadonlySet<string>;
  readonly tags: ReadonlySet<string>;
}

/** Whether one `src` entry means this caller, and why in a few words. */
export function matchSource(source: string, subject: SourceSubject): SourceMatch {
  const { caller, groups, tags } = subject;
  const no = (why: string): SourceMatch => ({ matched: false, why: `${source}: ${why}` });
  const yes = (why: string): SourceMatch => ({ matched: true, why: `${source}: ${why}` });
  if (isBareSharedDevice(caller))
    return no('the device carries the traffic of others and presented no token');
  if (source === '*') {
    return isTailnetMember(caller)
      ? yes('a device of this tailnet')
      : no(`came by the ${caller.door} door, which is no device of this tailnet`);
  }
  if (source === '(loopback)')
    return isLocal(caller) ? yes('the local door') : no(`came by the ${caller.door} door`);
  if (source.startsWith('group:')) return groups.has(source) ? yes('a member') : no('not a member');
  if (source.startsWith('tag:'))
    return matchTags(source, tags) ? yes("the device's tags") : no(describeTags(tags));
  if (PRINCIPAL_SOURCES.has(principalSource(source))) {
    return caller.principal === source ? yes('this principal') : no(`the principal is ${caller.principal}`);
  }
  if (caller.user !== null && caller.user.login === source) return yes('the login');
  if (groups.has(source)) return yes('a member');
  return no(caller.user === null ? 'the caller has no login' : `the login is ${caller.user.login}`);
}

/** A machine that others use as theirs, without a token that says who. */
export function isBareSharedDevice(caller: Caller): boolean {
  return caller.device !== null && caller.device.shared && caller.door !== 'token';
}

/** The `local` door, or a token of somebody whom that door knows. */
export function isLocal(caller: Caller): boolean {
  return (
    caller.door === 'local' || (caller.door === 'token' && principalSource(caller.principal) === 'local')
  );
}

function isTailnetMember(caller: Caller): boolean {
  if (TAILNET_DOORS.has(caller.door)) return true;
  return caller.door === 'token' && TAILNET_SOURCES.has(principalSource(caller.principal));
}

function matchTags(source: string, tags: ReadonlySet<string>): boolean {
  if (!source.includes(',')) return tags.has(source);
  const wanted = new Set(source.split(','));
  return wanted.size === tags.size && [...wanted].every((tag) => tags.has(tag));
}

function describeTags(tags: ReadonlySet<string>): string {
  return tags.size === 0 ? 'the device has no tags' : `the device has ${[...tags].sort().join(',')}`;
}
