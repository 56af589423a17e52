/**
 * The fake providers of the demo: one loopback port each, so that each is an origin with a key of its
 * own. A demo client says before it calls what the model will answer (`expect`), under an id that its
 * request carries in a header; without one a provider answers with a short text. Time passes on the
 * demo's clock while they "think" and "write".
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { anthropicMessages } from './dialects/anthropic.ts';
import { geminiGenerateContent } from './dialects/gemini.ts';
import { openaiChat } from './dialects/openai-chat.ts';
import { openaiResponses } from './dialects/openai-responses.ts';
import type { Reply, TalkFormat } from './talk.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Says which answer is meant; the gateway hands it on like any header that it does not know. */
export const REPLY_HEADER = 'x-demo-reply';

export const PROVIDERS = ['anthropic', 'anthropic-eu', 'openai', 'google'] as const;
export type ProviderName = (typeof PROVIDERS)[number];

export interface DemoUpstream {
  readonly origins: Readonly<Record<ProviderName, string>>;
  /** The answer to the request that bears this id. */
  expect(id: string, reply: Reply): void;
  /** No request with this id comes any more. */
  forget(id: string): void;
  /** A provider is at work on this answer. */
  isAnswering(id: string): boolean;
  /** From now on this provider answers with this status, or well again with null. */
  fail(provider: ProviderName, status: number | null): void;
  close(): Promise<void>;
}

/** Requests with large conversations stay well below. */
const BODY_MAX_BYTES = 16 * 1024 * 1024;

interface Answering {
  readonly clock: VirtualClock;
  readonly replies: ReadonlyMap<string, Reply>;
  readonly failing: ReadonlyMap<ProviderName, number>;
  readonly nextId: () => string;
}

