/** Requests to one listener or another of a running Postern: from a chosen address, over TLS, over a kept connection. */
import http, { type IncomingHttpHeaders } from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';

export interface AskOptions {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Where the request comes from; on Linux all of 127.0.0.0/8 is this machine's. */
  readonly from?: string;
  /** A socket instead of the address. */
  readonly socketPath?: string;
  /** PEM that is trusted instead of the public authorities. */
  readonly ca?: string;
  readonly servername?: string;
  readonly agent?: http.Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  json(): Record<string, unknown>;
}

export interface OpenAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** SHA-256 of the server's certificate; '' without TLS. */
  readonly certificate: string;
  readonly body: Readable;
}

/** Resolves with the head of the answer; its body is still to come. Rejects if there is none. */
export function openAnswer(url: string, options: AskOptions = {}): Promise<OpenAnswer> {
  const { protocol, hostname, port } = new URL(url);
  const body = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
  const where =
    options.socketPath === undefined
      ? { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
      : { socketPath: options.socketPath };
  return new Promise((resolve, reject) => {
    const request = (protocol === 'https:' ? https : http).request(
      {
        ...where,
        path: options.path ?? '/api/v1/whoami',
        method: options.method ?? (body === undefined ? 'GET' : 'POST'),
        agent: options.agent ?? false,
        headers: {
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': body.length }),
          ...options.headers,
        },
        ...(options.from === undefined ? {} : { localAddress: options.from }),
        ...(options.ca === undefined ? {} : { ca: [options.ca] }),
        ...(options.servername === undefined ? {} : { servername: options.servername }),
      },
      (response) => {
        const certificate =
          'getPeerCertificate' in response.socket
            ? (response.socket as TLSSocket).getPeerCertificate()
            : null;
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          certificate: certificate?.fingerprint256 ?? '',
          body: response,
        });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** A whole answer. */
export async function ask(url: string, options: AskOptions = {}): Promise<Answer> {
  const { status, headers, body } = await openAnswer(url, options);
  const text = await readAll(body);
  return { status, headers, text, json: () => JSON.parse(text) as Record<string, unknown> };
}

/** Everything until the end, a cut one included. */
export function readAll(body: Readable): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    body.setEncoding('utf8');
    body.on('data', (chunk: string) => (text += chunk));
    for (const event of ['end', 'error', 'close']) body.once(event, () => resolve(text));
  });
}

/** Asks until something holds, for at most 8 s or as long as is said. */
export async function eventually<Value>(
  look: () => Promise<Value | null> | Value | null,
  what: string,
  timeoutMs = 8000,
): Promise<Value> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (value !== null) return value;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
