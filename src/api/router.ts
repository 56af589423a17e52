/**
 * Registers routes on the framework, each with what it asks of its caller: a route without that
 * cannot be written. The table that it keeps is what the tests walk.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { OpenAPIHono, type RouteConfig, type RouteHandler } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie } from 'hono/cookie';
import { HTTPException } from 'hono/http-exception';
import { authorize, identityRequired, type RouteAccess } from './access.ts';
import type { Actor } from './actor.ts';
import { ApiError, problemOf, toApiError } from './errors.ts';
import type { ApiDependencies, RequestContext } from './ports.ts';
import { readWholeBody } from './read-body.ts';
import { PRESENCE_COOKIE, PRESENCE_HEADER, PRESENCE_PROOF_HEADER } from './presence/names.ts';
import type { PresenceSessions } from './presence/sessions.ts';
import { ProblemSchema } from './schemas.ts';

/** What the framework hands to every handler of the API. */
export interface ApiEnv {
  Bindings: { incoming: IncomingMessage; outgoing: ServerResponse };
  Variables: { context: RequestContext; actor: Actor };
}

export type ApiContext = Context<ApiEnv>;

/** A route as the tests and the reference see it. */
export interface RegisteredRoute {
  readonly method: string;
  /** With `{name}` parameters. */
  readonly path: string;
  readonly access: RouteAccess;
}

export interface ApiRouter {
  readonly app: OpenAPIHono<ApiEnv>;
  readonly routes: readonly RegisteredRoute[];
  /** `bodyMaxBytes` is 64 KiB unless told; `unread`: the handler reads the body itself, with a bound of its own. */
  add<Route extends RouteConfig>(
    access: RouteAccess,
    route: Route,
    handler: RouteHandler<Route, ApiEnv>,
    limits?: { readonly bodyMaxBytes: number | 'unread' },
  ): void;
}

export interface RouterOptions {
  readonly deps: ApiDependencies;
  readonly sessions: PresenceSessions;
  /** The context of a request under way; undefined is a programmer's fault. */
  readonly contextOf: (incoming: IncomingMessage) => RequestContext | undefined;
}

/** 64 KiB: the largest small write is a passkey's answer, about 4 KiB. */
const BODY_MAX_BYTES = 64 * 1024;
const WRITES: ReadonlySet<string> = new Set(['post', 'put', 'patch', 'delete']);
/** No form can send these, so a browser asks before another origin may. */
const WRITE_MEDIA = /^application\/(?:json|hujson|[a-z0-9.+-]+\+json)\s*(?:;|$)/i;

export function createRouter(options: RouterOptions): ApiRouter {
  const app = new OpenAPIHono<ApiEnv>({ defaultHook: refuseInvalid, strict: true });
  const routes: RegisteredRoute[] = [];
  app.use(async (c, next) => {
    const context = options.contextOf(c.env.incoming);
    if (context === undefined) throw new Error('request without a context');
    c.set('context', context);
    await next();
  });
  app.onError((error, c) => answerError(error, c, options.deps));
  app.notFound((c) => {
    const { caller, listener } = c.get('context');
    // Strangers learn of public paths only, and that by what their methods are.
    const known = caller === null ? routes.filter(({ access }) => access.role === 'public') : routes;
    if (caller === null && !known.some(({ path }) => matches(path, c.req.path)))
      throw identityRequired(listener);
    throw notFound(c.req.method, c.req.path, known);
  });
  return {
    app,
    routes,
    add(access, route, handler, limits) {
      routes.push({ method: route.method, path: route.path, access });
      const guards: MiddlewareHandler<ApiEnv>[] = [guard(access, options)];
      if (WRITES.has(route.method)) {
        guards.push(refuseForeignWrites);
        const bodyMaxBytes = limits?.bodyMaxBytes ?? BODY_MAX_BYTES;
        if (bodyMaxBytes !== 'unread') guards.push(readBody(bodyMaxBytes));
      }
      const described = {
        operationId: operationId(route.method, route.path),
        ...route,
        description: [route.description, describeAccess(access)]
          .filter((text) => text !== undefined)
          .join('\n\n'),
        responses: { ...route.responses, default: PROBLEM_RESPONSE },
        'x-postern-access': access,
        middleware: guards,
      };
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the framework's types depend on the literal route; `add` checked them
      app.openapi(described, handler as never);
    },
  };
}

const PROBLEM_RESPONSE = {
  description: 'A refusal or failure (RFC 9457).',
  content: { 'application/problem+json': { schema: ProblemSchema } },
};

