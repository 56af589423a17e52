/**
 * A strict cloud on one loopback port: Bedrock with STS and metadata, Vertex with Google's token
 * endpoint and metadata server, Azure. What a request did wrong is its answer and is listed in
 * `violations`; signatures, assertions and frames are checked by code that is not ours.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerAwsMetadata, answerBedrock, answerSts } from './aws.ts';
import type { FakeAws, FakeAwsKeys } from './aws.ts';
import { createBedrockCalls } from './bedrock-calls.ts';
import { answerAzure } from './azure.ts';
import type { FakeAzure } from './azure.ts';
import {
  answerGoogleMetadata,
  answerGoogleToken,
  answerVertex,
  createFakeGoogle,
  serviceAccountKey,
} from './google.ts';
import type { FakeGoogle } from './google.ts';
import { Violation, checkCommon, jsonAnswer } from './received.ts';
import type { Answer, Received } from './received.ts';

export interface FakeCloud {
  readonly origin: string;
  readonly aws: FakeAws;
  /** Long-term keys that may sign. */
  readonly awsKeys: FakeAwsKeys;
  readonly google: FakeGoogle;
  /** JSON of a service-account key whose `token_uri` is this server. */
  readonly serviceAccountKey: string;
  readonly azure: FakeAzure;
  readonly requests: Received[];
  readonly violations: string[];
  close(): Promise<void>;
}

export interface FakeCloudOptions {
  /** The clock by which signatures and assertions are judged. Default: the wall clock. */
  readonly now?: () => number;
}

const BODY_MAX_BYTES = 32 * 1_048_576;

export async function startFakeCloud(options: FakeCloudOptions = {}): Promise<FakeCloud> {
  const now = options.now ?? Date.now;
  const awsKeys: FakeAwsKeys = {
    accessKeyId: 'AKIAFAKELONGTERM',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+fake',
  };
  const aws: FakeAws = {
    region: 'us-east-1',
    keys: new Map([[awsKeys.accessKeyId, awsKeys]]),
    bedrockApiKey: 'ABSK-fake-bedrock-key',
    webIdentityToken: 'web-identity-token',
    now,
    calls: createBedrockCalls(),
  };
  const google = await createFakeGoogle(now);
  const azure: FakeAzure = {
    apiKey: 'azure-fake-key-0123456789',
    entraToken: 'eyJhbGciOiJub25lIn0.eyJhdWQiOiJhenVyZSJ9.c2lnbmF0dXJl',
    deployments: new Set(['gpt-fake', 'claude-fake']),
  };
  const requests: Received[] = [];
  const violations: string[] = [];
  const server = createServer((req, res) => {
    void respond(req, res);
  });

  async function respond(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const received = await receive(req);
    requests.push(received);
    const answer = await find(received).catch((error: unknown): Answer => {
      const why = error instanceof Error ? error.message : String(error);
      violations.push(`${received.method} ${received.path}: ${why}`);
      return jsonAnswer(error instanceof Violation ? error.status : 500, {
        message: why,
        error: { message: why },
      });
    });
    res.writeHead(answer.status, answer.headers);
    if (answer.inBytes === true) await writeInBytes(res, answer.body);
    else res.end(answer.body);
  }

  async function find(received: Received): Promise<Answer> {
    const service =
      (await answerGoogleToken(google, received, origin)) ??
      answerGoogleMetadata(google, received) ??
      answerAwsMetadata(aws, received) ??
      (await answerSts(aws, received));
    if (service !== null) return service;
    checkCommon(received);
    const answer =
      (await answerBedrock(aws, received)) ?? answerVertex(google, received) ?? answerAzure(azure, received);
    if (answer === null) throw new Violation(404, 'no such path');
    return answer;
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const origin = `http://127.0.0.1:${isTcp(address) ? address.port : 0}`;
  return {
    origin,
    aws,
    awsKeys,
    google,
    serviceAccountKey: serviceAccountKey(google, `${origin}/token`),
    azure,
    requests,
    violations,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Each byte leaves by itself. */
async function writeInBytes(res: ServerResponse, body: Buffer): Promise<void> {
  for (const byte of body) {
    if (res.destroyed) return;
    res.write(Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  res.end();
}

function isTcp(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}

async function receive(req: IncomingMessage): Promise<Received> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > BODY_MAX_BYTES) throw new Violation(413, 'the body is too large');
    chunks.push(chunk);
  }
  const target = req.url ?? '/';
  const mark = target.indexOf('?');
  return {
    method: req.method ?? '',
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? '' : target.slice(mark + 1),
    rawHeaders: req.rawHeaders,
    body: Buffer.concat(chunks),
  };
}
