/**
 * The small client of `/api/v1`, over the Unix socket or HTTP. Problem answers (RFC 9457) become
 * `CliFailure` with the exit code that their status asks for.
 */
import {
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request as httpRequest,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import { describeError } from '../base/errors.ts';
import type { Connection } from './connection.ts';
import { EXIT, CliFailure } from './failure.ts';
import type { Presence } from './presence-file.ts';
import { problemFailure } from './problem.ts';

/** Answers above this are refused: 64 MiB, the largest body that the server takes or keeps. */
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;

/** A call that is not a stream ends within 30 s. */
const CALL_TIMEOUT_MS = 30_000;

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface CallOptions {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** A status beyond 2xx that is an answer, too. */
  readonly alsoStatus?: number;
}

/** An answer of status 2xx, or of `alsoStatus`. */
export interface ApiReply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

export interface ApiClient {
  readonly connection: Connection;
  /** Parsed JSON of a 2xx answer; null if it has no body. Rejects with `CliFailure`. */
  get(path: string, query?: Query): Promise<unknown>;
  post(path: string, body: unknown, options?: Omit<CallOptions, 'body'>): Promise<unknown>;
  put(path: string, body: unknown, options?: Omit<CallOptions, 'body'>): Promise<unknown>;
  patch(path: string, body: unknown): Promise<unknown>;
  delete(path: string, options?: CallOptions): Promise<unknown>;
  /** A 2xx answer as it came. */
  call(method: string, path: string, options?: CallOptions): Promise<ApiReply>;
  /** An answer that stays open; `onChunk` sees its text until it ends or `signal` is aborted. */
  stream(path: string, query: Query, onChunk: (text: string) => void): Promise<void>;
}

export interface ApiClientOptions {
  readonly connection: Connection;
  readonly presence: Presence | null;
  /** Ends everything that is under way. */
  readonly signal: AbortSignal;
}

export function createApiClient(options: ApiClientOptions): ApiClient {
  const call = async (method: string, path: string, callOptions: CallOptions = {}): Promise<ApiReply> => {
    const response = await open(options, method, path, callOptions);
    const text = await readText(response);
    const status = response.statusCode ?? 0;
    if ((status < 200 || status > 299) && status !== callOptions.alsoStatus)
      throw problemFailure({ status, text, connection: options.connection, method, path });
    return { status, headers: response.headers, text };
  };
  const json = async (method: string, path: string, callOptions?: CallOptions): Promise<unknown> =>
    parseAnswer((await call(method, path, callOptions)).text, options.connection);
  return {
    connection: options.connection,
    get: (path, query = {}) => json('GET', path, { query }),
    post: (path, body, more = {}) => json('POST', path, { ...more, body }),
    put: (path, body, more = {}) => json('PUT', path, { ...more, body }),
    patch: (path, body) => json('PATCH', path, { body }),
    delete: (path, more) => json('DELETE', path, more),
    call,
    async stream(path, query, onChunk) {
      const response = await open(options, 'GET', path, { query, headers: { accept: 'text/event-stream' } });
      const status = response.statusCode ?? 0;
      if (status !== 200) {
        throw problemFailure({
          status,
          text: await readText(response),
          connection: options.connection,
          method: 'GET',
          path,
        });
      }
      response.setEncoding('utf8');
      try {
        for await (const chunk of response) onChunk(String(chunk));
      } catch (error) {
        if (!options.signal.aborted) throw noServer(options.connection, error);
      }
    },
  };
}

/** Sends a request and resolves with the head of its answer. */
function open(
  client: ApiClientOptions,
  method: string,
  path: string,
  call: CallOptions,
): Promise<IncomingMessage> {
  const { connection, presence, signal } = client;
  const body = call.body === undefined ? null : Buffer.from(JSON.stringify(call.body));
  const headers: Record<string, string> = {
    accept: 'application/json',
    host: connection.origin.host,
    ...call.headers,
  };
  if (body !== null) {
    headers['content-type'] = 'application/json';
    headers['content-length'] = String(body.length);
  }
  if (connection.token !== null) headers['x-postern-authorization'] = `Bearer ${connection.token.reveal()}`;
  if (presence !== null) headers['x-postern-presence'] = presence.token.reveal();
  const target: RequestOptions = { method, path: path + queryText(call.query ?? {}), headers, signal };
  if (connection.kind === 'socket') {
    target.socketPath = connection.where;
  } else {
    // Node takes an IPv6 address without its brackets.
    target.hostname = connection.origin.hostname.replace(/^\[|\]$/g, '');
    target.port = connection.origin.port;
  }
  const send = connection.origin.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request: ClientRequest = send(target, resolve);
    const timer = setTimeout(() => {
      request.destroy(new Error(`no answer within ${CALL_TIMEOUT_MS / 1000} s`));
    }, CALL_TIMEOUT_MS);
    request.once('response', () => clearTimeout(timer));
    request.once('error', (error) => {
      clearTimeout(timer);
      reject(noServer(connection, error));
    });
    request.end(body ?? undefined);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    const part = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    bytes += part.length;
    if (bytes > ANSWER_MAX_BYTES) {
      response.destroy();
      throw new CliFailure(`the answer is larger than ${ANSWER_MAX_BYTES} bytes`, {
        exit: EXIT.failed,
        code: 'cli_bad_answer',
      });
    }
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseAnswer(text: string, connection: Connection): unknown {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliFailure(`the answer of ${connection.where} is not JSON, so it is probably not Postern`, {
      exit: EXIT.failed,
      code: 'cli_bad_answer',
      fix: 'Check --url or POSTERN_URL',
      cause: error,
    });
  }
}

function queryText(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    if (typeof value === 'object') for (const item of value) parameters.append(name, item);
    else parameters.append(name, String(value));
  }
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

function noServer(connection: Connection, error: unknown): CliFailure {
  const options = { exit: EXIT.noServer, code: 'cli_no_server', cause: error } as const;
  if (connection.kind === 'http') {
    return new CliFailure(`no server answers at ${connection.where} (${describeError(error)})`, {
      ...options,
      fix: 'Start it with `postern serve`, or name another with --url',
    });
  }
  return new CliFailure(`no server answers on ${connection.where} (${describeError(error)})`, {
    ...options,
    fix: 'Start it with `postern serve`, or say where it is with --url or --state-dir',
  });
}
