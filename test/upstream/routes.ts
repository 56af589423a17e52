/** From a received request to the answer that a well-behaved or a scripted provider gives. */
import { composeAnswer } from './answer.ts';
import type { Answer, FakeToolCall, FormatWriter } from './answer.ts';
import { behaviourOfModel } from './behaviours.ts';
import type { Behaviour } from './behaviours.ts';
import type { Delivery } from './deliver.ts';
import { FakeError, errorEnvelope } from './envelopes.ts';
import { anthropicMessages } from './formats/anthropic.ts';
import { geminiGenerateContent } from './formats/gemini.ts';
import { openaiChat, openaiCompletions } from './formats/openai-chat.ts';
import { openaiResponses } from './formats/openai-responses.ts';
import { isObject, parseJsonObject, requireArray, requireString, toolNames } from './json.ts';
import type { JsonObject } from './json.ts';
import { parseForm } from './multipart.ts';
import type { ObjectStore } from './objects.ts';
import { headerOf } from './received.ts';
import type { ReceivedRequest, UpstreamDialect } from './received.ts';
import { checkPairing, rememberAnswer, type PairingDialect, type PairingState } from './pairing/index.ts';
import * as simple from './simple-routes.ts';

export interface RouteContext {
  readonly request: ReceivedRequest;
  readonly dialect: UpstreamDialect;
  readonly objects: ObjectStore;
  /** What a test scripted for this request; null leaves it to the model's name. */
  readonly scripted: Behaviour | null;
  /** The pairing rules of the providers, if they are to hold; null where any history is taken. */
  readonly pairing: PairingState | null;
  /** What a test wants to be called; null leaves it to the behaviour. */
  readonly calls: CallScript;
}

/** By what a request asks, the calls to answer it with; null for the answer that it gets anyway. */
export type CallScript = (body: JsonObject) => readonly FakeToolCall[] | null;

/** What to send, and how. */
export interface RoutedAnswer {
  readonly delivery: Delivery;
  readonly behaviour: Behaviour;
}

interface Generation {
  readonly writer: FormatWriter;
  readonly model: string;
  readonly streamed: boolean;
  readonly includeUsage: boolean;
  readonly body: JsonObject;
  /** Said instead of the plain text; null where the plain text fits. */
  readonly text: string | null;
}

/** Decides the answer. Throws `FakeError` for what the provider would refuse. */
export function routeRequest(context: RouteContext): RoutedAnswer {
  const { request } = context;
  const generation = request.method === 'POST' ? generationOf(request) : null;
  if (generation !== null) return answerGeneration(context, generation);
  const model = modelNamed(context);
  const behaviour = context.scripted ?? behaviourOfModel(model);
  if (behaviour.status !== null) return refusal(context.dialect, behaviour);
  const segments = request.path
    .split('/')
    .slice(2)
    .map((segment) => decodeURIComponent(segment));
  return { delivery: answerSimple(context, segments, behaviour), behaviour };
}

function answerGeneration(context: RouteContext, generation: Generation): RoutedAnswer {
  const behaviour = context.scripted ?? behaviourOfModel(generation.model);
  if (behaviour.status !== null) return refusal(context.dialect, behaviour);
  const { writer, model, includeUsage, body, text } = generation;
  checkHistory(context, generation);
  const answer = composeAnswer({
    serial: context.request.serial,
    model,
    behaviour,
    offeredTools: toolNames(body),
    calls: context.calls(body),
    includeUsage,
    text,
  });
  rememberHistory(context, generation, answer);
  if (writer === openaiResponses) keepResponse(context.objects, answer, body);
  const headers: [string, string][] = [
    ['content-type', generation.streamed ? 'text/event-stream; charset=utf-8' : 'application/json'],
    ['request-id', `req_fake_${context.request.serial}`],
    ...(behaviour.redirect ? [pair('location', 'http://127.0.0.1:9/')] : []),
    ...(behaviour.unknowns
      ? [pair('x-unknown-header', 'kept'), pair('x-ratelimit-remaining-requests', '41')]
      : []),
  ];
  const parts = generation.streamed ? writer.stream(answer) : [JSON.stringify(writer.whole(answer))];
  const status = behaviour.redirect ? 307 : 200;
  return {
    delivery: { status, headers, parts, streamed: generation.streamed, streamError: writer.streamError },
    behaviour,
  };
}

const PAIRING: ReadonlyMap<FormatWriter, PairingDialect> = new Map([
  [anthropicMessages, 'anthropic'],
  [openaiChat, 'openai_chat'],
  [openaiResponses, 'openai_responses'],
  [geminiGenerateContent, 'gemini'],
]);

