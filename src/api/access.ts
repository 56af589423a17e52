/**
 * The one authorisation layer: every route declares what it asks, and a request reaches no handler
 * and no body parser before it passed. What is not declared is refused, because a route cannot be
 * registered without it (`router.ts`).
 */
import type { TokenScope } from '../identity/caller.ts';
import { BREAK_GLASS_PRINCIPAL } from '../identity/principal.ts';
import { type Actor, callerActor, operatorActor, type Presence } from './actor.ts';
import { ApiError } from './errors.ts';
import type { ApiDependencies, RequestContext } from './ports.ts';
import type { PresenceSessions } from './presence/sessions.ts';

/**
 * The least that a caller must be. `public` needs no identity; `known` any identity; `user` any
 * role; `auditor` and `admin` that role (an admin is an auditor too); `metrics` and `pricing` the
 * capability of that name, which no role implies.
 */
export type RequiredRole = 'public' | 'known' | 'user' | 'auditor' | 'admin' | 'metrics' | 'pricing';

export interface RouteAccess {
  readonly role: RequiredRole;
  /** The caller must have shown presence within the last minutes (DESIGN section 5). */
  readonly presence: boolean;
  /** What a token must carry to be let in; `admin` includes `read`. Null: tokens of any scope. */
  readonly scope: TokenScope | null;
}

/** The parts of a request that authorisation reads; nothing else of it decides. */
export interface AccessFacts {
  readonly context: RequestContext;
  /** `Authorization` and `X-Postern-Authorization`, for the break-glass token only. */
  readonly credentials: readonly string[];
  /** This server's origin as the client sees it; its `Host` passed the listener's closed list. */
  readonly ownOrigin: string;
  readonly presenceHeader: string | undefined;
  readonly presenceCookie: string | undefined;
  readonly presenceProof: string | undefined;
}

/** Listeners on which a token could be presented, so that a missing identity is a challenge. */
const TOKEN_LISTENERS: ReadonlySet<string> = new Set(['loopback', 'tailnet', 'public']);
/** Listeners that take the break-glass token. Not `serve`, whose proxy names the caller, or is Funnel (DESIGN section 4). */
const BREAK_GLASS_LISTENERS: ReadonlySet<string> = new Set([...TOKEN_LISTENERS, 'socket']);

/**
 * The actor, or throws the refusal. Role is checked before presence, so that presence is asked only
 * of those whom it would help.
 */
export function authorize(
  access: RouteAccess,
  facts: AccessFacts,
  parts: { readonly deps: ApiDependencies; readonly sessions: PresenceSessions },
): Actor {
  const { deps } = parts;
  if (
    BREAK_GLASS_LISTENERS.has(facts.context.listener) &&
    facts.credentials.some((text) => isBreakGlass(text, deps))
  )
    return operatorActor(deps.tailnet);
  const actor = knownActor(facts, parts);
  checkScope(access, actor);
  checkRole(access.role, actor);
  if (access.presence && actor.presence === null) throw presenceRequired(facts, deps);
  return actor;
}

/** 403 with the page where presence is shown. */
export function presenceRequired(
  facts: Pick<AccessFacts, 'context' | 'ownOrigin'>,
  deps: Pick<ApiDependencies, 'consoleUrl'>,
): ApiError {
  return new ApiError(
    'presence_required',
    'this needs you in person: show presence with `postern login`, or open presence_url in a browser',
    { members: { presence_url: `${consoleOrigin(facts, deps)}/presence` } },
  );
}

/** Where people's links point: this origin if it is encrypted, else the console's own on this machine. */
export function consoleOrigin(
  facts: Pick<AccessFacts, 'context' | 'ownOrigin'>,
  deps: Pick<ApiDependencies, 'consoleUrl'>,
): string {
  return facts.context.secure ? facts.ownOrigin : deps.consoleUrl;
}

/** One refusal for all whom no door knows: a challenge where a token could be presented. */
export function identityRequired(listener: string): ApiError {
  if (!TOKEN_LISTENERS.has(listener))
    return new ApiError('no_identity', 'nobody vouches for this connection');
  return new ApiError('identity_required', 'nobody vouches for this connection; present a Postern token', {
    headers: { 'www-authenticate': 'Bearer realm="postern"' },
  });
}

function isBreakGlass(text: string, deps: ApiDependencies): boolean {
  const bearer = /^Bearer +(\S+)$/i.exec(text);
  return bearer?.[1] !== undefined && deps.isBreakGlass(bearer[1]);
}

function knownActor(
  facts: AccessFacts,
  { deps, sessions }: { deps: ApiDependencies; sessions: PresenceSessions },
): Actor {
  const { caller, listener } = facts.context;
  if (caller === null) throw identityRequired(listener);
  const access = deps.policy.current().accessOf(caller);
  return callerActor(caller, access, presenceOf(facts, sessions));
}

/**
 * An admin token was minted with presence and carries it. Every other token narrows its owner, so
 * presence shown beside it counts only for what its scope lets through.
 */
function presenceOf(facts: AccessFacts, sessions: PresenceSessions): Presence | null {
  const { caller } = facts.context;
  if (caller === null) return null;
  if (caller.token?.scopes.includes('admin') === true) return { how: 'token', until: null };
  return sessions.find({
    principal: caller.principal,
    header: facts.presenceHeader,
    cookie: facts.presenceCookie,
    proof: facts.presenceProof,
  });
}

function checkScope(access: RouteAccess, actor: Actor): void {
  if (actor.caller?.door !== 'token' || access.scope === null) return;
  const scopes = actor.caller.token?.scopes ?? [];
  if (scopes.includes(access.scope)) return;
  if (access.scope === 'read' && scopes.includes('admin')) return;
  throw new ApiError(
    'scope_missing',
    `this needs a token with the scope "${access.scope}"; this one has ${list(scopes)}`,
  );
}

function checkRole(role: RequiredRole, actor: Actor): void {
  if (MEETS[role](actor)) return;
  throw new ApiError(
    'role_missing',
    `this needs ${NEEDS[role]}; you have ${list([...actor.roles])}. An admin can grant it`,
  );
}

const MEETS: Readonly<Record<RequiredRole, (actor: Actor) => boolean>> = {
  public: () => true,
  known: () => true,
  user: (actor) => actor.roles.size > 0,
  auditor: (actor) => actor.roles.has('auditor') || actor.roles.has('admin'),
  admin: (actor) => actor.roles.has('admin'),
  metrics: (actor) =>
    actor.access?.readMetrics === true || isServiceToken(actor, 'metrics') || isBreakGlassCaller(actor),
  pricing: (actor) => actor.access?.readPricing === true,
};

const NEEDS: Readonly<Record<RequiredRole, string>> = {
  public: 'nothing',
  known: 'an identity',
  user: 'a role',
  auditor: 'the role auditor or admin',
  admin: 'the role admin',
  metrics: 'the capability read_metrics, or a token of a service or an admin with the scope "metrics"',
  pricing: 'the capability read_pricing',
};

/** A service stands for no person whose role could end: what an admin gave its token holds until it is revoked. */
function isServiceToken(actor: Actor, scope: TokenScope): boolean {
  return actor.principal.startsWith('service:') && actor.caller?.token?.scopes.includes(scope) === true;
}

/** The break-glass token in a header other than `Authorization`. */
function isBreakGlassCaller(actor: Actor): boolean {
  return actor.principal === BREAK_GLASS_PRINCIPAL;
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}
