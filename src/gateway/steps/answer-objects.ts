/**
 * Answers about objects that cannot be passed on as they come: lists, of which the caller gets only
 * its own objects, and message batches, whose `results_url` leads past Postern. They are read whole,
 * within limits, changed in the bytes that have to change, and sent.
 */
import type { OwnedObject } from '../../store/index.ts';
import { JsonScanError, scanJsonDocument, type JsonMember } from '../../wire/json-scan.ts';
import type { Exchange } from '../exchange.ts';
import {
  providerQuery,
  readListQuestion,
  readProviderPage,
  renderPage,
  type ListQuestion,
  type ListedObject,
} from '../ownership/list-page.ts';
import { objectOperation } from '../ownership/object-operation.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused, toRefused } from '../reasons.ts';
import type { Answer, Relay } from '../relay.ts';
import type { RawHeaders } from '../response-headers.ts';
import { createRelay, relayed, type ForwardInput } from './forward.ts';
import type { LlmRequest } from './read-request.ts';
import { prepare, toUpstreamInput, toUpstreamRefusal } from './upstream-input.ts';

/** Bytes of one answer that is read whole. A page of 1,000 files is about 300 kB. */
const ANSWER_MAX_BYTES = 16 * 1024 * 1024;
/** Pages of the provider for one page of the caller. */
const PAGES_MAX = 20;

/** Whether the answer is read whole here instead of being relayed. */
export function isReadWhole(request: LlmRequest): boolean {
  const operation = objectOperation(request);
  if (operation === 'list') return true;
  return (
    request.match.objectKind === 'message_batch' &&
    operation !== 'delete' &&
    request.match.action !== 'results'
  );
}

/** Throws `Refused` before anything was sent. */
export function answerObjects(parts: GatewayParts, input: ForwardInput): Promise<Answer> {
  const { active, route, request } = input;
  active.route = { keyId: route.key?.id ?? null, provider: route.provider.id, model: route.model };
  const isList = objectOperation(request) === 'list';
  const question = isList ? checkedQuestion(parts, input) : null;
  const relay = createRelay(parts, input, null);
  return relayed(active, relay, () => {
    const sent =
      question === null ? sendOne(parts, input, relay) : sendList(parts, input, { relay, question });
    sent.catch((error: unknown) => relay.fail(toRefused(error), 'upstream_failed'));
  });
}

/** A list's place is named by an object, which must be the caller's like every other. */
function checkedQuestion(parts: GatewayParts, { exchange, active, request }: ForwardInput): ListQuestion {
  const { dialect, objectKind = 'file' } = request.match;
  const question = readListQuestion(exchange.query, dialect, objectKind);
  if (dialect === 'google') return question;
  const owned = parts.owners.ownedBy(active.caller.principal, objectKind);
  for (const id of [question.after, question.before]) {
    if (id !== null && !owned.has(id)) {
      throw new Refused(
        'object_not_found',
        `no ${objectKind.replaceAll('_', ' ')} "${id.slice(0, 100)}" of yours is known here`,
      );
    }
  }
  return question;
}

interface Whole {
  readonly status: number;
  readonly headers: RawHeaders;
  readonly body: Buffer;
}

async function sendOne(parts: GatewayParts, input: ForwardInput, relay: Relay): Promise<void> {
  const upstream = { query: input.exchange.query, body: input.route.body ?? input.request.body };
  const whole = await fetchWhole(parts, input, { relay, ...upstream });
  const body = isSuccess(whole) ? withOwnResultsUrl(whole.body, input.exchange) : whole.body;
  answerWith(relay, { ...whole, body });
}

interface ListInput {
  readonly relay: Relay;
  readonly question: ListQuestion;
}

async function sendList(
  parts: GatewayParts,
  input: ForwardInput,
  { relay, question }: ListInput,
): Promise<void> {
  const { dialect, objectKind: kind = 'file' } = input.request.match;
  const owned = ownedThere(parts, input);
  const found: ListedObject[] = [];
  let asked = question;
  for (let pages = 0; owned.size > 0; pages += 1) {
    if (pages >= PAGES_MAX) {
      if (found.length > 0) return sendPage(relay, input, { objects: found, hasMore: true, next: null });
      throw new Refused(
        'overloaded',
        `none of your objects is among the next ${PAGES_MAX} pages of the provider: ask for them by id`,
      );
    }
    const whole = await fetchWhole(parts, input, {
      relay,
      query: providerQuery(asked, { dialect, kind }),
      body: NO_BYTES,
    });
    if (!isSuccess(whole)) return answerWith(relay, whole);
    const page = readProviderPage(whole.body, dialect);
    if (page === null) throw new Refused('upstream_truncated', 'the list of the provider cannot be read');
    const own = page.objects.filter(({ id }) => owned.has(id));
    const isBack = question.before !== null && question.after === null;
    if (isBack) found.unshift(...own);
    else found.push(...own);
    const isFull = found.length > question.limit;
    // Google's mark stands between the provider's pages, so one of its pages is one of ours.
    if (dialect === 'google')
      return sendPage(relay, input, { objects: found, hasMore: page.hasMore, next: page.next });
    if (isFull || !page.hasMore || page.next === null || found.length === owned.size) {
      const objects = isBack ? found.slice(-question.limit) : found.slice(0, question.limit);
      return sendPage(relay, input, { objects, hasMore: isFull, next: null });
    }
    asked = isBack ? { ...asked, before: page.objects[0]?.id ?? null } : { ...asked, after: page.next };
  }
  sendPage(relay, input, { objects: [], hasMore: false, next: null });
}