function checkHistory({ pairing }: RouteContext, { writer, body }: Generation): void {
  const dialect = PAIRING.get(writer);
  if (pairing === null || dialect === undefined) return;
  const found = checkPairing(dialect, body, pairing);
  if (found !== null) throw new FakeError(400, found.message, 'fake_pairing');
}

function rememberHistory({ pairing }: RouteContext, { writer, body }: Generation, answer: Answer): void {
  const dialect = PAIRING.get(writer);
  const whole = writer.whole(answer);
  if (pairing !== null && dialect !== undefined && isObject(whole))
    rememberAnswer(dialect, body, whole, pairing);
}

function pair(name: string, value: string): [string, string] {
  return [name, value];
}

function keepResponse(objects: ObjectStore, answer: Answer, body: JsonObject): void {
  const previous = body['previous_response_id'];
  if (typeof previous === 'string' && !objects.has(previous)) {
    throw new FakeError(
      400,
      `previous response with id '${previous}' not found`,
      'previous_response_not_found',
    );
  }
  const view = openaiResponses.whole(answer);
  if (body['store'] === false || !isObject(view) || typeof view['id'] !== 'string') return;
  objects.keep('responses', view['id'], view);
}

/** The generation that a POST asks for; null for every other path. */
function generationOf(request: ReceivedRequest): Generation | null {
  const google =
    /^\/v1(?:beta1?)?\/(?:publishers\/google\/)?models\/(.+):(generateContent|streamGenerateContent)$/.exec(
      request.path,
    );
  if (google !== null) {
    const body = parseJsonObject(request.body);
    requireArray(body, 'contents');
    const streamed = google[2] === 'streamGenerateContent';
    if (streamed && !request.target.includes('alt=sse'))
      throw new FakeError(400, 'the fake streams with alt=sse only');
    const model = decodeURIComponent(google[1] ?? '');
    return {
      writer: geminiGenerateContent,
      model,
      streamed,
      includeUsage: false,
      body,
      text: wantedJson(body),
    };
  }
  const found = BODY_ROUTES[request.path];
  if (found === undefined) return null;
  const body = parseJsonObject(request.body);
  const model = requireString(body, 'model');
  const { stream } = body;
  if (stream !== undefined && stream !== null && typeof stream !== 'boolean')
    throw new FakeError(400, "'stream' is not a boolean");
  const streamed = stream === true;
  const options = body['stream_options'];
  if (options !== undefined && options !== null && !streamed) {
    throw new FakeError(400, "'stream_options' is only allowed when 'stream' is enabled");
  }
  found.check(body);
  const includeUsage = isObject(options) && options['include_usage'] === true;
  return { writer: found.writer, model, streamed, includeUsage, body, text: null };
}

interface BodyRoute {
  readonly writer: FormatWriter;
  check(body: JsonObject): void;
}

const BODY_ROUTES: Readonly<Record<string, BodyRoute>> = {
  '/v1/chat/completions': { writer: openaiChat, check: (body) => requireArray(body, 'messages') },
  '/v1/completions': { writer: openaiCompletions, check: (body) => requirePresent(body, 'prompt') },
  '/v1/responses': { writer: openaiResponses, check: (body) => requirePresent(body, 'input') },
  '/v1/messages': { writer: anthropicMessages, check: checkMessages },
};

function requirePresent(body: JsonObject, name: string): void {
  if (body[name] === undefined) throw new FakeError(400, `missing required parameter: '${name}'`);
}

function checkMessages(body: JsonObject): void {
  requireArray(body, 'messages');
  if (typeof body['max_tokens'] !== 'number') throw new FakeError(400, 'max_tokens: Field required');
}

/** Gemini in JSON mode: the smallest text that fits the schema; null where text is free. */
function wantedJson(body: JsonObject): string | null {
  const config = body['generationConfig'];
  if (!isObject(config) || config['responseMimeType'] !== 'application/json') return null;
  return JSON.stringify(exampleOf(config['responseJsonSchema'] ?? config['responseSchema'], 0));
}

function exampleOf(schema: unknown, depth: number): unknown {
  if (!isObject(schema) || depth > 8) return {};
  const { type, enum: values, properties } = schema;
  if (Array.isArray(values)) return values[0];
  switch (String(type).toLowerCase()) {
    case 'string':
      return 'fake';
    case 'number':
    case 'integer':
      return 0;
    case 'boolean':
      return false;
    case 'array':
      return [];
    default:
      return Object.fromEntries(
        Object.entries(isObject(properties) ? properties : {}).map(([name, value]) => [
          name,
          exampleOf(value, depth + 1),
        ]),
      );
  }
}

