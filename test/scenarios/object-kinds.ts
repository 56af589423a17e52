/** Every kind of provider object, how it is made through Postern, and everywhere it can be named. */
import assert from 'node:assert/strict';
import type { CallOptions } from './harness.ts';

export type Json = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly reason: unknown;
  readonly text: string;
}

export type Send = (path: string, options?: CallOptions) => Promise<Answer>;

export const ANTHROPIC = { 'anthropic-version': '2023-06-01' };
const MESSAGES = [{ role: 'user', content: 'hello' }];

/** One kind of object: how it is made, and everywhere it can be named. */
export interface Kind {
  readonly name: string;
  readonly unknown: string;
  readonly make: (send: Send) => Promise<string>;
  readonly paths: readonly (readonly [method: string, path: (id: string) => string, body?: Json])[];
  readonly bodies: readonly (readonly [
    path: string,
    body: (id: string) => Json,
    headers?: Record<string, string>,
  ])[];
  readonly list: string | null;
  readonly deletePath: ((id: string) => string) | null;
  readonly headers?: Record<string, string>;
}

export const BATCH_LINES = ['gpt-5', 'gpt-5-mini'].map((model, index) =>
  JSON.stringify({
    custom_id: `line-${index}`,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model, messages: MESSAGES },
  }),
);

export function form(
  parts: readonly (readonly [name: string, value: string, filename?: string])[],
): CallOptions {
  const boundary = 'postern-test-boundary';
  const text = parts.map(([name, value, filename]) => {
    const file = filename === undefined ? '' : `; filename="${filename}"`;
    return `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${file}\r\n\r\n${value}\r\n`;
  });
  return {
    body: `${text.join('')}--${boundary}--\r\n`,
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
  };
}

export async function idOf(sent: Promise<Answer>, member = 'id'): Promise<string> {
  const answer = await sent;
  assert.equal(answer.status, 200, answer.text);
  return String((JSON.parse(answer.text) as Json)[member]);
}

export function uploadFile(send: Send, lines = BATCH_LINES.join('\n'), purpose = 'batch'): Promise<string> {
  return idOf(
    send(
      '/v1/files',
      form([
        ['purpose', purpose],
        ['file', lines, 'in.jsonl'],
      ]),
    ),
  );
}

export function batchOf(inputFileId: string): Json {
  return { input_file_id: inputFileId, endpoint: '/v1/chat/completions', completion_window: '24h' };
}

export function anthropicMessage(content: unknown): Json {
  return { model: 'claude-sonnet-4-5', max_tokens: 5, messages: [{ role: 'user', content }] };
}