const NO_BYTES = Buffer.alloc(0);

/** The caller's objects of the listed kind at the provider that is asked. */
function ownedThere(
  parts: GatewayParts,
  { active, request, route }: ForwardInput,
): ReadonlyMap<string, OwnedObject> {
  const { objectKind = 'file' } = request.match;
  const owned = parts.owners.ownedBy(active.caller.principal, objectKind);
  return new Map([...owned].filter(([, { provider }]) => provider === route.provider.id));
}

function sendPage(
  relay: Relay,
  { exchange, request }: ForwardInput,
  page: Parameters<typeof renderPage>[1],
): void {
  const { dialect, objectKind } = request.match;
  const objects =
    objectKind === 'message_batch'
      ? page.objects.map((object) => ({ ...object, bytes: withOwnResultsUrl(object.bytes, exchange) }))
      : page.objects;
  const body = renderPage(dialect, { ...page, objects });
  answerWith(relay, { status: 200, headers: ['content-type', 'application/json'], body });
}

function isSuccess({ status }: Whole): boolean {
  return status >= 200 && status < 300;
}

/** Headers of the provider pass as ever; the length is the new body's. */
function answerWith(relay: Relay, { status, headers, body }: Whole): void {
  const kept: (Buffer | string)[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (String(headers[i]).toLowerCase() !== 'content-length')
      kept.push(headers[i] ?? '', headers[i + 1] ?? '');
  }
  relay.head(status, [...kept, 'content-length', String(body.length)]);
  if (body.length > 0) relay.data(body);
  relay.end();
}

interface FetchWhole {
  readonly relay: Relay;
  readonly query: string;
  readonly body: Buffer;
}

/** One exchange with the provider, read to its end. Rejects with `Refused`. */
async function fetchWhole(
  parts: GatewayParts,
  input: ForwardInput,
  { relay, query, body }: FetchWhole,
): Promise<Whole> {
  const question = toUpstreamInput({ ...input, exchange: { ...input.exchange, query } }, body);
  const method = question.method === 'HEAD' ? 'GET' : question.method;
  const upstream = await prepare(parts, input.route, { ...question, method });
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let status = 0;
    let headers: RawHeaders = [];
    parts.upstreams.dispatch(
      upstream.origin,
      {
        method,
        path: upstream.path,
        headers: upstream.headers,
        body: upstream.body.length === 0 ? null : upstream.body,
      },
      {
        onStart: (control) =>
          relay.begin({
            pause: () => {},
            resume: () => {},
            abort: (reason) => {
              control.abort(reason);
              reject(reason);
            },
          }),
        onHeaders: (answered, raw) => {
          status = answered;
          headers = raw;
        },
        onData: (chunk) => {
          size += chunk.length;
          if (size <= ANSWER_MAX_BYTES) chunks.push(chunk);
          else
            reject(
              new Refused(
                'upstream_truncated',
                `the answer of the provider is over ${ANSWER_MAX_BYTES} bytes`,
              ),
            );
        },
        onEnd: () => resolve({ status, headers, body: Buffer.concat(chunks) }),
        onError: (error) => reject(toUpstreamRefusal(error, false)),
      },
    );
  });
}

/** A message batch whose `results_url` is fetched through Postern; the same bytes if it has none. */
function withOwnResultsUrl(object: Buffer, exchange: Exchange): Buffer {
  const members = membersOf(object);
  const url = members?.find(({ key }) => key === 'results_url');
  const id = members?.find(({ key }) => key === 'id');
  if (url === undefined || id === undefined || object[url.valueStart] !== QUOTE) return object;
  const batch: unknown = JSON.parse(object.toString('utf8', id.valueStart, id.valueEnd));
  const own = `${ownOrigin(exchange)}/v1/messages/batches/${encodeURIComponent(String(batch))}/results`;
  return Buffer.concat([
    object.subarray(0, url.valueStart),
    Buffer.from(JSON.stringify(own)),
    object.subarray(url.valueEnd),
  ]);
}

const QUOTE = 0x22;

function membersOf(object: Buffer): readonly JsonMember[] | null {
  try {
    return scanJsonDocument(object);
  } catch (error) {
    if (error instanceof JsonScanError) return null;
    throw error;
  }
}

/** As the caller sees this server; `Host` was checked when the request came. */
function ownOrigin({ req, listener }: Exchange): string {
  const isEncrypted = listener === 'serve' || 'encrypted' in req.socket;
  return `${isEncrypted ? 'https' : 'http'}://${req.headers.host ?? 'localhost'}`;
}
