/** A refusal on its way to the caller: in the dialect of the route, with reason and request id. */
import { renderRefusal, type Dialect, type SurfaceMatch } from '../../llm/index.ts';
import type { Access } from '../../policy/index.ts';
import type { Exchange } from '../exchange.ts';
import { PROXIED_HEADERS } from '../response-headers.ts';
import type { Refused } from '../reasons.ts';

/** Answers with the refusal, unless an answer has begun. The rest of an unread body is not waited for. */
export function refuse(
  exchange: Exchange,
  refused: Refused,
  match: Pick<SurfaceMatch, 'dialect'> | null,
  access: Pick<Access, 'roles'> | null = null,
): void {
  const { res, req } = exchange;
  if (res.headersSent || res.destroyed) return;
  const dialect: Dialect = match?.dialect ?? dialectOfPath(exchange.path);
  const rendered = renderRefusal(dialect, {
    status: refused.status,
    code: refused.code,
    message: refused.messageFor(access?.roles ?? null),
    requestId: exchange.id,
    help: refused.help,
    ...(refused.retryAfterSec === null ? {} : { retryAfterSec: refused.retryAfterSec }),
  });
  const headers = [
    'content-type',
    rendered.contentType,
    'content-length',
    String(rendered.body.length),
    'cache-control',
    'no-store',
    ...rendered.headers.flat(),
    ...PROXIED_HEADERS,
  ];
  if (refused.status === 401) headers.push('www-authenticate', 'Bearer realm="postern"');
  if (!req.complete) headers.push('connection', 'close');
  res.writeHead(refused.status, headers);
  res.end(req.method === 'HEAD' ? undefined : rendered.body);
}

/** The dialect that a caller of this path most likely reads, where no route was matched. */
function dialectOfPath(path: string): Dialect {
  if (path.startsWith('/v1/messages')) return 'anthropic';
  if (path.startsWith('/v1beta') || path.includes('/publishers/')) return 'google';
  if (path.startsWith('/bedrock') || path.startsWith('/model/')) return 'bedrock';
  return 'openai';
}
