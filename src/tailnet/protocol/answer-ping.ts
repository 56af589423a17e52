/**
 * Answering the server's question whether this node is there (tailcfg.PingRequest): a HEAD, or the
 * answer to an HTTP request for the node (`c2n`), of which only `/echo` is served. Only over the
 * connection that the question came through: a URL elsewhere would have the server choose whom we call.
 */
import type { ControlConnection } from './control-connection.ts';
import type { PingRequest } from './read-map-response.ts';

const TIMEOUT_MS = 10_000;
const ECHO_MAX_BYTES = 4096;

/** Never throws: a ping that cannot be answered is the server's to notice. */
export async function answerPing(
  connection: ControlConnection,
  ping: PingRequest,
  life: AbortSignal,
): Promise<void> {
  const url = URL.parse(ping.url, 'https://control.invalid');
  if (url === null) return;
  const signal = AbortSignal.any([life, AbortSignal.timeout(TIMEOUT_MS)]);
  const path = `${url.pathname}${url.search}`;
  try {
    if (ping.types === 'c2n') {
      await connection.request({ path, body: answerNodeRequest(ping.payload), signal });
    } else if (ping.types === '') {
      await connection.request({ path, method: 'HEAD', body: '', signal });
    }
  } catch {
    return;
  }
}

/** The HTTP/1.1 answer to an HTTP/1.x request. */
export function answerNodeRequest(request: Buffer): Buffer {
  const end = request.indexOf('\r\n\r\n');
  const line = /^(GET|POST) (\/[^\s?]*)\S* HTTP\/1\.[01]\r?$/.exec(
    request.toString('latin1').split('\n')[0] ?? '',
  );
  if (line?.[2] !== '/echo') return encodeAnswer('404 Not Found', Buffer.from('not served by this node\n'));
  const body = end === -1 ? Buffer.alloc(0) : request.subarray(end + 4, end + 4 + ECHO_MAX_BYTES);
  return encodeAnswer('200 OK', body);
}

function encodeAnswer(status: string, body: Buffer): Buffer {
  const head = `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}
