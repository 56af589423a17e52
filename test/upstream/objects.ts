/**
 * Provider objects that outlive a request: files, batches, stored responses, conversations, containers,
 * caches. The fake keeps them in memory for anybody with the provider's key, as providers do; whose
 * they are is the gateway's business.
 */
import { CREATED_SEC, USAGE, serialId } from './answer.ts';
import { FakeError } from './envelopes.ts';
import { isObject, parseJsonObject, requireArray, requireString } from './json.ts';
import type { JsonObject } from './json.ts';
import { formField, parseForm } from './multipart.ts';

interface StoredObject {
  readonly kind: string;
  readonly view: JsonObject;
  readonly content: Buffer | null;
}

/** What a request to an object route gets. */
export type ObjectAnswer =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'bytes'; readonly contentType: string; readonly text: string };

export interface ObjectRequest {
  readonly method: string;
  /** Below the version: `files/file-1/content`. */
  readonly segments: readonly string[];
  readonly dialect: 'openai' | 'anthropic' | 'google';
  readonly contentType: string | null;
  readonly query: URLSearchParams;
  readonly body: Buffer;
}

export interface ObjectStore {
  /** Null where the path is none of an object's. Throws `FakeError`. */
  handle(request: ObjectRequest): ObjectAnswer | null;
  /** Keeps what another route made (a stored response). */
  keep(kind: string, id: string, view: JsonObject): void;
  has(id: string): boolean;
}

/** Collections whose members the fake makes from any JSON. */
const PLAIN: Readonly<Record<string, { readonly prefix: string; readonly object: string }>> = {
  conversations: { prefix: 'conv_', object: 'conversation' },
  containers: { prefix: 'cntr_', object: 'container' },
  vector_stores: { prefix: 'vs_', object: 'vector_store' },
  uploads: { prefix: 'upload_', object: 'upload' },
  cachedContents: { prefix: 'cachedContents/', object: 'cachedContent' },
};