export async function startDemoUpstream(clock: VirtualClock): Promise<DemoUpstream> {
  const replies = new Map<string, Reply>();
  const failing = new Map<ProviderName, number>();
  const answering = new Set<string>();
  let count = 0;
  const nextId = (): string => {
    count += 1;
    return `demo${count.toString(36).padStart(6, '0')}`;
  };
  const servers: http.Server[] = [];
  const open = async (name: ProviderName): Promise<string> => {
    const server = http.createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
      const id = String(req.headers[REPLY_HEADER] ?? '');
      answering.add(id);
      answer({ clock, replies, failing, nextId }, name, req, res)
        .catch(() => res.destroy())
        .finally(() => answering.delete(id));
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('a fake provider got no port');
    return `http://127.0.0.1:${address.port}`;
  };
  const origins = {
    anthropic: await open('anthropic'),
    'anthropic-eu': await open('anthropic-eu'),
    openai: await open('openai'),
    google: await open('google'),
  };
  return {
    origins,
    expect: (id, reply) => void replies.set(id, reply),
    forget: (id) => void replies.delete(id),
    isAnswering: (id) => answering.has(id),
    fail(provider, status) {
      if (status === null) failing.delete(provider);
      else failing.set(provider, status);
    },
    async close() {
      for (const server of servers) server.closeAllConnections();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

async function answer(
  parts: Answering,
  provider: ProviderName,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const body = await readBody(req);
  const path = (req.url ?? '').split('?', 1)[0] ?? '';
  if (req.method === 'GET') return sendJson(res, 200, { object: 'list', data: [], models: [] });
  const named = req.headers[REPLY_HEADER];
  const known = typeof named === 'string' ? parts.replies.get(named) : undefined;
  const reply = known ?? PLAIN_REPLY;
  const failure = parts.failing.get(provider) ?? reply.failure;
  if (failure !== null) {
    // The way of one request: a second try finds the provider well, unless it is down as a whole.
    await wait(parts.clock, failure === 429 ? 150 : 900, known);
    return sendJson(
      res,
      failure,
      errorBody(provider, failure),
      failure === 429 ? { 'retry-after': '20' } : {},
    );
  }
  await wait(parts.clock, reply.firstByteMs, known);
  const id = parts.nextId();
  if (path.endsWith('/embeddings')) return sendJson(res, 200, embeddings(body, reply));
  if (path.endsWith('/images/generations')) return sendJson(res, 200, image(reply, parts.clock.now()));
  const format = formatOf(path);
  if (format === null) return sendJson(res, 404, { error: { message: `the demo has no ${path}` } });
  const at = {
    id,
    model: modelOf(path, body),
    createdSec: Math.floor(parts.clock.now() / 1000),
  };
  if (!wantsStream(path, body)) {
    await wait(parts.clock, reply.writingMs, known);
    return sendJson(res, 200, format.whole(reply, at));
  }
  await sendStream(parts.clock, res, format.stream(reply, at), reply, known !== undefined);
}

/** Who asks without being awaited by the demo (a person at the console) is not made to wait on its clock. */
async function wait(clock: VirtualClock, durationMs: number, known: Reply | undefined): Promise<void> {
  if (known !== undefined) await clock.sleep(durationMs);
}

async function sendStream(
  clock: VirtualClock,
  res: ServerResponse,
  events: readonly string[],
  reply: Reply,
  isAwaited: boolean,
): Promise<void> {
  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  const half = Math.ceil(events.length / 2);
  res.write(events.slice(0, half).join(''));
  if (isAwaited) await clock.sleep(reply.writingMs);
  if (reply.breaksOff) return void res.destroy();
  res.end(events.slice(half).join(''));
}

function formatOf(path: string): TalkFormat | null {
  if (path.endsWith('/messages')) return anthropicMessages;
  if (path.endsWith('/chat/completions')) return openaiChat;
  if (path.endsWith('/responses')) return openaiResponses;
  return path.includes(':generateContent') || path.includes(':streamGenerateContent')
    ? geminiGenerateContent
    : null;
}

function modelOf(path: string, body: Readonly<Record<string, unknown>>): string {
  const inPath = /\/models\/([^:/]+):/.exec(path)?.[1];
  const inBody = body['model'];
  return inPath ?? (typeof inBody === 'string' ? inBody : 'unknown');
}

function wantsStream(path: string, body: Readonly<Record<string, unknown>>): boolean {
  return path.includes(':streamGenerateContent') || body['stream'] === true;
}

async function readBody(req: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > BODY_MAX_BYTES) throw new RangeError(`a body is larger than ${BODY_MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function sendJson(
  res: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = Buffer.from(JSON.stringify(value));
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, ...headers });
  res.end(body);
}

function errorBody(provider: ProviderName, status: number): object {
  const isAnthropic = provider.startsWith('anthropic');
  const message = status === 429 ? 'Too many requests (demo)' : 'The service is overloaded (demo)';
  const type = status === 429 ? 'rate_limit_error' : 'overloaded_error';
  return isAnthropic
    ? { type: 'error', error: { type, message } }
    : { error: { message, type, code: status } };
}

/** Small ones: nobody computes with them here. */
function embeddings(body: Readonly<Record<string, unknown>>, reply: Reply): object {
  const input = Array.isArray(body['input']) ? body['input'] : [body['input']];
  return {
    object: 'list',
    model: modelOf('', body),
    data: input.map((_, index) => ({ object: 'embedding', index, embedding: [0.12, -0.03, 0.4, 0.07] })),
    usage: { prompt_tokens: reply.usage.input, total_tokens: reply.usage.input },
  };
}

/** One transparent pixel. */
const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';

function image(reply: Reply, now: number): object {
  return {
    created: Math.floor(now / 1000),
    data: [{ b64_json: PIXEL }],
    usage: {
      input_tokens: reply.usage.input,
      output_tokens: reply.usage.output,
      total_tokens: reply.usage.input + reply.usage.output,
      input_tokens_details: { text_tokens: reply.usage.input, image_tokens: 0 },
    },
  };
}

/** What the fake models say to those whom the demo does not play: the viewer. */
const PLAIN_REPLY: Reply = {
  thinking: null,
  text: 'This is a demo: no model is behind this answer. Your request went through the whole of Postern, and its record is in the list of requests.',
  calls: [],
  usage: { input: 40, cacheRead: 0, cacheWrite: 0, output: 32, reasoning: 0 },
  firstByteMs: 0,
  writingMs: 0,
  failure: null,
  breaksOff: false,
};
