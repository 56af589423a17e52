/** Which grants hold for a caller, from the document, the store and the network alike. */
import type { Caller, TokenScope } from '../identity/caller.ts';
import { HujsonError, type JsonValue, parseHujson } from '../wire/hujson.ts';
import { Cursor, ProblemSink } from './cursor.ts';
import { CAPABILITY_NAMES, type Capability, type GatewayDocument, type Role } from './document.ts';
import { compileGlob, type Glob, matchesAny } from './glob.ts';
import {
  isBareSharedDevice,
  isLocal,
  matchSource,
  type SourceMatch,
  type SourceSubject,
} from './match-source.ts';
import type { StoredGrantView } from './ports.ts';
import { type CapabilityContext, readCapability } from './read-capability.ts';

/** A capability, ready to match models. */
export interface CompiledCapability {
  readonly capability: Capability;
  /** Null: floating. */
  readonly globs: readonly Glob[] | null;
}

/** A grant, wherever it comes from. */
export interface CompiledGrant {
  readonly path: string;
  readonly src: readonly string[];
  readonly capabilities: readonly CompiledCapability[];
  /** As in `GrantEntry`. */
  readonly otherCapabilities: ReadonlyMap<string, readonly JsonValue[]>;
}

export interface CompiledDeny {
  readonly path: string;
  readonly src: readonly string[];
  /** Over folded names (`foldModelName`). */
  readonly globs: readonly Glob[];
}

/**
 * `provider/model` as deny entries see it: without case, and without the `models/` that Google's ids
 * may begin with, because providers take such spellings for the same model. Grants stay exact.
 */
function foldModelName(name: string): string {
  return name.toLowerCase().replace(/^([^/]+\/)(?:models\/)+/, '$1');
}

/** Whether a deny entry closes a model, as `provider/model`. */
export function isDenied(entry: CompiledDeny, name: string): boolean {
  return matchesAny(entry.globs, name.toLowerCase()) || matchesAny(entry.globs, foldModelName(name));
}

/** Everything that `rulesOf` needs, compiled once per snapshot. */
export interface RuleBook {
  readonly grants: readonly CompiledGrant[];
  readonly deny: readonly CompiledDeny[];
  readonly groups: ReadonlyMap<string, readonly string[]>;
  readonly context: CapabilityContext;
}

/** One grant as tried on one caller. */
export interface TriedGrant {
  readonly grant: CompiledGrant;
  readonly tries: readonly SourceMatch[];
  /** The `src` entry that matched first. */
  readonly matchedSrc: string | null;
}

export interface CallerRules {
  readonly groups: ReadonlySet<string>;
  readonly subject: SourceSubject;
  readonly tried: readonly TriedGrant[];
  readonly deny: readonly CompiledDeny[];
}

/** A capability that holds, after the rules on who can be an admin. */
export interface HeldCapability extends CompiledCapability {
  readonly src: string;
  /** What the owner has; the same as `role` but for a token's scopes. */
  readonly ownerRole: Role | null;
  readonly role: Role | null;
}

/** The network may carry much; what is beyond this is not read. */
const NETWORK_CAPABILITIES_MAX = 256;
const NETWORK_CAPABILITY_MAX_LENGTH = 64 * 1024;

export function compileRuleBook(
  document: GatewayDocument,
  stored: readonly StoredGrantView[],
  built: CapabilityContext['built'],
): RuleBook {
  const fromDocument = document.grants.map((grant) => ({
    path: grant.path,
    src: grant.src,
    capabilities: grant.capabilities.map(compileCapability),
    otherCapabilities: grant.otherCapabilities,
  }));
  return {
    grants: [...fromDocument, ...stored.map(compileStoredGrant)],
    deny: document.deny.map((entry) => ({
      path: entry.path,
      src: entry.src,
      globs: entry.models.map((pattern) => compileGlob(pattern.toLowerCase())),
    })),
    groups: document.groups,
    context: {
      quotas: new Set(document.quotas.keys()),
      hooks: document.hooks,
      guardrails: new Set(document.guardrails.keys()),
      built,
    },
  };
}

/** Tries every grant on a caller. Total: nothing that the network carried can make it throw. */
export function rulesOf(book: RuleBook, caller: Caller): CallerRules {
  const subject = subjectOf(book, caller);
  const tried = book.grants.map((grant) => tryGrant(grant, subject));
  for (const grant of networkGrants(book, caller)) {
    const shared = isBareSharedDevice(caller);
    const why = shared
      ? 'the device carries the traffic of others and presented no token'
      : 'carried by the network with the caller';
    tried.push({ grant, tries: [{ matched: !shared, why }], matchedSrc: shared ? null : '(network)' });
  }
  const deny = book.deny.filter((entry) => entry.src.some((source) => matchSource(source, subject).matched));
  return { groups: subject.groups, subject, tried, deny };
}