export function createObjectStore(): ObjectStore {
  const objects = new Map<string, StoredObject>();
  let serial = 0;
  const put = (kind: string, prefix: string, view: JsonObject, content: Buffer | null): JsonObject => {
    serial += 1;
    const id = serialId(prefix, serial);
    const named = kind === 'cachedContents' ? { name: id, ...view } : { id, ...view };
    objects.set(id, { kind, view: named, content });
    return named;
  };
  const find = (kind: string, id: string): StoredObject => {
    const found = objects.get(id);
    if (found === undefined || found.kind !== kind) throw new FakeError(404, `no such ${kind} object: ${id}`);
    return found;
  };

  function createFile(request: ObjectRequest): JsonObject {
    const parts = parseForm(request.contentType, request.body);
    const file = parts.find((part) => part.name === 'file');
    if (file === undefined) throw new FakeError(400, "missing required parameter: 'file'");
    const filename = file.filename ?? 'upload';
    if (request.dialect === 'anthropic') {
      const view = {
        type: 'file',
        filename,
        mime_type: 'text/plain',
        size_bytes: file.content.length,
        downloadable: true,
      };
      return put(
        'files',
        'file_',
        { ...view, created_at: new Date(CREATED_SEC * 1000).toISOString() },
        file.content,
      );
    }
    const purpose = formField(parts, 'purpose');
    if (purpose === null) throw new FakeError(400, "missing required parameter: 'purpose'");
    const view = {
      object: 'file',
      bytes: file.content.length,
      created_at: CREATED_SEC,
      filename,
      purpose,
      status: 'processed',
    };
    return put('files', 'file-', view, file.content);
  }

  /** Batches are done as soon as they are made: one answer a line, with usage. */
  function createBatch(request: ObjectRequest): JsonObject {
    const body = parseJsonObject(request.body);
    const inputFile = requireString(body, 'input_file_id');
    const input = find('files', inputFile).content ?? Buffer.alloc(0);
    const lines = input
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim() !== '');
    const output = lines.map((line) => batchLine(JSON.parse(line)));
    const filename = 'output.jsonl';
    const content = Buffer.from(output.join(''));
    const shared = {
      object: 'file',
      bytes: content.length,
      created_at: CREATED_SEC,
      filename,
      purpose: 'batch_output',
    };
    const made = put('files', 'file-', shared, content);
    return put(
      'batches',
      'batch_',
      {
        object: 'batch',
        endpoint: requireString(body, 'endpoint'),
        errors: null,
        input_file_id: inputFile,
        completion_window: requireString(body, 'completion_window'),
        status: 'completed',
        output_file_id: made['id'],
        error_file_id: null,
        created_at: CREATED_SEC,
        completed_at: CREATED_SEC,
        request_counts: { total: lines.length, completed: lines.length, failed: 0 },
        metadata: body['metadata'] ?? null,
      },
      null,
    );
  }

  function createMessageBatch(request: ObjectRequest): JsonObject {
    const requests = requireArray(parseJsonObject(request.body), 'requests');
    const results = requests.map((item) => messageBatchLine(item)).join('');
    const time = new Date(CREATED_SEC * 1000).toISOString();
    const counts = { processing: 0, succeeded: requests.length, errored: 0, canceled: 0, expired: 0 };
    const view = {
      type: 'message_batch',
      processing_status: 'ended',
      request_counts: counts,
      created_at: time,
      ended_at: time,
    };
    // Absolute, as Anthropic writes it: whoever follows it goes past the gateway.
    const made = put(
      'messages/batches',
      'msgbatch_',
      { ...view, expires_at: time, results_url: 'https://provider.example/results' },
      Buffer.from(results),
    );
    return made;
  }

  function create(kind: string, request: ObjectRequest): JsonObject {
    if (kind === 'files') return createFile(request);
    if (kind === 'batches') return createBatch(request);
    if (kind === 'messages/batches') return createMessageBatch(request);
    const plain = PLAIN[kind];
    if (plain === undefined) throw new FakeError(405, `${kind} are not made by POST`);
    const fields = request.body.length === 0 ? {} : parseJsonObject(request.body);
    return put(kind, plain.prefix, { object: plain.object, created_at: CREATED_SEC, ...fields }, null);
  }

  function list(kind: string, request: ObjectRequest): JsonObject {
    const data = [...objects.values()].filter((object) => object.kind === kind).map((object) => object.view);
    if (kind === 'cachedContents') return { cachedContents: data };
    const { page, hasMore } = pageOf(data, request);
    const ends = {
      first_id: page[0]?.['id'] ?? null,
      last_id: page.at(-1)?.['id'] ?? null,
      has_more: hasMore,
    };
    return request.dialect === 'anthropic'
      ? { data: page, ...ends }
      : { object: 'list', data: page, ...ends };
  }

  function one(kind: string, id: string, action: string, request: ObjectRequest): ObjectAnswer {
    const found = find(kind, id);
    if (request.method === 'DELETE' && action === '') {
      objects.delete(id);
      return json({ id, object: `${kind}.deleted`, type: `${kind}_deleted`, deleted: true });
    }
    if (request.method === 'GET' && (action === 'content' || action === 'results')) {
      const contentType = action === 'results' ? 'application/x-jsonl' : 'application/octet-stream';
      return { kind: 'bytes', contentType, text: (found.content ?? Buffer.alloc(0)).toString('utf8') };
    }
    if (request.method === 'GET' && (action === 'input_items' || action === 'items' || action === 'files')) {
      return json({ object: 'list', data: [], first_id: null, last_id: null, has_more: false });
    }
    if (kind === 'uploads' && action === 'parts')
      return json({ id: serialId('part_', serial), object: 'upload.part' });
    if (kind === 'uploads' && action === 'complete') {
      const fields = {
        object: 'file',
        bytes: 1,
        created_at: CREATED_SEC,
        filename: 'whole',
        purpose: 'user_data',
      };
      return json({
        ...found.view,
        status: 'completed',
        file: put('files', 'file-', fields, Buffer.from('x')),
      });
    }
    if (request.method === 'POST' || request.method === 'PATCH' || action === '') return json(found.view);
    throw new FakeError(405, `${request.method} is not for ${kind}/${action}`);
  }

  return {
    handle(request) {
      const place = placeOf(request.segments);
      if (place === null) return null;
      if (place.id !== null) return one(place.kind, place.id, place.action, request);
      if (request.method === 'POST') return json(create(place.kind, request));
      if (request.method === 'GET') return json(list(place.kind, request));
      throw new FakeError(405, `${request.method} is not for ${place.kind}`);
    },
    keep: (kind, id, view) => {
      objects.set(id, { kind, view, content: null });
    },
    has: (id) => objects.has(id),
  };
}

