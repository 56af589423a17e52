/**
 * Whole small exchanges over the guarded dialer: key sets, token endpoints, webhooks. Bounded in
 * bytes and time, without redirects; not for the way of a request, which streams.
 */
import type { AppError } from '../base/errors.ts';
import { type UpstreamErrorCode, netError } from './errors.ts';
import type { UpstreamControl, Upstreams } from './upstreams.ts';

export interface FetchSmallOptions {
  /** Default GET. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Default 1 MiB; a longer answer fails with `upstream_too_large`. */
  readonly maxBytes?: number;
  /** From start to the last byte. Default 10,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface SmallAnswer {
  readonly status: number;
  /** Lower-case names; of repeated headers the last. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** @throws AppError<UpstreamErrorCode>; a status of 400 or more is an answer, not a failure. */
export type FetchSmall = (url: string, options?: FetchSmallOptions) => Promise<SmallAnswer>;

export function createFetchSmall(upstreams: Upstreams): FetchSmall {
  return (text, options = {}) => {
    const url = URL.parse(text);
    if (
      url === null ||
      (url.protocol !== 'http:' && url.protocol !== 'https:') ||
      url.username !== '' ||
      url.password !== ''
    ) {
      return Promise.reject(
        netError('upstream_protocol', 'a URL to fetch must be http or https, without a user in it'),
      );
    }
    return exchange(upstreams, url, options);
  };
}

function exchange(upstreams: Upstreams, url: URL, options: FetchSmallOptions): Promise<SmallAnswer> {
  const maxBytes = options.maxBytes ?? 1024 * 1024;
  const timeoutMs = options.timeoutMs ?? 10_000;
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const headers = new Map<string, string>();
    let control: UpstreamControl | null = null;
    let status = 0;
    let bytes = 0;
    let tooLarge: AppError<UpstreamErrorCode> | null = null;
    upstreams.dispatch(
      url.origin,
      {
        method: options.method ?? 'GET',
        path: `${url.pathname}${url.search}`,
        headers: Object.entries({
          accept: 'application/json',
          'accept-encoding': 'identity',
          ...options.headers,
        }).flat(),
        body: options.body === undefined ? null : Buffer.from(options.body),
        signal,
        timeouts: { firstByteMs: timeoutMs, idleMs: timeoutMs },
      },
      {
        onStart: (started) => {
          control = started;
        },
        onHeaders: (answered, raw) => {
          status = answered;
          for (let i = 0; i + 1 < raw.length; i += 2)
            headers.set(String(raw[i]).toLowerCase(), String(raw[i + 1]));
        },
        onData: (chunk) => {
          bytes += chunk.length;
          if (bytes <= maxBytes) {
            chunks.push(chunk);
            return;
          }
          tooLarge = netError('upstream_too_large', `the answer of ${url.origin} is over ${maxBytes} bytes`);
          control?.abort(tooLarge);
        },
        onEnd: () => resolve({ status, headers, body: Buffer.concat(chunks) }),
        onError: (error) => {
          const timedOut = deadline.aborted && error.code === 'upstream_aborted';
          reject(
            tooLarge ??
              (timedOut
                ? netError(
                    'upstream_first_byte_timeout',
                    `${url.origin} did not answer within ${timeoutMs} ms`,
                    error,
                  )
                : error),
          );
        },
      },
    );
  });
}
