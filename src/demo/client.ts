/** A device in the demo: calls models as its agent, and the API as its person. */
import http from 'node:http';
import type { DemoDevice, DemoNetwork } from './network.ts';

export interface DemoAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  json(): Readonly<Record<string, unknown>>;
}

export interface DemoClient {
  readonly device: DemoDevice;
  send(request: DemoRequest): Promise<DemoAnswer>;
}

export interface DemoRequest {
  readonly path: string;
  /** Default POST with a body, GET without. */
  readonly method?: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer of the API that the demo cannot go on without. */
export class DemoFailure extends Error {
  constructor(what: string, answer: DemoAnswer) {
    super(`the demo could not ${what}: ${answer.status} ${answer.text.slice(0, 2_000)}`);
    this.name = 'DemoFailure';
  }
}

export function createDemoClient(network: DemoNetwork, device: DemoDevice, serverUrl: string): DemoClient {
  const agent = network.agentOf(device);
  return { device, send: (request) => send(agent, serverUrl, request) };
}

/** Calls as whoever runs the demo: no device, no connection that the demo's network knows. */
export function createOwnClient(serverUrl: string): Pick<DemoClient, 'send'> {
  return { send: (request) => send(undefined, serverUrl, request) };
}

function send(agent: http.Agent | undefined, serverUrl: string, request: DemoRequest): Promise<DemoAnswer> {
  const { hostname, port } = new URL(serverUrl);
  const body = request.body === undefined ? null : Buffer.from(JSON.stringify(request.body));
  return new Promise((resolve, reject) => {
    const sent = http.request(
      {
        host: hostname,
        port,
        path: request.path,
        method: request.method ?? (body === null ? 'GET' : 'POST'),
        headers: {
          ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
          ...request.headers,
        },
        agent: agent ?? false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        const end = (): void => resolve(toAnswer(response, chunks));
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', end);
        // A stream that breaks off is an answer, too: what came until then.
        response.once('error', end);
      },
    );
    sent.once('error', reject);
    sent.end(body ?? undefined);
  });
}

function toAnswer(response: http.IncomingMessage, chunks: readonly Buffer[]): DemoAnswer {
  const text = Buffer.concat(chunks).toString('utf8');
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    json() {
      const value: unknown = JSON.parse(text);
      return typeof value === 'object' && value !== null ? { ...value } : {};
    },
  };
}