/** More than this the fake gives in no page, so that whoever lists has to turn pages. */
const PAGE_MAX = 5;

function pageOf(
  data: readonly JsonObject[],
  { query }: ObjectRequest,
): { readonly page: readonly JsonObject[]; readonly hasMore: boolean } {
  const limit = Math.min(Number(query.get('limit') ?? PAGE_MAX), PAGE_MAX);
  const after = query.get('after') ?? query.get('after_id');
  const before = query.get('before_id');
  const place = data.findIndex(({ id }) => id === (after ?? before));
  if ((after ?? before) !== null && place < 0) throw new FakeError(400, 'no such object to go on from');
  if (after === null && before !== null) {
    const start = Math.max(0, place - limit);
    return { page: data.slice(start, place), hasMore: start > 0 };
  }
  const rest = data.slice(place + 1);
  return { page: rest.slice(0, limit), hasMore: rest.length > limit };
}

function json(value: unknown): ObjectAnswer {
  return { kind: 'json', value };
}

function placeOf(segments: readonly string[]): { kind: string; id: string | null; action: string } | null {
  const nested = segments[0] === 'messages' && segments[1] === 'batches';
  const kind = nested ? 'messages/batches' : (segments[0] ?? '');
  const known =
    nested || kind === 'files' || kind === 'batches' || kind === 'responses' || Object.hasOwn(PLAIN, kind);
  if (!known) return null;
  const [id = null, action = ''] = segments.slice(nested ? 2 : 1);
  if (kind === 'responses' && id === null) return null;
  return { kind, id: id !== null && kind === 'cachedContents' ? `cachedContents/${id}` : id, action };
}

function batchLine(line: unknown): string {
  const model = isObject(line) && isObject(line['body']) ? line['body']['model'] : null;
  const { input, output } = USAGE.plain;
  const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
  const choices = [{ index: 0, message: { role: 'assistant', content: 'batched' }, finish_reason: 'stop' }];
  const body = {
    id: 'chatcmpl-batched',
    object: 'chat.completion',
    created: CREATED_SEC,
    model,
    choices,
    usage,
  };
  const customId = isObject(line) ? line['custom_id'] : null;
  const response = { status_code: 200, request_id: 'req_fake', body };
  return `${JSON.stringify({ id: 'batch_req_fake', custom_id: customId, response, error: null })}\n`;
}

function messageBatchLine(item: unknown): string {
  if (!isObject(item) || !isObject(item['params']))
    throw new FakeError(400, 'requests: each needs custom_id and params');
  const usage = { input_tokens: USAGE.plain.input, output_tokens: USAGE.plain.output };
  const content = [{ type: 'text', text: 'batched' }];
  const message = {
    id: 'msg_batched',
    type: 'message',
    role: 'assistant',
    model: item['params']['model'],
    content,
  };
  const result = {
    type: 'succeeded',
    message: { ...message, stop_reason: 'end_turn', stop_sequence: null, usage },
  };
  return `${JSON.stringify({ custom_id: item['custom_id'], result })}\n`;
}
