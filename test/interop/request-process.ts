/**
 * One HTTP request from within a machine: the job is JSON in the first argument, what happens is
 * printed as one JSON object a line (`RequestEvent`). `request.ts` starts it.
 */
import http from 'node:http';

export interface RequestJob {
  readonly url: string;
  readonly method?: string;
  /** Names and values by turns, as they go out; a name may stand twice. */
  readonly headers?: readonly string[];
  readonly body?: string;
}

export type RequestEvent =
  | { readonly kind: 'head'; readonly status: number; readonly headers: http.IncomingHttpHeaders }
  | { readonly kind: 'data'; readonly text: string }
  /** `end` for a whole answer, else the error's code: `ECONNRESET`, `ECONNREFUSED`, … */
  | { readonly kind: 'end'; readonly how: string };

const CONNECT_TIMEOUT_MS = 10_000;

const job: RequestJob = JSON.parse(process.argv[2] ?? '{}');
const { hostname, port, pathname, search, host } = new URL(job.url);
const body = job.body === undefined ? undefined : Buffer.from(job.body);
const given = job.headers ?? [];
const hasHost = given.some((word, i) => i % 2 === 0 && word.toLowerCase() === 'host');
const request = http.request({
  host: hostname.replace(/^\[(.*)\]$/, '$1'),
  port: port === '' ? 80 : Number(port),
  path: pathname + search,
  method: job.method ?? (body === undefined ? 'GET' : 'POST'),
  agent: false,
  headers: [
    ...(hasHost ? [] : ['host', host]),
    ...(body === undefined
      ? []
      : ['content-type', 'application/json', 'content-length', String(body.length)]),
    ...given,
  ],
});
const timer = setTimeout(() => request.destroy(new Error('ETIMEDOUT')), CONNECT_TIMEOUT_MS);
request.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
request.on('response', (response) => {
  clearTimeout(timer);
  say({ kind: 'head', status: response.statusCode ?? 0, headers: response.headers });
  response.setEncoding('utf8');
  response.on('data', (text: string) => say({ kind: 'data', text }));
  response.on('end', () => finish('end'));
  response.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
});
request.end(body);

function say(event: RequestEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

let isFinished = false;
function finish(how: string): void {
  clearTimeout(timer);
  if (!isFinished) say({ kind: 'end', how });
  isFinished = true;
}