/** Whether one of the `src` entries means the caller, groups of the document included. */
export function isMeantBy(book: RuleBook, caller: Caller, sources: readonly string[]): boolean {
  const subject = subjectOf(book, caller);
  return sources.some((source) => matchSource(source, subject).matched);
}

/** The capabilities that hold, with roles that the caller's door cannot give taken out. */
export function heldCapabilities(rules: CallerRules, caller: Caller): readonly HeldCapability[] {
  const held: HeldCapability[] = [];
  for (const { grant, matchedSrc } of rules.tried) {
    if (matchedSrc === null) continue;
    for (const compiled of grant.capabilities) {
      const { role } = compiled.capability;
      const ownerRole = role !== null && doorAllows(role, grant.src, caller) ? role : null;
      held.push({
        ...compiled,
        src: matchedSrc,
        ownerRole,
        role: ownerRole !== null && tokenAllows(ownerRole, caller) ? ownerRole : null,
      });
    }
  }
  return held;
}

/**
 * The `local` door never makes an admin by being the door, nor by the name of an OS user: only a
 * grant to exactly this principal does.
 */
function doorAllows(role: Role, src: readonly string[], caller: Caller): boolean {
  return role !== 'admin' || !isLocal(caller) || src.includes(caller.principal);
}

/** Scopes that carry a role of the owner, any of them; null: every token does. */
const SCOPES_OF_ROLE: Readonly<Record<Role, readonly TokenScope[] | null>> = {
  admin: ['admin'],
  approver: ['admin'],
  auditor: ['admin', 'read'],
  lead: ['admin', 'read'],
  user: null,
};

function tokenAllows(role: Role, caller: Caller): boolean {
  const needed = SCOPES_OF_ROLE[role];
  return (
    caller.token === null || needed === null || needed.some((scope) => caller.token?.scopes.includes(scope))
  );
}

function subjectOf(book: RuleBook, caller: Caller): SourceSubject {
  const tags = new Set(caller.device?.tags ?? []);
  const groups = new Set<string>();
  if (isBareSharedDevice(caller)) return { caller, groups, tags };
  for (const group of caller.groups) groups.add(group);
  const plain: SourceSubject = { caller, groups: new Set(), tags };
  for (const [name, members] of book.groups) {
    if (members.some((member) => matchSource(member, plain).matched)) groups.add(name);
  }
  return { caller, groups, tags };
}

function tryGrant(grant: CompiledGrant, subject: SourceSubject): TriedGrant {
  const tries = grant.src.map((source) => matchSource(source, subject));
  const index = tries.findIndex((attempt) => attempt.matched);
  return { grant, tries, matchedSrc: index < 0 ? null : (grant.src[index] ?? null) };
}

function compileCapability(capability: Capability): CompiledCapability {
  return { capability, globs: capability.models === null ? null : capability.models.map(compileGlob) };
}

function compileStoredGrant(stored: StoredGrantView): CompiledGrant {
  const from = stored.approvalId ?? null;
  const path = `stored[${stored.principal}:${stored.role}${from === null ? '' : `:${from}`}]`;
  const capability = { ...EMPTY_CAPABILITY, path, role: stored.role, models: stored.models };
  return {
    path,
    src: [stored.principal],
    capabilities: [compileCapability(capability)],
    otherCapabilities: new Map(),
  };
}

const EMPTY_CAPABILITY: Capability = {
  path: '',
  role: null,
  models: null,
  leads: [],
  capture: null,
  addHeaders: [],
  quotas: [],
  hooks: [],
  guardrails: [],
  tools: [],
  cache: null,
  connectors: [],
  readMetrics: false,
  readPricing: false,
  cors: null,
  enableChatUi: null,
};

/** Capabilities of the network's own policy, in the same form and with the same checks as ours. */
function networkGrants(book: RuleBook, caller: Caller): readonly CompiledGrant[] {
  const grants: CompiledGrant[] = [];
  for (const name of CAPABILITY_NAMES) {
    const values = caller.capabilities.get(name) ?? [];
    const capabilities: CompiledCapability[] = [];
    values.slice(0, NETWORK_CAPABILITIES_MAX).forEach((value, index) => {
      const capability = readNetworkCapability(value, ['network', name, index], book.context);
      if (capability !== null) capabilities.push(compileCapability(capability));
    });
    if (capabilities.length > 0)
      grants.push({
        path: `network["${name}"]`,
        src: ['(network)'],
        capabilities,
        otherCapabilities: new Map(),
      });
  }
  return grants;
}

function readNetworkCapability(
  value: unknown,
  path: readonly (string | number)[],
  context: CapabilityContext,
): Capability | null {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // A value that is no JSON (a cycle, a BigInt) is not a capability.
    return null;
  }
  if (text === undefined) return null;
  try {
    const parsed = parseHujson(text, { maxLength: NETWORK_CAPABILITY_MAX_LENGTH, maxDepth: 16 });
    return readCapability(new Cursor(parsed.value, path, new ProblemSink(null)), context);
  } catch (error) {
    if (error instanceof HujsonError) return null;
    throw error;
  }
}