/** Establishes the actor before anything of the request's content is read. */
function guard(access: RouteAccess, { deps, sessions }: RouterOptions): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (access.role !== 'public') {
      const facts = {
        context: c.get('context'),
        credentials: [c.req.header('authorization'), c.req.header('x-postern-authorization')].filter(
          (text) => text !== undefined,
        ),
        ownOrigin: ownOrigin(c),
        presenceHeader: c.req.header(PRESENCE_HEADER),
        presenceCookie: getCookie(c, PRESENCE_COOKIE),
        presenceProof: c.req.header(PRESENCE_PROOF_HEADER),
      };
      c.set('actor', authorize(access, facts, { deps, sessions }));
    }
    await next();
  };
}

/**
 * The listener's guard refuses other origins already (DESIGN section 4). Here again, and narrower:
 * a write comes from this very origin or from a program, and never as a form.
 */
const refuseForeignWrites: MiddlewareHandler<ApiEnv> = async (c, next) => {
  const site = c.req.header('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin') {
    throw new ApiError('origin_foreign', `a write must come from this origin, not from a ${site} page`);
  }
  const origin = c.req.header('origin');
  if (origin !== undefined && origin !== ownOrigin(c)) {
    throw new ApiError('origin_foreign', 'a write must come from this origin, not from another page');
  }
  const type = c.req.header('content-type');
  const mayLackBody = c.req.method === 'DELETE' && type === undefined;
  if (!mayLackBody && (type === undefined || !WRITE_MEDIA.test(type))) {
    throw new ApiError('media_type_wrong', 'a write needs the content type application/json');
  }
  await next();
};

/**
 * An answer whose media type its schema does not describe (a table, a page, raw bytes), so that the
 * framework's types cannot check it.
 */
export function untyped(response: Response | Promise<Response>): never {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one place where an answer leaves the types
  return response as never;
}

/** This server's origin as the client sees it; the listener has checked `Host` against its closed list. */
export function ownOrigin(c: ApiContext): string {
  return `${c.get('context').secure ? 'https' : 'http'}://${c.req.header('host') ?? ''}`;
}

function readBody(maxBytes: number): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    await readWholeBody(c.env.incoming, maxBytes);
    await next();
  };
}

/** Turns what a schema found into one refusal that lists every field. */
function refuseInvalid(result: {
  success: boolean;
  target: string;
  error?: { issues: readonly { path: PropertyKey[]; message: string }[] };
}): void {
  if (result.success || result.error === undefined) return;
  const errors = result.error.issues
    .slice(0, 50)
    .map((issue) => ({ in: result.target, field: issue.path.map(String).join('.'), message: issue.message }));
  const first = errors[0];
  throw new ApiError(
    'invalid_request',
    first === undefined ? 'the request is invalid' : `${first.field || result.target}: ${first.message}`,
    {
      members: { errors },
    },
  );
}

function notFound(method: string, path: string, routes: readonly RegisteredRoute[]): ApiError {
  const allowed = [
    ...new Set(
      routes.filter((route) => matches(route.path, path)).map((route) => route.method.toUpperCase()),
    ),
  ];
  if (allowed.length === 0)
    return new ApiError('not_found', 'the API has no such path; GET /api/v1/openapi.json lists them');
  return new ApiError(
    'method_wrong',
    `${method} is not a method of this path; it has ${allowed.join(', ')}`,
    {
      headers: { allow: allowed.join(', ') },
    },
  );
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  return (
    wanted.length === given.length &&
    wanted.every((segment, i) => segment.startsWith('{') || segment === given[i])
  );
}

function answerError(error: unknown, c: ApiContext, deps: ApiDependencies): Response {
  const requestId = c.get('context')?.requestId ?? '';
  const failure = error instanceof HTTPException ? fromFramework(error) : toApiError(error);
  if (failure.status >= 500) {
    deps.logger.error('api request failed', {
      request_id: requestId,
      code: failure.code,
      detail: failure.detail,
      path: c.req.path,
    });
  }
  return c.body(JSON.stringify(problemOf(failure, requestId)), failure.status, {
    ...failure.headers,
    'content-type': 'application/problem+json',
  });
}

/** The framework itself refuses only bodies that it cannot read. */
function fromFramework(error: HTTPException): ApiError {
  return new ApiError('invalid_request', 'the body is not JSON', { cause: error });
}

/** A stable name for generated clients: `get /api/v1/requests/{id}/body` is `getRequestsIdBody`. */
function operationId(method: string, path: string): string {
  const words = path
    .replace(/^\/api(?:\/v1)?\//, '')
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '');
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

function describeAccess(access: RouteAccess): string {
  if (access.role === 'public') return 'Needs no identity.';
  const parts = [`Needs ${access.role === 'known' ? 'an identity' : `\`${access.role}\``}`];
  if (access.presence) parts.push('presence');
  const scope = access.scope === null ? '' : ` A token needs the scope \`${access.scope}\`.`;
  return `${parts.join(' and ')}.${scope}`;
}
