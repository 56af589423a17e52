/**
 * What a relay answers over HTTP beside its upgrade: latency probes, the check for captive portals,
 * robots, people who look, and outside relays that ask whether a key is admitted.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseKeyText } from '../../protocol/key-text.ts';
import { asObject } from '../../protocol/wire-fields.ts';
import type { RelayAdmission } from './ports.ts';

/** Of a question about a key: two short texts. */
const VERIFY_MAX_BYTES = 4096;
const VERIFY_TIMEOUT_MS = 5_000;
const CHALLENGE = /^[A-Za-z0-9._:-]{1,64}$/;
const HUMAN_TEXT =
  'This is a relay for the devices of private networks (DERP).\nIt carries what they encrypt for each other, and can read none of it.\n';

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Paths with what answers them. A path that is not here is not the relay's. */
export function createRelayRequests(admission: RelayAdmission): ReadonlyMap<string, RequestHandler> {
  return new Map<string, RequestHandler>([
    ['/derp', (_request, response) => answerUpgradeRequired(response)],
    ['/derp/probe', answerProbe],
    ['/derp/latency-check', answerProbe],
    ['/generate_204', answerNoContent],
    ['/robots.txt', (_request, response) => answerText(response, 200, 'User-agent: *\nDisallow: /\n')],
    ['/verify', (request, response) => void answerVerify(admission, request, response)],
  ]);
}

function answerText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(text);
}

function answerUpgradeRequired(response: ServerResponse): void {
  response.setHeader('Upgrade', 'DERP');
  response.setHeader('Connection', 'Upgrade, close');
  answerText(response, 426, HUMAN_TEXT);
}

/** Clients without UDP measure with it how far the relay is; browsers do so from pages of any origin. */
function answerProbe(request: IncomingMessage, response: ServerResponse): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    answerText(response, 405, 'a probe is GET or HEAD\n');
    return;
  }
  response.writeHead(200, { 'Access-Control-Allow-Origin': '*', 'Content-Length': 0 });
  response.end();
}

/** An answer that a captive portal does not think of: it repeats the challenge. */
function answerNoContent(request: IncomingMessage, response: ServerResponse): void {
  const challenge = request.headers['x-tailscale-challenge'];
  if (typeof challenge === 'string' && CHALLENGE.test(challenge)) {
    response.setHeader('X-Tailscale-Response', `response ${challenge}`);
  }
  response.setHeader('Cache-Control', 'no-cache, no-store, must-revalidate, no-transform, max-age=0');
  response.writeHead(204);
  response.end();
}

/** `POST {NodePublic, Source}` gives `{Allow}`: whether the key is a device of any tailnet here. */
async function answerVerify(
  admission: RelayAdmission,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'POST') {
    response.setHeader('Allow', 'POST');
    answerText(response, 405, 'a question about a key is a POST\n');
    return;
  }
  const body = await readSmallBody(request);
  if (response.destroyed) return;
  const key = body === null ? null : readNodeKey(body);
  if (key === null) {
    response.setHeader('Connection', 'close');
    answerText(response, 400, 'a question about a key is {"NodePublic": "nodekey:<64 hex digits>"}\n');
    return;
  }
  const member = admission.admit(key);
  const text = JSON.stringify({ Allow: member !== null && member.tailnets.length > 0 });
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

function readNodeKey(body: Buffer): string | null {
  try {
    return parseKeyText('nodekey', asObject(JSON.parse(body.toString('utf8')))?.['NodePublic']);
  } catch {
    return null;
  }
}

/** The body, or null: too long, too slow, or broken off. */
function readSmallBody(request: IncomingMessage): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (body: Buffer | null): void => {
      clearTimeout(timer);
      if (body === null) request.pause();
      resolve(body);
    };
    const timer = setTimeout(() => settle(null), VERIFY_TIMEOUT_MS).unref();
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > VERIFY_MAX_BYTES) settle(null);
      else chunks.push(chunk);
    });
    request.on('end', () => settle(Buffer.concat(chunks)));
    request.on('error', () => settle(null));
    request.on('close', () => settle(null));
  });
}