function refusal(dialect: UpstreamDialect, behaviour: Behaviour): RoutedAnswer {
  const status = behaviour.status ?? 500;
  const error = new FakeError(status, `the fake upstream was told to answer ${status}`, 'fake_told_so');
  return { delivery: errorDelivery(dialect, error, behaviour.retryAfterSec), behaviour };
}

/** An error as the dialect writes it. */
export function errorDelivery(
  dialect: UpstreamDialect,
  error: FakeError,
  retryAfterSec: number | null = null,
): Delivery {
  const headers: [string, string][] = [['content-type', 'application/json']];
  if (retryAfterSec !== null) headers.push(['retry-after', String(retryAfterSec)]);
  const parts = [JSON.stringify(errorEnvelope(dialect, error))];
  return { status: error.status, headers, parts, streamed: false, streamError: '' };
}

/** The model that a request without a conversation names: in its JSON, in its form or in its path; '' where none. */
function modelNamed(context: RouteContext): string {
  const { request } = context;
  const inPath = /\/models\/([^:]+):/.exec(request.path)?.[1];
  if (inPath !== undefined) return decodeURIComponent(inPath);
  const contentType = headerOf(request, 'content-type');
  if (request.method !== 'POST' || request.body.length === 0) return '';
  if (contentType?.startsWith('multipart/') === true) {
    const model = parseForm(contentType, request.body).find((part) => part.name === 'model');
    return model === undefined ? '' : model.content.toString('utf8');
  }
  const model = parseJsonObject(request.body)['model'];
  return typeof model === 'string' ? model : '';
}

function answerSimple(context: RouteContext, segments: readonly string[], behaviour: Behaviour): Delivery {
  const { request, dialect } = context;
  const path = segments.join('/');
  const usage = behaviour.usage === 'missing' ? null : composeUsage(behaviour);
  const contentType = headerOf(request, 'content-type');
  if (request.method === 'GET' && path === 'models') return json(simple.modelsList(dialect));
  if (request.method === 'GET' && segments[0] === 'models')
    return json(simple.oneModel(dialect, segments.slice(1).join('/')));
  const kept = context.objects.handle({
    method: request.method,
    segments,
    dialect,
    contentType,
    query: new URLSearchParams(request.target.slice(request.path.length + 1)),
    body: request.body,
  });
  if (kept !== null) return kept.kind === 'json' ? json(kept.value) : bytes(kept.contentType, kept.text);
  if (request.method !== 'POST')
    throw new FakeError(404, `the fake has no ${request.method} ${request.path}`);

  if (path === 'embeddings') return json(simple.embeddings(parseJsonObject(request.body), usage));
  if (path === 'moderations') return json(simple.moderations(parseJsonObject(request.body)));
  if (path === 'images/generations') return json(simple.images(parseJsonObject(request.body), usage));
  if (path === 'images/edits' || path === 'images/variations')
    return json(simple.images(parseForm(contentType, request.body), usage));
  if (path === 'audio/speech') return bytes('audio/mpeg', simple.speech(parseJsonObject(request.body)));
  if (path === 'audio/transcriptions' || path === 'audio/translations') {
    return json(simple.transcription(parseForm(contentType, request.body), usage));
  }
  if (path === 'messages/count_tokens') return json(simple.anthropicCount(parseJsonObject(request.body)));
  const action = /:(\w+)$/.exec(request.path)?.[1];
  if (action === 'countTokens') return json(simple.geminiCount(parseJsonObject(request.body)));
  if (action === 'embedContent') return json(simple.geminiEmbed(parseJsonObject(request.body), false));
  if (action === 'batchEmbedContents') return json(simple.geminiEmbed(parseJsonObject(request.body), true));
  throw new FakeError(404, `the fake has no ${request.method} ${request.path}`);
}

function composeUsage(behaviour: Behaviour): Answer['usage'] {
  return composeAnswer({
    serial: 0,
    model: '',
    behaviour,
    offeredTools: [],
    calls: null,
    includeUsage: false,
    text: null,
  }).usage;
}

function json(value: unknown): Delivery {
  return bytes('application/json', JSON.stringify(value));
}

function bytes(contentType: string, text: string): Delivery {
  return {
    status: 200,
    headers: [['content-type', contentType]],
    parts: [text],
    streamed: false,
    streamError: '',
  };
}
