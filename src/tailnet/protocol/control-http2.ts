/** Requests over HTTP/2 inside a control connection, by prior knowledge. */
import http2 from 'node:http2';
import type { ControlConnection, ControlRequest } from './control-connection.ts';
import type { ControlStream } from './control-stream.ts';
import { controlError, isControlError, printable, RateLimited, RefusedByControl } from './errors.ts';

/** Of an answer that is read whole. */
const ANSWER_MAX_BYTES = 1 << 20;
/** A ping of HTTP/2 finds out that the other side is gone, also while no request runs. */
const PING_EVERY_MS = 45_000;
const PING_TIMEOUT_MS = 20_000;
/** Of the connection and of each stream: a map arrives without waiting for us to say that we have read on. */
const WINDOW_BYTES = 1 << 20;
const SESSION_MEMORY_MAX_MB = 32;

type AnswerHeaders = http2.IncomingHttpHeaders & { readonly ':status'?: number };

/** `host`: what requests name as their authority. */
export function overHttp2(inside: ControlStream, host: string): ControlConnection {
  const session = http2.connect(`https://${host}`, {
    createConnection: () => inside,
    settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    maxSessionMemory: SESSION_MEMORY_MAX_MB,
  });
  let cause: unknown = null;
  const { promise: ended, resolve: markEnded } = Promise.withResolvers<void>();
  session.on('error', (error) => (cause ??= error));
  inside.on('error', (error) => (cause ??= error));
  session.on('connect', () => {
    if (!session.destroyed) session.setLocalWindowSize(WINDOW_BYTES);
  });
  session.on('close', () => {
    clearInterval(pings);
    inside.destroy();
    markEnded();
  });
  const pings = setInterval(() => pingOrEnd(session), PING_EVERY_MS).unref();

  const start = ({ path, method = 'POST', body, nodeKeys = [], signal }: ControlRequest): Started => {
    if (signal.aborted) throw controlError('control_closed', `${path} was ended`);
    if (session.closed || session.destroyed) throw lost(path, cause);
    const stream = session.request({
      ':method': method,
      ':path': path,
      'content-type': 'application/json',
      ...(nodeKeys.length === 0 ? {} : { 'ts-lb': [...nodeKeys] }),
    });
    const end = (): void => stream.close(http2.constants.NGHTTP2_CANCEL);
    signal.addEventListener('abort', end, { once: true });
    stream.on('close', () => signal.removeEventListener('abort', end));
    const headers = new Promise<AnswerHeaders>((resolve, reject) => {
      const fail = (error: unknown): void =>
        reject(
          signal.aborted ? controlError('control_closed', `${path} was ended`) : lost(path, cause ?? error),
        );
      stream.on('response', resolve);
      /* Stays: after the answer's header an error is the reader's to see, and must find a listener. */
      stream.on('error', fail);
      stream.on('close', () => fail(cause));
    });
    stream.end(body);
    return { stream, headers };
  };
  return {
    async request(request) {
      const { stream, headers } = start(request);
      const [answer, body] = await Promise.all([headers, collect(stream, request.path, () => cause)]);
      return checkStatus(request.path, answer, body);
    },
    async stream(request) {
      const { stream, headers } = start(request);
      const answer = await headers;
      if (answer[':status'] === 200) return stream;
      const text = await collect(stream, request.path, () => cause).catch(() => Buffer.alloc(0));
      checkStatus(request.path, answer, text);
      throw controlError('control_protocol', `the control server answered ${request.path} with nothing`);
    },
    ended,
    close() {
      session.destroy();
      inside.destroy();
    },
  };
}

interface Started {
  readonly stream: http2.ClientHttp2Stream;
  readonly headers: Promise<AnswerHeaders>;
}

/** The body of a success. */
function checkStatus(path: string, headers: AnswerHeaders, body: Buffer): Buffer {
  const status = headers[':status'] ?? 0;
  if (status === 200 || status === 204) return body;
  if (status === 429) throw new RateLimited(retryAfterMs(headers['retry-after']));
  throw new RefusedByControl(path, status, body.toString('utf8'));
}

/** Seconds, or a date (RFC 9110 section 10.2.3) which is not read; within 1 s to 1 h, 10 s if it says nothing. */
function retryAfterMs(value: string | undefined): number {
  const seconds = /^[0-9]{1,6}$/.test(value ?? '') ? Number(value) : 10;
  return Math.min(Math.max(seconds, 1), 3600) * 1000;
}

/**
 * The whole body. Read by events from the start: a server that has answered may reset the stream
 * without an error (RFC 9113 section 8.1), and what is not read by then is gone.
 */
function collect(stream: http2.ClientHttp2Stream, path: string, cause: () => unknown): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length <= ANSWER_MAX_BYTES) return;
      stream.close(http2.constants.NGHTTP2_CANCEL);
      const what = `the control server answered ${path} with more than ${ANSWER_MAX_BYTES} bytes`;
      reject(controlError('control_protocol', what));
    });
    stream.on('end', () => resolve(Buffer.concat(chunks)));
    stream.on('error', (error) => reject(lost(path, error)));
    stream.on('close', () => {
      if (stream.rstCode === http2.constants.NGHTTP2_NO_ERROR && !stream.aborted)
        resolve(Buffer.concat(chunks));
      else reject(lost(path, cause()));
    });
  });
}

function lost(path: string, cause: unknown): Error {
  if (isControlError(cause)) return cause;
  const why = cause instanceof Error && cause.message !== '' ? `: ${printable(cause.message, 200)}` : '';
  const what = `the connection to the control server ended within ${path}${why}`;
  return controlError('control_unreachable', what, { cause });
}

/** Ends the session if nothing answers. */
function pingOrEnd(session: http2.ClientHttp2Session): void {
  if (session.closed || session.destroyed) return;
  const timer = setTimeout(
    () => session.destroy(controlError('control_timed_out', 'the control server answers no ping')),
    PING_TIMEOUT_MS,
  ).unref();
  session.ping(() => clearTimeout(timer));
}
