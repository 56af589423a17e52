/**
 * What a device asks inside its connection (`/machine/…` over HTTP/2). The connection has proven the machine
 * key; the body names the node key; both together are the device. Everything unknown is 501, which official
 * clients tolerate.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { describeError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { KeyHex } from '../protocol/index.ts';
import type { Coordinator } from './coordinator.ts';
import type { LoginOutcome, PendingLogin } from './pending-logins.ts';
import { CLIENT_ANSWER_MAX_BYTES, type Pings } from './pings.ts';
import { readMapQuestion, readRegister, type MapQuestion } from './read-requests.ts';
import { type RegisterAnswer, register } from './registration.ts';
import { statedReach } from './stated-reach.ts';
import { tooOld } from './versions.ts';

/** Of a request; a device's facts take a few kilobytes. */
const BODY_MAX_BYTES = 1024 * 1024;
const BODY_TIMEOUT_MS = 30_000;

export interface MachineParts {
  readonly coordinator: Coordinator;
  readonly pings: Pings;
  readonly logger: Logger;
  /** Address of the page of a login. */
  readonly loginUrl: (id: string) => string;
  /** The login that such an address is of; null for any other. */
  readonly loginId: (url: string) => string | null;
  /** Begins a map stream; the device is known and its version served. */
  readonly follow: (stream: ServerHttp2Stream, asked: Following) => void;
}

export interface Following {
  readonly machineKey: KeyHex;
  readonly question: MapQuestion;
}

/** Answers one request; never throws. */
export async function answerMachine(
  parts: MachineParts,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  machineKey: KeyHex,
): Promise<void> {
  try {
    const [path = '', query = ''] = (headers[':path'] ?? '').split('?', 2);
    if (!path.startsWith('/machine/')) return refuse(stream, 404, 'there is nothing here');
    if (path === '/machine/ping-response') return answerPing(parts, stream, { query, machineKey });
    if (path.startsWith('/machine/c2n/'))
      return await answerClient(parts, stream, { id: path.slice('/machine/c2n/'.length), machineKey });
    switch (path) {
      case '/machine/register':
        return await answerRegister(parts, stream, machineKey);
      case '/machine/map':
        return await answerMap(parts, stream, machineKey);
      case '/machine/update-health':
        await readBody(stream, BODY_MAX_BYTES);
        return respond(stream, 204, null);
      default:
        return refuse(stream, 501, 'this coordination server does not offer that');
    }
  } catch (error) {
    if (error instanceof BodyFault) return refuse(stream, error.status, error.message);
    parts.logger.error('a request of a device failed', { error: describeError(error) });
    refuse(stream, 500, 'the coordination server failed; the device may try again');
  }
}

async function answerRegister(
  parts: MachineParts,
  stream: ServerHttp2Stream,
  machineKey: KeyHex,
): Promise<void> {
  const question = readRegister(await readBody(stream, BODY_MAX_BYTES));
  if (question === null) return refuse(stream, 400, 'this is no registration');
  const old = tooOld(question.version);
  if (old !== null) return respondJson(stream, registerJson(parts, { type: 'refused', why: old }));
  const followupId = question.followup === null ? null : parts.loginId(question.followup);
  let answer = register(parts.coordinator, { machineKey, question, followupId });
  if (answer.type === 'wait') {
    const outcome = await outcomeOf(answer.login, stream);
    if (outcome === null) return;
    if (outcome.type === 'refused') answer = outcome;
    else answer = register(parts.coordinator, { machineKey, question, followupId: null });
  }
  await parts.coordinator.ledger.durable();
  respondJson(stream, registerJson(parts, answer));
}

/** Null if the device does not wait any longer. */
function outcomeOf(login: PendingLogin, stream: ServerHttp2Stream): Promise<LoginOutcome | null> {
  return new Promise((resolve) => {
    stream.once('close', () => resolve(null));
    void login.outcome.then(resolve);
  });
}

