/**
 * Live events (Server-Sent Events, WHATWG HTML section 9.2): what the caller may see of requests as
 * they start and end, and of changes of the document. Written to the socket directly: a reader that
 * does not keep up is cut, never buffered without bound, and never slows a request.
 */
import type { ServerResponse } from 'node:http';
import { createRoute } from '@hono/zod-openapi';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { PosternEvents } from '../../gateway/events.ts';
import { type Actor, callerActor, seesAll } from '../actor.ts';
import { maySeeApproval, newsView } from '../approval-view.ts';
import { crossingView, maySeeBudget } from '../budget-view.ts';
import { type PostedEvent, postedEvent } from '../posted-events.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import { requestView } from '../request-view.ts';
import { type ApiRouter, untyped } from '../router.ts';
import { timeText } from '../schemas.ts';
import { maySeeRecord } from '../visibility.ts';

const READ = { role: 'user', presence: false, scope: 'read' } as const;
/** 15 s: below the idle limit of every proxy in use. */
const KEEP_ALIVE_MS = 15_000;
/** Bytes that a reader may be behind: about 200 events. */
const BEHIND_MAX_BYTES = 256 * 1024;
const STREAMS_MAX = 512;
const STREAMS_PER_PRINCIPAL_MAX = 16;

export interface LiveEvents {
  /** Ends every open stream, as the server stops. */
  close(): void;
}

export function addEventRoutes(router: ApiRouter, deps: ApiDependencies): LiveEvents {
  const open = new Map<ServerResponse, Actor>();
  const forgetRevocations = deps.onRevoked?.((matches) => {
    for (const [res, { caller }] of open) if (caller !== null && matches(caller)) res.end();
  });
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/events',
      summary: 'Live events',
      description:
        '`text/event-stream` of `request.started`, `request.finished` (data as in /api/v1/requests), `approval.requested`, `approval.decided` and `approval.expired` (to the requester, those who may decide, auditors and admins), `budget.warned`, `budget.exhausted` and `budget.overrun` (to those whose budget it is, leads of its group, auditors and admins), and for auditors and admins `config.changed` and `config.failed`. A comment every 15 s. A reader that falls behind is cut and connects again; there is no replay.',
      responses: {
        200: {
          description: 'A stream without end.',
          content: { 'text/event-stream': { schema: { type: 'string' } } },
        },
      },
    }),
    (c) => {
      const actor = c.get('actor');
      const mine = [...open.values()].filter(({ principal }) => principal === actor.principal).length;
      if (open.size >= STREAMS_MAX || mine >= STREAMS_PER_PRINCIPAL_MAX) {
        throw new ApiError('too_many', 'too many live streams are open', {
          headers: { 'retry-after': '10' },
        });
      }
      const res = c.env.outgoing;
      open.set(res, actor);
      startStream(deps, actor, res, () => open.delete(res));
      return untyped(RESPONSE_ALREADY_SENT);
    },
  );
  return {
    close() {
      forgetRevocations?.();
      for (const res of open.keys()) res.end();
    },
  };
}

function startStream(deps: ApiDependencies, actor: Actor, res: ServerResponse, onEnd: () => void): void {
  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' });
  res.write(': live\n\n');
  const send = (text: string): void => {
    if (res.writableEnded || res.destroyed) return;
    if (res.writableLength > BEHIND_MAX_BYTES) res.destroy();
    else res.write(text);
  };
  const unsubscribe = deps.bus.subscribe((name, event) => {
    // Rights as they are now, not as they were when the stream began.
    const now = presentActor(deps, actor);
    if (now === null) {
      res.end();
      return;
    }
    const data = eventData(deps, now, postedEvent(name, event));
    if (data !== null) send(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  });
  const keepAlive = setInterval(() => {
    if (presentActor(deps, actor) === null) res.end();
    else send(':\n\n');
  }, KEEP_ALIVE_MS);
  keepAlive.unref();
  const expiry = endWithToken(deps, actor, res);
  res.once('close', () => {
    clearInterval(keepAlive);
    if (expiry !== null) clearTimeout(expiry);
    unsubscribe();
    onEnd();
  });
}

/** Longest delay of a timer; what lasts longer is ended by the next event. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Ends the stream when the token of its caller does; null where none is to end. */
function endWithToken(deps: ApiDependencies, { caller }: Actor, res: ServerResponse): NodeJS.Timeout | null {
  const expiresAt = caller?.token?.expiresAt ?? null;
  if (expiresAt === null) return null;
  const leftMs = Math.max(0, expiresAt - deps.clock.now());
  return leftMs > TIMER_MAX_MS ? null : setTimeout(() => res.end(), leftMs).unref();
}

/** The actor under the policy in force; null if it leaves no role or the token has ended. */
function presentActor(deps: ApiDependencies, actor: Actor): Actor | null {
  if (actor.caller === null) return actor;
  const expiresAt = actor.caller.token?.expiresAt ?? null;
  if (expiresAt !== null && expiresAt <= deps.clock.now()) return null;
  const access = deps.policy.current().accessOf(actor.caller);
  return access.roles.size === 0 ? null : callerActor(actor.caller, access, null);
}

/** What this actor is shown of an event, or null for nothing. */
function eventData(deps: ApiDependencies, actor: Actor, posted: PostedEvent): unknown {
  if (posted.name === 'request.started')
    return maySeeRecord(actor, posted.event) ? startedView(posted.event) : null;
  if (posted.name === 'request.finished')
    return maySeeRecord(actor, posted.event) ? requestView(posted.event, actor) : null;
  if (
    posted.name === 'approval.requested' ||
    posted.name === 'approval.decided' ||
    posted.name === 'approval.expired'
  )
    return maySeeApproval(deps, actor, posted.event) ? newsView(posted.event) : null;
  if (
    posted.name === 'budget.warned' ||
    posted.name === 'budget.exhausted' ||
    posted.name === 'budget.overrun'
  ) {
    const isSeen = deps.budgets !== undefined && maySeeBudget(deps.budgets, actor, posted.event);
    return isSeen ? crossingView(posted.event) : null;
  }
  const { event } = posted;
  if (event.tailnet !== actor.tailnet || !seesAll(actor)) return null;
  return {
    at: timeText(event.at),
    version: 'version' in event ? event.version : null,
    message: 'message' in event ? event.message : null,
  };
}

function startedView(started: PosternEvents['request.started']): Record<string, unknown> {
  return {
    id: started.id,
    state: 'running',
    started_at: timeText(started.at),
    principal: started.principal,
    user_label: started.userLabel,
    agent: started.agent,
    format: started.format,
    requested_model: started.requestedModel,
    provider: started.provider,
    model: started.model,
  };
}
