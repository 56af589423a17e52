/**
 * Two small uses of HTTP/1.1 over the dialer: a GET with a bounded answer, and an upgrade to another
 * protocol (RFC 9110 section 7.8). Redirects are not followed, cookies not kept.
 */
import http from 'node:http';
import type { Duplex } from 'node:stream';
import { controlError, isControlError, printable, RefusedByControl } from './errors.ts';
import type { StreamDialer, StreamTarget } from './ports.ts';

/** Of an answer's header. */
const HEADER_MAX_BYTES = 16_384;

export interface HttpRequestOptions {
  readonly dialer: StreamDialer;
  readonly target: StreamTarget;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For connecting, the request and its answer together. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** `Host` as a browser would say it. */
function hostHeader({ protocol, hostname, port }: StreamTarget): string {
  const name = hostname.includes(':') && !hostname.startsWith('[') ? `[${hostname}]` : hostname;
  return port === (protocol === 'https:' ? 443 : 80) ? name : `${name}:${port}`;
}

interface Started {
  readonly request: http.ClientRequest;
  readonly stream: Duplex;
  /** Fires at the timeout, or with the caller's signal. */
  readonly signal: AbortSignal;
  /** From now on the signal leaves the stream alone. */
  readonly release: () => void;
}

async function start(options: HttpRequestOptions, method: string): Promise<Started> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]);
  const stream = await options.dialer.dial({ ...options.target, signal }).catch((cause: unknown) => {
    throw failure(options, signal, cause);
  });
  /* Whoever takes the stream over listens for himself; until then nothing may be thrown by an event. */
  stream.on('error', () => stream.destroy());
  if (signal.aborted) {
    stream.destroy();
    throw failure(options, signal, null);
  }
  const request = http.request({
    method,
    path: options.path,
    headers: { Host: hostHeader(options.target), ...options.headers },
    createConnection: () => stream,
    maxHeaderSize: HEADER_MAX_BYTES,
    setHost: false,
  });
  /* Not the request's own `signal`: that would also end a stream that was upgraded long ago. */
  const end = (): void => void stream.destroy();
  signal.addEventListener('abort', end, { once: true });
  return { request, stream, signal, release: () => signal.removeEventListener('abort', end) };
}

function failure({ target, path, signal }: HttpRequestOptions, own: AbortSignal, cause: unknown): Error {
  if (isControlError(cause)) return cause;
  const where = `${target.protocol}//${hostHeader(target)}${path.split('?')[0] ?? ''}`;
  if (signal.aborted) return controlError('control_closed', `the request to ${where} was ended`);
  if (own.aborted) return controlError('control_timed_out', `${where} gave no answer in time`);
  const why = cause instanceof Error ? cause.message : '';
  return controlError(
    'control_unreachable',
    `cannot reach ${where}${why === '' ? '' : `: ${printable(why, 200)}`}`,
    {
      cause,
    },
  );
}

/**
 * GET with a whole answer of at most `maxBytes`.
 * @throws AppError<ControlErrorCode>
 */
export async function getSmall(
  options: HttpRequestOptions & { readonly maxBytes: number },
): Promise<{ readonly status: number; readonly body: Buffer }> {
  const { request, stream, signal, release } = await start(options, 'GET');
  try {
    return await new Promise((resolve, reject) => {
      request.on('error', reject);
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('error', reject);
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length > options.maxBytes) {
            reject(
              controlError(
                'control_protocol',
                `${options.path} answered with more than ${options.maxBytes} bytes`,
              ),
            );
          }
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
        response.on('close', () => reject(new Error('the connection ended within the answer')));
      });
      request.end();
    });
  } catch (error) {
    throw failure(options, signal, error);
  } finally {
    release();
    stream.destroy();
  }
}

export interface Upgraded {
  /** Nobody reads it yet; it has an `error` listener that destroys it. */
  readonly stream: Duplex;
  /** What came after the answer's header. */
  readonly head: Buffer;
}

/**
 * Asks for the protocol `upgrade` and gives the stream when the server has agreed with 101.
 * @throws AppError<ControlErrorCode>, RefusedByControl for another status
 */
export async function upgrade(
  options: HttpRequestOptions & { readonly method: 'GET' | 'POST'; readonly upgrade: string },
): Promise<Upgraded> {
  const headers = { ...options.headers, Connection: 'upgrade', Upgrade: options.upgrade };
  const { request, stream, signal, release } = await start({ ...options, headers }, options.method);
  try {
    return await new Promise((resolve, reject) => {
      request.on('error', reject);
      let isAnswered = false;
      request.on('close', () => {
        if (!isAnswered) reject(new Error('the connection ended before the answer'));
      });
      request.on('response', (response) => {
        isAnswered = true;
        response.on('error', reject);
        readStart(response).then(
          (text) => reject(new RefusedByControl(options.path, response.statusCode ?? 0, text)),
          reject,
        );
      });
      request.on('upgrade', (response, upgraded, head) => {
        if (response.headers.upgrade?.toLowerCase() === options.upgrade.toLowerCase()) {
          resolve({ stream: upgraded, head });
        } else {
          reject(
            controlError(
              'control_protocol',
              `${options.path} switched to another protocol than was asked for`,
            ),
          );
        }
      });
      request.end();
    });
  } catch (error) {
    stream.destroy();
    throw failure(options, signal, error);
  } finally {
    release();
  }
}

/** The start of a refusal's text. */
async function readStart(response: http.IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response) {
    text += String(chunk);
    if (text.length > 1000) break;
  }
  return text.slice(0, 1000);
}
