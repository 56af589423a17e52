/** How the routes of the API v2 are written down, and the table that finds one. */
import type { ControlAdministration, Tailnet } from '../../tailnet/control/index.ts';
import type { AuditedAction } from '../audit-trail.ts';
import type { ApiDependencies } from '../ports.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { RepeatedAnswers } from './repeated-answers.ts';
import type { Requester } from './requester.ts';
import type { NeededScope } from './scopes.ts';

export interface V2Answer {
  /** Default 200. */
  readonly status?: number;
  /** JSON; absent: `{}`. */
  readonly body?: unknown;
  /** Instead of JSON. */
  readonly text?: { readonly type: string; readonly value: string };
  readonly headers?: Readonly<Record<string, string>>;
}

export interface V2Parts {
  readonly deps: ApiDependencies;
  readonly admin: ControlAdministration;
  readonly tokens: AccessTokens;
  readonly repeated: RepeatedAnswers;
}

export interface V2Request {
  readonly requester: Requester;
  /** Of `{tailnet}`, which the requester may name; else the requester's own. */
  readonly tailnet: Tailnet;
  /** Of the path's other parameters. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** The change is in the audit log before it is made. */
  readonly change: <Result>(action: AuditedAction, change: () => Promise<Result>) => Promise<Result>;
}

export interface V2Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `/api/v2`, with `{name}` parameters; `{tailnet}` is resolved before the handler. */
  readonly path: string;
  readonly scope: NeededScope;
  readonly handle: (request: V2Request, parts: V2Parts) => V2Answer | Promise<V2Answer>;
}

export interface FoundRoute {
  readonly route: V2Route;
  readonly params: Readonly<Record<string, string>>;
}

/** `methods` are those that the path has, where the asked one is not among them. */
export function findRoute(
  routes: readonly V2Route[],
  method: string,
  path: string,
): FoundRoute | { readonly methods: readonly string[] } {
  const given = path.split('/');
  const methods: string[] = [];
  for (const route of routes) {
    const params = matchPath(route.path.split('/'), given);
    if (params === null) continue;
    if (route.method === method) return { route, params };
    methods.push(route.method);
  }
  return { methods };
}

function matchPath(wanted: readonly string[], given: readonly string[]): Record<string, string> | null {
  if (wanted.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [i, segment] of wanted.entries()) {
    const part = given[i] ?? '';
    if (!segment.startsWith('{')) {
      if (segment !== part) return null;
      continue;
    }
    const value = decoded(part);
    if (value === null || value === '') return null;
    params[segment.slice(1, -1)] = value;
  }
  return params;
}

function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}
