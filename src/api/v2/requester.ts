/**
 * Who asks the API v2. Only credentials count, never a connection's identity: an agent on somebody's laptop is
 * not an administrator, and no page can send what it does not know (DESIGN section 5).
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { ControlAdministration, Tailnet } from '../../tailnet/control/index.ts';
import type { Actor } from '../actor.ts';
import { callerActor, operatorActor } from '../actor.ts';
import type { ApiDependencies, RequestContext } from '../ports.ts';
import { ACCESS_TOKEN_PREFIX, type AccessTokens } from './access-tokens.ts';
import { V2Failure } from './failure.ts';
import { covers, isWithin } from './scopes.ts';

export interface Requester {
  readonly actor: Actor;
  readonly scopes: readonly string[];
  /** What `-` stands for. */
  readonly home: Tailnet;
  /** May make and list tailnets, as far as its scopes go: of the gateway's tailnet, or a person's admin token. */
  readonly isOrganization: boolean;
  /** May name other tailnets than its own: such a one for everything, not a narrow client of the gateway's tailnet. */
  readonly reachesAll: boolean;
  /** Auth keys of an OAuth client bear these; null for a person's token, which may give any. */
  readonly tags: readonly string[] | null;
}

export interface RequesterParts {
  readonly deps: Pick<ApiDependencies, 'tailnet' | 'isBreakGlass' | 'policy'>;
  readonly admin: ControlAdministration;
  readonly tokens: AccessTokens;
}

/** Throws 401 where there is none, 403 for a person's token without the right. */
export function requesterOf(
  headers: IncomingHttpHeaders,
  { caller }: RequestContext,
  { deps, admin, tokens }: RequesterParts,
): Requester {
  const text = credentialOf(headers.authorization);
  if (text === null) throw unauthorized();
  if (text.startsWith(ACCESS_TOKEN_PREFIX)) return clientRequester(text, { deps, admin, tokens });
  const home = organizationHome({ deps, admin });
  const common = { home, isOrganization: true, reachesAll: true, tags: null };
  if (deps.isBreakGlass(text)) return { ...common, actor: operatorActor(deps.tailnet), scopes: ['all'] };
  const scopes = caller?.token?.scopes ?? [];
  if (caller === null || scopes.length === 0) throw unauthorized();
  const actor = callerActor(caller, deps.policy.current().accessOf(caller), { how: 'token', until: null });
  if (actor.roles.has('admin') && scopes.includes('admin')) return { ...common, actor, scopes: ['all'] };
  const mayRead = scopes.includes('admin') || scopes.includes('read');
  if (mayRead && (actor.roles.has('admin') || actor.roles.has('auditor')))
    return { ...common, actor, scopes: ['all:read'] };
  throw new V2Failure(403, 'this needs the token of an admin: postern token create --scope admin');
}

function clientRequester(text: string, { deps, admin, tokens }: RequesterParts): Requester {
  const token = tokens.find(text);
  const client = token === null ? null : admin.clients.get(token.clientTailnet, token.clientId);
  const home = admin.tailnets().find(({ id }) => id === token?.tailnet);
  if (token === null || client === null || client.revokedAt !== null || home === undefined)
    throw unauthorized();
  const isOrganization = token.tailnet === deps.tailnet;
  const isAll = token.scopes.includes('all') && client.scopes.includes('all');
  return {
    actor: {
      ...operatorActor(deps.tailnet),
      principal: `oauth-client:${client.id}`,
      label: client.description === '' ? client.id : client.description,
      door: 'token',
      roles: new Set(),
      presence: { how: 'token', until: null },
    },
    /* A client that was narrowed since narrows its tokens. */
    scopes: token.scopes.filter((scope) => isWithin([scope], client.scopes)),
    home,
    isOrganization,
    reachesAll: isOrganization && isAll,
    tags: isAll ? null : token.tags.filter((tag) => client.tags.includes(tag)),
  };
}

/** What a credential may, for a program to know before it fails. */
export function describeRequester(requester: Requester) {
  const { actor, home, scopes, isOrganization, reachesAll, tags } = requester;
  return {
    principal: actor.principal,
    tailnet: { id: home.id, dnsName: home.domain },
    scopes,
    /* Null: any. */
    tags,
    mayCreateTailnets: isOrganization && covers(scopes, 'tailnets'),
    reachesAllTailnets: reachesAll,
  };
}

/** The gateway's own tailnet: its credentials are the organization's. Another never takes its place. */
function organizationHome({ deps, admin }: Pick<RequesterParts, 'deps' | 'admin'>): Tailnet {
  const home = admin.tailnets().find(({ id }) => id === deps.tailnet);
  if (home === undefined) throw new V2Failure(404, 'the gateway has no tailnet');
  return home;
}

/** Of `Bearer`, or the user name of `Basic`, as Tailscale's clients send an API key. */
export function credentialOf(authorization: string | undefined): string | null {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+)$/i.exec(authorization ?? '') ?? [];
  if (value === '') return null;
  if (scheme.toLowerCase() === 'bearer') return value;
  const [name = ''] = Buffer.from(value, 'base64').toString('utf8').split(':', 1);
  return name === '' ? null : name;
}

function unauthorized(): V2Failure {
  return new V2Failure(401, 'API token invalid or missing');
}
