/**
 * What happens to a request before its surface: id, guard, identity. Then the LLM surface goes to
 * the pipeline and the rest to the API and its pages.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { newId } from '../base/ids.ts';
import type { Api } from '../api/index.ts';
import type { Identifier, IdentifyResult, ListenerKind } from '../doors/index.ts';
import {
  Refused,
  refuse,
  runLlm,
  toRefused,
  type Exchange,
  type GatewayParts,
  type ReasonCode,
} from '../gateway/index.ts';
import type { RequestGuard } from '../net/index.ts';
import type { DeviceProtocols } from './control-upgrades.ts';
import { createStrangerLog } from './stranger-log.ts';

export interface FrontParts {
  readonly gateway: GatewayParts;
  readonly api: Api;
  readonly identifier: Identifier;
  readonly guards: Readonly<Record<ListenerKind, RequestGuard>>;
  /** Of the coordination server, on the loopback and the public listener. */
  readonly protocols: DeviceProtocols;
  /** The connection of this request is encrypted as its client sees it. */
  readonly isSecure: (listener: ListenerKind, req: IncomingMessage) => boolean;
}

export type Front = (req: IncomingMessage, res: ServerResponse, listener: ListenerKind) => void;

/** Where devices join the networks that this process carries (DESIGN section 4). */
const DEVICE_LISTENERS: ReadonlySet<ListenerKind> = new Set<ListenerKind>(['loopback', 'public']);
/** Pages of devices that wait: people come there by links, and back from sign-in providers. */
const SIGN_IN_PATH = '/a/';
/** Paths that answer without knowing who asks: they tell nothing but that a process runs. */
const OPEN_PATHS = new Set(['/healthz', '/readyz']);
/** Strangers write as much as they like; the log does not. */
const LOGGED_PATH_MAX_CHARS = 200;

export function createFront(parts: FrontParts): Front {
  const refusedStranger = createStrangerLog(parts.gateway.logger, parts.gateway.clock);
  const serve = (exchange: Exchange, isLlm: boolean, identity: IdentifyResult): void =>
    serveIdentified(parts, exchange, { isLlm, identity, refusedStranger });
  return (req, res, listener) => {
    const exchange = toExchange(parts.gateway, { req, res, listener });
    const isLlm = !parts.api.owns(exchange.path);
    const guard = parts.guards[listener].checkRequest({
      method: req.method ?? '',
      target: req.url ?? '',
      rawHeaders: req.rawHeaders,
      jsonWrites: !isLlm && !parts.api.takesAnyBody(exchange.path),
      // What a link in a terminal or mail opens only shows; deciding is a POST.
      linkable: parts.api.isPage(exchange.path) || exchange.path.startsWith(SIGN_IN_PATH),
    });
    if (!guard.ok) return refuseEarly(parts, exchange, new Refused(GUARD_REASONS[guard.code], guard.message));
    if (DEVICE_LISTENERS.has(listener) && parts.protocols.handleRequest(req, res)) return;
    if (listener === 'public' && !isLlm && exchange.path !== '/healthz') {
      return refuse(exchange, new Refused('path_unknown', 'this listener serves models only'), null);
    }
    if (
      req.headers.upgrade !== undefined &&
      req.headers.connection?.toLowerCase().includes('upgrade') === true &&
      isLlm
    ) {
      return refuse(exchange, new Refused('websocket_unsupported', 'this path has no WebSocket'), null);
    }
    if (OPEN_PATHS.has(exchange.path)) return toApi(parts, exchange, null);
    const identity = parts.identifier.identify(req, listener);
    if (identity instanceof Promise) {
      void identity.then(
        (result) => serve(exchange, isLlm, result),
        (error: unknown) => refuseFault(parts, exchange, error),
      );
    } else serve(exchange, isLlm, identity);
  };
}

/** A door answers, it does not throw; one that does anyway must not end the process, nor let anybody in. */
function refuseFault({ gateway }: FrontParts, exchange: Exchange, error: unknown): void {
  const refused = toRefused(error);
  gateway.logger.error('a door failed', { request: exchange.id, detail: refused.detail });
  refuse(exchange, refused, null);
}

const GUARD_REASONS = {
  host_unknown: 'host_unknown',
  origin_foreign: 'origin_foreign',
  request_invalid: 'request_invalid',
  media_type_wrong: 'media_type_wrong',
} as const satisfies Record<string, ReasonCode>;

function toExchange(gateway: GatewayParts, input: Pick<Exchange, 'req' | 'res' | 'listener'>): Exchange {
  const url = input.req.url ?? '/';
  const mark = url.indexOf('?');
  return {
    req: input.req,
    res: input.res,
    listener: input.listener,
    id: newId('req', gateway.clock, gateway.random),
    startedAt: gateway.clock.now(),
    startedMark: gateway.clock.monotonicMs(),
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
  };
}

interface Identified {
  readonly isLlm: boolean;
  readonly identity: IdentifyResult;
  readonly refusedStranger: ReturnType<typeof createStrangerLog>;
}

function serveIdentified(parts: FrontParts, exchange: Exchange, found: Identified): void {
  const { identity, refusedStranger } = found;
  // The API knows the operator's break-glass token itself, and refuses whoever else has no identity.
  if (!identity.ok && !found.isLlm && identity.code === 'no_identity') return toApi(parts, exchange, null);
  if (!identity.ok) {
    refusedStranger({
      request: exchange.id,
      listener: exchange.listener,
      path: exchange.path.slice(0, LOGGED_PATH_MAX_CHARS),
      reason: identity.reason,
      why: identity.why,
    });
    const refused = new Refused(identity.code, identity.message, { status: identity.status });
    return refuseEarly(parts, exchange, refused);
  }
  if (!found.isLlm) return toApi(parts, exchange, identity.caller);
  void runLlm(parts.gateway, exchange, identity.caller);
}

/** Each surface says no in its own words: a client of the API reads RFC 9457, an SDK its dialect. */
function refuseEarly(parts: FrontParts, exchange: Exchange, refused: Refused): void {
  if (!parts.api.owns(exchange.path)) return refuse(exchange, refused, null);
  const { req, res, id } = exchange;
  const detail = `${refused.message}. ${refused.help}`;
  parts.api.refuse(req, res, { requestId: id, status: refused.status, code: refused.code, detail });
}

function toApi(parts: FrontParts, exchange: Exchange, caller: Parameters<Api['handle']>[2]['caller']): void {
  parts.api.handle(exchange.req, exchange.res, {
    requestId: exchange.id,
    caller,
    listener: exchange.listener,
    secure: parts.isSecure(exchange.listener, exchange.req),
  });
}
