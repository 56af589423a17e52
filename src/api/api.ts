/** The API as one handler of HTTP requests: every request arrives with its identity established. */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { UnixMs } from '../base/clock.ts';
import { describeError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { isPagePath } from './console/addresses.ts';
import { ApiError, problemOf } from './errors.ts';
import { describeRouter } from './describe.ts';
import type { ApiDependencies, RequestContext } from './ports.ts';
import { createPresenceSessions } from './presence/sessions.ts';
import { createRouter, type RegisteredRoute } from './router.ts';
import { addRoutes } from './routes/all.ts';
import { createApiV2, V2_PREFIX } from './v2/index.ts';

/** The link that makes the first admin. Anybody who holds it and can reach the server may use it once. */
export interface ClaimLink {
  readonly url: Secret;
  readonly expiresAt: UnixMs;
}

/** A refusal with a code of docs/reference/errors.md. */
export interface EarlyRefusal {
  readonly requestId: string;
  readonly status: number;
  readonly code: string;
  /** Shown to the caller. */
  readonly detail: string;
}

export interface Api {
  /** Answers every request of the admin API, the pages, /healthz, /readyz and /metrics. Never throws. */
  handle(req: IncomingMessage, res: ServerResponse, context: RequestContext): void;
  /** Answers with a refusal that was decided before the API was asked: `Host`, origin, media type, token. Never throws. */
  refuse(req: IncomingMessage, res: ServerResponse, refusal: EarlyRefusal): void;
  /** Whether a path (without query) is the API's; all others belong to the gateway. */
  owns(path: string): boolean;
  /** Whether a path is a page that only shows, so that a link of anywhere may open it. */
  isPage(path: string): boolean;
  /**
   * Whether writes to a path may have any media type: who asks there is known by a credential that no page has,
   * never by the connection.
   */
  takesAnyBody(path: string): boolean;
  /** A new claim link for the operator's terminal, or null if the server has an admin. */
  offerClaim(): Promise<ClaimLink | null>;
  /** The OpenAPI 3.1 document. */
  openapi(): object;
  /** Every route with what it asks of its caller. */
  readonly routes: readonly RegisteredRoute[];
  /** Ends live streams and subscriptions. */
  close(): void;
}

export function createApi(deps: ApiDependencies): Api {
  const contexts = new WeakMap<IncomingMessage, RequestContext>();
  const sessions = createPresenceSessions(deps);
  const router = createRouter({ deps, sessions, contextOf: (incoming) => contexts.get(incoming) });
  const { claim, metrics, events } = addRoutes(router, deps, sessions);
  // By name: what nobody watches live is then not built at all.
  const unsubscribe = deps.bus.on('request.finished', (row) => metrics.observe(row));
  const v2 = deps.control === undefined ? null : createApiV2(deps, deps.control);
  const listener = getRequestListener((request, env) => router.app.fetch(request, env), {
    // The process keeps its own Request and Response: the hot path must not meet other ones.
    overrideGlobalObjects: false,
    errorHandler: (error) => {
      deps.logger.info('a request could not be read', { error: describeError(error) });
      const failure = new ApiError('invalid_request', 'the request could not be read');
      return new Response(JSON.stringify(problemOf(failure, '')), {
        status: 400,
        headers: { 'content-type': 'application/problem+json' },
      });
    },
  });

  return {
    handle(req, res, context) {
      contexts.set(req, context);
      setFixedHeaders(res, context.requestId);
      if (v2 !== null && takesAnyBody(req.url ?? '')) return v2.handle(req, res, context);
      listener(req, res).catch((error: unknown) => {
        deps.logger.error('an api answer failed', {
          request_id: context.requestId,
          error: describeError(error),
        });
        res.destroy();
      });
    },
    refuse: refuseEarly,
    owns: isApiPath,
    isPage: isPagePath,
    takesAnyBody,
    async offerClaim() {
      const offer = await claim.offer();
      if (offer === null) return null;
      return {
        url: new Secret(`${deps.consoleUrl}/claim#${offer.code.reveal()}`),
        expiresAt: offer.expiresAt,
      };
    },
    openapi: () => describeRouter(router),
    routes: router.routes,
    close() {
      unsubscribe();
      events.close();
    },
  };
}

const EXACT_PATHS: ReadonlySet<string> = new Set([
  '/healthz',
  '/readyz',
  '/metrics',
  '/api/providers',
  '/api/quotas',
  '/api/quotas/refill',
]);
const PREFIXES = ['/api/v1/', V2_PREFIX, '/aperture/', '/assets/', '/plain/'] as const;

/** `/api/hello` is a client's probe and the gateway's; the API's own paths are these and no others. */
function isApiPath(path: string): boolean {
  return EXACT_PATHS.has(path) || isPagePath(path) || PREFIXES.some((prefix) => path.startsWith(prefix));
}

function takesAnyBody(path: string): boolean {
  return path.startsWith(V2_PREFIX);
}

function refuseEarly(req: IncomingMessage, res: ServerResponse, refusal: EarlyRefusal): void {
  if (res.headersSent || res.destroyed) return;
  const { requestId, status, code, detail } = refusal;
  setFixedHeaders(res, requestId);
  if (status === 401) res.setHeader('www-authenticate', 'Bearer realm="postern"');
  // The rest of an unread body is not waited for.
  if (!req.complete) res.setHeader('connection', 'close');
  const title = STATUS_CODES[status] ?? 'Error';
  const problem = { type: 'about:blank', title, status, detail, code, request_id: requestId };
  res.writeHead(status, { 'content-type': 'application/problem+json', 'x-postern-reason': code });
  res.end(req.method === 'HEAD' ? undefined : JSON.stringify(problem));
}

/** On every answer, pages and refusals included. A page sets its own, wider content policy. */
function setFixedHeaders(res: ServerResponse, requestId: string): void {
  res.setHeader('x-postern-request-id', requestId);
  res.setHeader('x-content-type-options', 'nosniff');
  res.setHeader('cache-control', 'no-store');
  res.setHeader('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
  res.setHeader('x-frame-options', 'DENY');
  res.setHeader('referrer-policy', 'no-referrer');
  res.setHeader('cross-origin-resource-policy', 'same-origin');
  res.setHeader('cross-origin-opener-policy', 'same-origin');
}