export const KINDS: readonly Kind[] = [
  {
    name: 'file (OpenAI)',
    unknown: 'file-99999999',
    make: (send) => uploadFile(send),
    paths: [
      ['GET', (id) => `/v1/files/${id}`],
      ['GET', (id) => `/v1/files/${id}/content`],
    ],
    bodies: [
      ['/v1/batches', batchOf],
      [
        '/v1/responses',
        (id) => ({
          model: 'gpt-5',
          input: [{ role: 'user', content: [{ type: 'input_file', file_id: id }] }],
        }),
      ],
      [
        '/v1/responses',
        (id) => ({
          model: 'gpt-5',
          input: 'hi',
          tools: [{ type: 'code_interpreter', container: { type: 'auto', file_ids: [id] } }],
        }),
      ],
      [
        '/v1/chat/completions',
        (id) => ({
          model: 'gpt-5',
          messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: id } }] }],
        }),
      ],
      ['/v1/containers', (id) => ({ name: 'c', file_ids: [id] })],
    ],
    list: '/v1/files',
    deletePath: (id) => `/v1/files/${id}`,
  },
  {
    name: 'file (Anthropic)',
    unknown: 'file_99999999',
    headers: ANTHROPIC,
    make: async (send) => {
      const upload = form([['file', 'text', 'a.txt']]);
      return idOf(send('/v1/files', { ...upload, headers: { ...upload.headers, ...ANTHROPIC } }));
    },
    paths: [
      ['GET', (id) => `/v1/files/${id}`],
      ['GET', (id) => `/v1/files/${id}/content`],
    ],
    bodies: [
      [
        '/v1/messages',
        (id) => anthropicMessage([{ type: 'document', source: { type: 'file', file_id: id } }]),
      ],
      ['/v1/messages', (id) => anthropicMessage([{ type: 'container_upload', file_id: id }])],
      [
        '/v1/messages/batches',
        (id) => ({
          requests: [
            {
              custom_id: '1',
              params: anthropicMessage([{ type: 'document', source: { type: 'file', file_id: id } }]),
            },
          ],
        }),
      ],
    ],
    list: '/v1/files',
    deletePath: (id) => `/v1/files/${id}`,
  },
  {
    name: 'batch',
    unknown: 'batch_99999999',
    make: async (send) => idOf(send('/v1/batches', { body: batchOf(await uploadFile(send)) })),
    paths: [
      ['GET', (id) => `/v1/batches/${id}`],
      ['POST', (id) => `/v1/batches/${id}/cancel`],
    ],
    bodies: [],
    list: '/v1/batches',
    deletePath: null,
  },
  {
    name: 'message batch',
    unknown: 'msgbatch_99999999',
    headers: ANTHROPIC,
    make: (send) =>
      idOf(
        send('/v1/messages/batches', {
          body: { requests: [{ custom_id: '1', params: anthropicMessage('hi') }] },
          headers: ANTHROPIC,
        }),
      ),
    paths: [
      ['GET', (id) => `/v1/messages/batches/${id}`],
      ['GET', (id) => `/v1/messages/batches/${id}/results`],
      ['POST', (id) => `/v1/messages/batches/${id}/cancel`],
    ],
    bodies: [],
    list: '/v1/messages/batches',
    deletePath: (id) => `/v1/messages/batches/${id}`,
  },
  {
    name: 'response',
    unknown: 'resp_99999999',
    make: (send) => idOf(send('/v1/responses', { body: { model: 'gpt-5', input: 'hi' } })),
    paths: [
      ['GET', (id) => `/v1/responses/${id}`],
      ['GET', (id) => `/v1/responses/${id}/input_items`],
      ['POST', (id) => `/v1/responses/${id}/cancel`],
    ],
    bodies: [
      ['/v1/responses', (id) => ({ model: 'gpt-5', input: 'go on', previous_response_id: id })],
      ['/v1/responses', (id) => ({ model: 'gpt-5', input: 'go on', stream: true, previous_response_id: id })],
    ],
    list: null,
    deletePath: (id) => `/v1/responses/${id}`,
  },
  {
    name: 'conversation',
    unknown: 'conv_99999999',
    make: (send) => idOf(send('/v1/conversations', { body: { metadata: { a: 'b' } } })),
    paths: [
      ['GET', (id) => `/v1/conversations/${id}`],
      ['POST', (id) => `/v1/conversations/${id}`, { metadata: {} }],
      ['GET', (id) => `/v1/conversations/${id}/items`],
      ['POST', (id) => `/v1/conversations/${id}/items`, { items: [] }],
    ],
    bodies: [
      ['/v1/responses', (id) => ({ model: 'gpt-5', input: 'hi', conversation: id })],
      ['/v1/responses', (id) => ({ model: 'gpt-5', input: 'hi', conversation: { id } })],
    ],
    list: null,
    deletePath: (id) => `/v1/conversations/${id}`,
  },
  {
    name: 'container',
    unknown: 'cntr_99999999',
    make: (send) => idOf(send('/v1/containers', { body: { name: 'c' } })),
    paths: [
      ['GET', (id) => `/v1/containers/${id}`],
      ['GET', (id) => `/v1/containers/${id}/files`],
      ['GET', (id) => `/v1/containers/${id}/files/cfile_1/content`],
    ],
    bodies: [
      [
        '/v1/responses',
        (id) => ({ model: 'gpt-5', input: 'hi', tools: [{ type: 'code_interpreter', container: id }] }),
      ],
    ],
    list: '/v1/containers',
    deletePath: (id) => `/v1/containers/${id}`,
  },
  {
    name: 'upload',
    unknown: 'upload_99999999',
    make: (send) =>
      idOf(
        send('/v1/uploads', {
          body: { purpose: 'user_data', filename: 'a', bytes: 1, mime_type: 'text/plain' },
        }),
      ),
    paths: [['POST', (id) => `/v1/uploads/${id}/cancel`, {}]],
    bodies: [],
    list: null,
    deletePath: null,
  },
  {
    name: 'cache',
    unknown: 'cachedContents/99999999',
    make: (send) =>
      idOf(
        send('/v1beta/cachedContents', { body: { model: 'models/gemini-2.5-pro', contents: [] } }),
        'name',
      ),
    paths: [
      ['GET', (id) => `/v1beta/${id}`],
      ['PATCH', (id) => `/v1beta/${id}`, { ttl: '60s' }],
    ],
    bodies: [
      [
        '/v1beta/models/gemini-2.5-pro:generateContent',
        (id) => ({ contents: [{ parts: [{ text: 'hi' }] }], cachedContent: id }),
      ],
    ],
    list: '/v1beta/cachedContents',
    deletePath: (id) => `/v1beta/${id}`,
  },
];
