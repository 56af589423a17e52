/**
 * Live events (Server-Sent Events, WHATWG HTML section 9.2): what the caller may see of requests as
 * they start and end, and of changes of the document. Written to the socket directly: a reader that
 * does not keep up is cut, never buffered without bound, and never slows a request.
 */
import type { ServerResponse } from 'node:http';
import { createRoute } from '@hono/zod-openapi';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { PosternEvents } from '../../gateway/events.ts';
import { type Actor, callerActor } from '../actor.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import { requestView } from '../request-view.ts';
import type { ApiRouter } from '../router.ts';
import { timeText } from '../schemas.ts';
import { maySeeRecord } from '../visibility.ts';

const READ = { role: 'user', presence: false, scope: 'read' } as const;
/** 15 s: below the idle limit of every proxy in use. */
const KEEP_ALIVE_MS = 15_000;
/** Bytes that a reader may be behind: about 200 events. */
const BEHIND_MAX_BYTES = 256 * 1024;
const STREAMS_MAX = 512;
const STREAMS_PER_PRINCIPAL_MAX = 16;

type EventName = keyof PosternEvents & string;

export interface LiveEvents {
  /** Ends every open stream, as the server stops. */
  close(): void;
}

export function addEventRoutes(router: ApiRouter, deps: ApiDependencies): LiveEvents {
  const open = new Map<ServerResponse, string>();
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/events',
      summary: 'Live events',
      description:
        '`text/event-stream` of `request.started`, `request.finished` (data as in /api/v1/requests), and for auditors and admins `config.changed` and `config.failed`. A comment every 15 s. A reader that falls behind is cut and connects again; there is no replay.',
      responses: { 200: { description: 'A stream without end.', content: { 'text/event-stream': { schema: { type: 'string' } } } } },
    }),
    (c) => {
      const actor = c.get('actor');
      const mine = [...open.values()].filter((principal) => principal === actor.principal).length;
      if (open.size >= STREAMS_MAX || mine >= STREAMS_PER_PRINCIPAL_MAX) {
        throw new ApiError('too_many', 'too many live streams are open', { headers: { 'retry-after': '10' } });
      }
      const res = c.env.outgoing;
      open.set(res, actor.principal);
      startStream(deps, actor, res, () => open.delete(res));
      return RESPONSE_ALREADY_SENT as never;
    },
  );
  return {
    close() {
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
    const data = eventData(now, name, event);
    if (data !== null) send(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  });
  const keepAlive = setInterval(() => {
    if (presentActor(deps, actor) === null) res.end();
    else send(':\n\n');
  }, KEEP_ALIVE_MS);
  keepAlive.unref();
  res.once('close', () => {
    clearInterval(keepAlive);
    unsubscribe();
    onEnd();
  });
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
function eventData(actor: Actor, name: EventName, event: PosternEvents[EventName]): unknown {
  switch (name) {
    case 'request.started': {
      const started = event as PosternEvents['request.started'];
      return maySeeRecord(actor, started) ? startedView(started) : null;
    }
    case 'request.finished': {
      const row = event as PosternEvents['request.finished'];
      return maySeeRecord(actor, row) ? requestView(row, actor) : null;
    }
    case 'config.changed':
    case 'config.failed': {
      const change = event as PosternEvents['config.changed'] & Partial<PosternEvents['config.failed']>;
      if (change.tailnet !== actor.tailnet || !(actor.roles.has('admin') || actor.roles.has('auditor'))) return null;
      return { at: timeText(change.at), version: change.version ?? null, message: change.message ?? null };
    }
  }
}

function startedView(started: PosternEvents['request.started']): Record<string, unknown> {
  return {
    id: started.id,
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
