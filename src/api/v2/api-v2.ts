/**
 * Tailscale's API v2, so that its Terraform provider and Go client manage Postern's tailnets. Everything is asked
 * with a credential of its own; a tailnet that a credential may not name is answered like one that is not there.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describeError } from '../../base/errors.ts';
import type { ControlAdministration, Tailnet } from '../../tailnet/control/index.ts';
import { recordChange } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, RequestContext } from '../ports.ts';
import { readWholeBody } from '../read-body.ts';
import { AccessTokens } from './access-tokens.ts';
import { DEVICE_ROUTES } from './devices.ts';
import { DNS_ROUTES } from './dns.ts';
import { notFound, toFailure, V2Failure } from './failure.ts';
import { KEY_ROUTES } from './keys.ts';
import { LOGGING_ROUTES } from './logging.ts';
import { CLIENT_ROUTES } from './oauth-clients.ts';
import { answerToken } from './oauth.ts';
import { ORGANIZATION_ROUTES } from './organization.ts';
import { POLICY_ROUTES } from './policy.ts';
import { RepeatedAnswers } from './repeated-answers.ts';
import { describeRequester, type Requester, requesterOf } from './requester.ts';
import { findRoute, type V2Answer, type V2Parts, type V2Route } from './routes.ts';
import { covers } from './scopes.ts';
import { SETTINGS_ROUTES } from './settings.ts';
import { USER_ROUTES } from './users.ts';
import { WEBHOOK_ROUTES } from './webhooks.ts';

export const V2_PREFIX = '/api/v2/';
const TOKEN_PATH = '/oauth/token';
/** Beyond Tailscale's: what the credential of the question may do. It needs no scope. */
const CREDENTIAL_PATH = '/credential';
/** A policy file, and what stands around it. */
const BODY_MAX_BYTES = 1_100_000;

export const V2_ROUTES: readonly V2Route[] = [
  ...DEVICE_ROUTES,
  ...KEY_ROUTES,
  ...CLIENT_ROUTES,
  ...POLICY_ROUTES,
  ...DNS_ROUTES,
  ...SETTINGS_ROUTES,
  ...USER_ROUTES,
  ...ORGANIZATION_ROUTES,
  ...WEBHOOK_ROUTES,
  ...LOGGING_ROUTES,
];

export interface ApiV2 {
  /** Answers every request below `/api/v2/`. Never throws. */
  handle(req: IncomingMessage, res: ServerResponse, context: RequestContext): void;
}

export function createApiV2(deps: ApiDependencies, admin: ControlAdministration): ApiV2 {
  const parts: V2Parts = {
    deps,
    admin,
    tokens: new AccessTokens(deps.clock, deps.random),
    repeated: new RepeatedAnswers(deps.clock),
  };
  return {
    handle(req, res, context) {
      answer(parts, req, context).then(
        (found) => send(res, found),
        (error: unknown) => {
          const failure = toFailure(error) ?? unexpected(error, parts, context);
          /* What an unread body still brings is not waited for. */
          if (!req.complete) res.setHeader('connection', 'close');
          if (failure.status === 401) res.setHeader('www-authenticate', 'Bearer realm="postern"');
          const data = failure.data === null ? {} : { data: failure.data };
          send(res, { status: failure.status, body: { message: failure.message, ...data } });
        },
      );
    },
  };
}

async function answer(parts: V2Parts, req: IncomingMessage, context: RequestContext): Promise<V2Answer> {
  const url = req.url ?? '';
  const mark = url.indexOf('?');
  const path = url.slice(V2_PREFIX.length - 1, mark < 0 ? undefined : mark);
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  if (path === TOKEN_PATH && req.method === 'POST')
    return answerToken({ body: await bodyOf(req), query, headers: req.headers }, parts);
  const requester = requesterOf(req.headers, context, parts);
  if (path === CREDENTIAL_PATH && req.method === 'GET') return { body: describeRequester(requester) };
  const found = findRoute(V2_ROUTES, req.method ?? '', path);
  if ('methods' in found) {
    if (found.methods.length === 0) throw notFound();
    throw new V2Failure(405, `${req.method ?? ''} is not a method of this path`);
  }
  const { route, params } = found;
  if (!covers(requester.scopes, route.scope))
    throw new V2Failure(403, `this token lacks the scope ${route.scope}`);
  const named = params['tailnet'];
  const tailnet = named === undefined ? requester.home : tailnetOf(named, requester, parts.admin);
  const request = {
    requester,
    tailnet,
    params,
    query,
    headers: req.headers,
    body: await bodyOf(req),
    change: <Result>(action: Parameters<typeof recordChange>[2], change: () => Promise<Result>) =>
      recordChange(parts.deps, requester.actor, action, change),
  };
  const key = req.headers['idempotency-key'];
  if (req.method !== 'POST' || typeof key !== 'string') return route.handle(request, parts);
  const whose = [requester.actor.principal, tailnet.id, path];
  return parts.repeated.answer({ whose, key, body: request.body }, async () => route.handle(request, parts));
}

function tailnetOf(named: string, { home, reachesAll }: Requester, admin: ControlAdministration): Tailnet {
  if (named === '-') return home;
  const candidates = reachesAll ? admin.tailnets() : [home];
  const found = candidates.find(({ id, domain, record }) => [id, domain, record.name].includes(named));
  if (found === undefined) throw notFound();
  return found;
}

async function bodyOf(req: IncomingMessage): Promise<Buffer> {
  await readWholeBody(req, BODY_MAX_BYTES);
  return 'rawBody' in req && Buffer.isBuffer(req.rawBody) ? req.rawBody : Buffer.alloc(0);
}

function unexpected(error: unknown, { deps }: V2Parts, { requestId }: RequestContext): V2Failure {
  if (error instanceof ApiError && error.status < 500)
    return new V2Failure(error.status, error.detail ?? error.message);
  deps.logger.error('api v2 request failed', { request_id: requestId, error: describeError(error) });
  return new V2Failure(500, `internal error; the log has the details under ${requestId}`);
}

function send(res: ServerResponse, { status = 200, body, text, headers = {} }: V2Answer): void {
  if (res.headersSent || res.destroyed) return;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.writeHead(status, { 'content-type': text?.type ?? 'application/json' });
  res.end(text?.value ?? JSON.stringify(body ?? {}));
}