/** `tailcfg.RegisterResponse`. */
function registerJson(parts: MachineParts, answer: RegisterAnswer): object {
  switch (answer.type) {
    case 'registered': {
      const { tailnet, node } = answer;
      const profile = tailnet.source.profile(node.userId ?? tailnet.record.taggedUserId);
      return {
        User: { ID: profile.id, DisplayName: profile.displayName },
        Login: {
          ID: profile.id,
          Provider: 'postern',
          LoginName: profile.login,
          DisplayName: profile.displayName,
        },
        NodeKeyExpired: false,
        MachineAuthorized: node.isAuthorized,
        AuthURL: '',
      };
    }
    case 'key_expired':
      return { NodeKeyExpired: true, MachineAuthorized: false, AuthURL: '' };
    case 'refused':
      return { Error: answer.why };
    case 'login':
    case 'wait':
    default:
      return { NodeKeyExpired: false, MachineAuthorized: false, AuthURL: parts.loginUrl(answer.login.id) };
  }
}

async function answerMap(parts: MachineParts, stream: ServerHttp2Stream, machineKey: KeyHex): Promise<void> {
  const question = readMapQuestion(await readBody(stream, BODY_MAX_BYTES));
  if (question === null) return refuse(stream, 400, 'this is no question for a map');
  const old = tooOld(question.version);
  if (old !== null) return refuse(stream, 400, old);
  const { coordinator } = parts;
  const known = coordinator.device(machineKey, question.nodeKey);
  if (known === null) return refuse(stream, 404, 'there is no device with these keys');
  if (question.isStream) return parts.follow(stream, { machineKey, question });
  if (!question.omitsPeers) return refuse(stream, 400, 'a map is followed by a stream (Stream: true)');
  const stated = statedReach(known.tailnet, known.node, question);
  if (stated !== known.node) coordinator.putNode(known.tailnet, stated);
  respond(stream, 200, null);
}

function answerPing(
  parts: MachineParts,
  stream: ServerHttp2Stream,
  { query, machineKey }: { readonly query: string; readonly machineKey: KeyHex },
): void {
  stream.resume();
  const id = new URLSearchParams(query).get('id') ?? '';
  if (parts.pings.answer(id, machineKey, Buffer.alloc(0))) respond(stream, 200, null);
  else refuse(stream, 404, 'nobody waits for this answer');
}

async function answerClient(
  parts: MachineParts,
  stream: ServerHttp2Stream,
  { id, machineKey }: { readonly id: string; readonly machineKey: KeyHex },
): Promise<void> {
  const body = await readBody(stream, CLIENT_ANSWER_MAX_BYTES);
  if (parts.pings.answer(id, machineKey, body)) respond(stream, 200, null);
  else refuse(stream, 404, 'nobody waits for this answer');
}

/** A body that is none of a device's. */
class BodyFault extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function readBody(stream: ServerHttp2Stream, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const fail = (status: number, message: string): void => {
      clearTimeout(timer);
      stream.removeAllListeners('data').resume();
      reject(new BodyFault(status, message));
    };
    const timer = setTimeout(() => fail(408, 'the body came too slowly'), BODY_TIMEOUT_MS).unref();
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) fail(413, `a body has at most ${maxBytes} bytes`);
      else chunks.push(chunk);
    });
    stream.once('end', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
    stream.once('close', () => fail(400, 'the body ended early'));
  });
}

export function respondJson(stream: ServerHttp2Stream, body: object): void {
  respond(stream, 200, Buffer.from(JSON.stringify(body)), 'application/json');
}

/** An error as a short text: a client shows it, or logs it. */
export function refuse(stream: ServerHttp2Stream, status: number, message: string): void {
  respond(stream, status, Buffer.from(`${message}\n`), 'text/plain; charset=utf-8');
}

function respond(stream: ServerHttp2Stream, status: number, body: Buffer | null, type?: string): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  stream.respond({ ':status': status, ...(type === undefined ? {} : { 'content-type': type }) });
  stream.end(body ?? undefined);
}
