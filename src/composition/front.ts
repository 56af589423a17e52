/**
 * What happens to a request before its surface: id, guard, identity. Then the LLM surface goes to
 * the pipeline and the rest to the API and its pages.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { newId } from '../base/ids.ts';
import type { Api } from '../api/index.ts';
import type { Identifier, IdentifyResult, ListenerKind } from '../doors/index.ts';
import { Refused, refuse, runLlm, type Exchange, type GatewayParts, type ReasonCode } from '../gateway/index.ts';
import type { RequestGuard } from '../net/index.ts';

export interface FrontParts {
  readonly gateway: GatewayParts;
  readonly api: Api;
  readonly identifier: Identifier;
  readonly guards: Readonly<Record<ListenerKind, RequestGuard>>;
  /** The connection of this listener is encrypted as the client sees it. */
  readonly isSecure: (listener: ListenerKind) => boolean;
}

export type Front = (req: IncomingMessage, res: ServerResponse, listener: ListenerKind) => void;

/** Paths that answer without knowing who asks: they tell nothing but that a process runs. */
const OPEN_PATHS = new Set(['/healthz', '/readyz']);
/** Pages that a link in a terminal or mail opens; they only show, deciding is a POST. */
const LINKABLE_PATHS = new Set(['/', '/claim', '/presence']);

export function createFront(parts: FrontParts): Front {
  return (req, res, listener) => {
    const exchange = toExchange(parts.gateway, { req, res, listener });
    const isLlm = !parts.api.owns(exchange.path);
    const guard = parts.guards[listener].checkRequest({
      method: req.method ?? '',
      target: req.url ?? '',
      rawHeaders: req.rawHeaders,
      jsonWrites: !isLlm,
      linkable: LINKABLE_PATHS.has(exchange.path),
    });
    if (!guard.ok) return refuse(exchange, new Refused(GUARD_REASONS[guard.code], guard.message), null);
    if (req.headers.upgrade !== undefined && req.headers.connection?.toLowerCase().includes('upgrade') === true && isLlm) {
      return refuse(exchange, new Refused('websocket_unsupported', 'this path has no WebSocket'), null);
    }
    if (OPEN_PATHS.has(exchange.path)) return toApi(parts, exchange, null);
    const identity = parts.identifier.identify(req, listener);
    if (identity instanceof Promise) {
      void identity.then((result) => serve(parts, exchange, { isLlm, identity: result }));
    } else serve(parts, exchange, { isLlm, identity });
  };
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
    ...input,
    id: newId('req', gateway.clock, gateway.random),
    startedAt: gateway.clock.now(),
    startedMark: gateway.clock.monotonicMs(),
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
  };
}

function serve(parts: FrontParts, exchange: Exchange, found: { readonly isLlm: boolean; readonly identity: IdentifyResult }): void {
  const { identity } = found;
  if (!identity.ok) {
    parts.gateway.logger.info('refused a stranger', {
      request: exchange.id,
      listener: exchange.listener,
      path: exchange.path,
      reason: identity.reason,
      why: identity.why,
    });
    return refuse(exchange, new Refused(identity.code, identity.message, { status: identity.status }), null);
  }
  if (!found.isLlm) return toApi(parts, exchange, identity.caller);
  void runLlm(parts.gateway, exchange, identity.caller);
}

function toApi(parts: FrontParts, exchange: Exchange, caller: Parameters<Api['handle']>[2]['caller']): void {
  parts.api.handle(exchange.req, exchange.res, {
    requestId: exchange.id,
    caller,
    listener: exchange.listener,
    secure: parts.isSecure(exchange.listener),
  });
}
