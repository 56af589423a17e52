import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import Anthropic, * as anthropicSdk from '@anthropic-ai/sdk';
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { ApiError, GoogleGenAI } from '@google/genai';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import OpenAI, * as openaiSdk from 'openai';
import { encodeEventStreamMessage } from '../wire/aws-event-stream.ts';
import { renderRefusal, renderStreamError, type Refusal } from './errors.ts';
import type { Dialect, Format } from './surface.ts';

const REFUSAL: Refusal = {
  status: 403,
  code: 'approval_pending',
  message: 'the request waits for an approval',
  requestId: 'req_1',
  help: 'Ask an approver: https://example.test/a/1',
};
const LIMITED: Refusal = {
  status: 429,
  code: 'budget_spent',
  message: 'the budget is spent',
  requestId: 'req_2',
  retryAfterSec: 29.2,
};

/** Answers every request with these bytes while `use` runs. */
async function answering(
  answer: { status: number; headers: readonly [string, string][]; body: Buffer },
  use: (origin: string) => Promise<void>,
): Promise<void> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(answer.status, answer.headers.flat());
    response.end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    await use(`http://127.0.0.1:${address.port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function refusing(
  dialect: Dialect,
  refusal: Refusal,
  use: (origin: string) => Promise<void>,
): Promise<void> {
  const { contentType, body, headers } = renderRefusal(dialect, refusal);
  await answering(
    { status: refusal.status, headers: [['content-type', contentType], ...headers], body },
    use,
  );
}

async function cutting(
  format: Format,
  contentType: string,
  begun: string | Buffer,
  use: (origin: string) => Promise<void>,
): Promise<void> {
  const body = Buffer.concat([Buffer.from(begun), renderStreamError(format, REFUSAL)]);
  await answering({ status: 200, headers: [['content-type', contentType]], body }, use);
}

const openai = (origin: string): OpenAI =>
  new OpenAI({ apiKey: '-', baseURL: `${origin}/v1`, maxRetries: 0 });
const anthropic = (origin: string): Anthropic =>
  new Anthropic({ apiKey: '-', baseURL: origin, maxRetries: 0 });
const google = (origin: string): GoogleGenAI =>
  new GoogleGenAI({ apiKey: '-', httpOptions: { baseUrl: origin, retryOptions: { attempts: 1 } } });
const bedrock = (origin: string): BedrockRuntimeClient =>
  new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint: origin,
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler(),
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  });

const CHAT = { model: 'm', messages: [{ role: 'user' as const, content: 'x' }] };
const MESSAGE = { ...CHAT, max_tokens: 9 };
const CONVERSE = { modelId: 'm', messages: [{ role: 'user' as const, content: [{ text: 'x' }] }] };

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const event of stream) assert.ok(event !== undefined);
}

test('openai raises its typed error with code and request id', async () => {
  await refusing('openai', REFUSAL, async (origin) => {
    await assert.rejects(openai(origin).chat.completions.create(CHAT), (error) => {
      assert.ok(error instanceof openaiSdk.PermissionDeniedError);
      assert.deepEqual(
        [error.code, error.type, error.requestID],
        ['approval_pending', 'permission_error', 'req_1'],
      );
      assert.match(error.message, /waits for an approval\. Ask an approver.*req_1/);
      return true;
    });
  });
  await refusing('openai', LIMITED, async (origin) => {
    await assert.rejects(openai(origin).responses.create({ model: 'm', input: 'x' }), (error) => {
      assert.ok(error instanceof openaiSdk.RateLimitError);
      assert.equal(error.headers.get('retry-after'), '30');
      return true;
    });
  });
});

test('@anthropic-ai/sdk raises its typed error with type and request id', async () => {
  await refusing('anthropic', REFUSAL, async (origin) => {
    await assert.rejects(anthropic(origin).messages.create(MESSAGE), (error) => {
      assert.ok(error instanceof anthropicSdk.PermissionDeniedError);
      assert.equal(error.requestID, 'req_1');
      assert.match(error.message, /permission_error/);
      return true;
    });
  });
  await refusing('anthropic', { ...LIMITED, status: 404 }, async (origin) => {
    await assert.rejects(anthropic(origin).messages.countTokens(CHAT), anthropicSdk.NotFoundError);
  });
});

test('@google/genai raises ApiError with the status', async () => {
  await refusing('google', LIMITED, async (origin) => {
    await assert.rejects(google(origin).models.generateContent({ model: 'm', contents: 'x' }), (error) => {
      assert.ok(error instanceof ApiError);
      assert.equal(error.status, 429);
      assert.match(error.message, /RESOURCE_EXHAUSTED.*budget_spent.*30s/);
      return true;
    });
  });
});

test('the Bedrock client raises the exception of the status', async () => {
  const names: readonly [number, string][] = [
    [403, 'AccessDeniedException'],
    [404, 'ResourceNotFoundException'],
    [429, 'ThrottlingException'],
    [400, 'ValidationException'],
    [500, 'InternalServerException'],
    [503, 'ServiceUnavailableException'],
  ];
  for (const [status, name] of names) {
    await refusing('bedrock', { ...REFUSAL, status }, async (origin) => {
      await assert.rejects(bedrock(origin).send(new ConverseCommand(CONVERSE)), (error) => {
        assert.ok(error instanceof Error);
        assert.equal(error.name, name);
        assert.match(error.message, /waits for an approval/);
        return true;
      });
    });
  }
});

test('inside a stream each SDK raises its error, also right after an event', async () => {
  await cutting('openai_chat', 'text/event-stream', 'data: {"id":"c","choices":[]}\n\n', async (origin) => {
    const stream = await openai(origin).chat.completions.create({ ...CHAT, stream: true });
    await assert.rejects(
      drain(stream),
      (error) => error instanceof openaiSdk.APIError && error.code === 'approval_pending',
    );
  });
  await cutting('openai_responses', 'text/event-stream', '', async (origin) => {
    const stream = await openai(origin).responses.create({ model: 'm', input: 'x', stream: true });
    await assert.rejects(
      drain(stream),
      (error) => error instanceof openaiSdk.APIError && error.code === 'approval_pending',
    );
  });
  await cutting(
    'anthropic_messages',
    'text/event-stream',
    'event: ping\ndata: {"type":"ping"}\n\n',
    async (origin) => {
      const stream = await anthropic(origin).messages.create({ ...MESSAGE, stream: true });
      await assert.rejects(
        drain(stream),
        (error) => error instanceof anthropicSdk.APIError && /permission_error/.test(error.message),
      );
    },
  );
  await cutting(
    'gemini_generate_content',
    'text/event-stream',
    'data: {"candidates":[]}\n\n',
    async (origin) => {
      const stream = await google(origin).models.generateContentStream({ model: 'm', contents: 'x' });
      await assert.rejects(drain(stream), (error) => error instanceof ApiError && error.status === 403);
    },
  );
  const started = encodeEventStreamMessage({
    headers: new Map([
      [':event-type', { type: 'string', value: 'messageStart' }],
      [':message-type', { type: 'string', value: 'event' }],
    ]),
    payload: Buffer.from('{"role":"assistant"}'),
  });
  await cutting('bedrock_converse', 'application/vnd.amazon.eventstream', started, async (origin) => {
    const { stream } = await bedrock(origin).send(new ConverseStreamCommand(CONVERSE));
    assert.ok(stream !== undefined);
    await assert.rejects(
      drain(stream),
      (error) => error instanceof Error && error.name === 'ValidationException',
    );
  });
});

test('every refusal carries the reason and the request id in headers', () => {
  for (const dialect of ['openai', 'anthropic', 'google', 'bedrock'] as const) {
    const headers = new Map(renderRefusal(dialect, REFUSAL).headers);
    assert.deepEqual(
      [headers.get('x-postern-reason'), headers.get('x-postern-request-id')],
      ['approval_pending', 'req_1'],
    );
    assert.equal(headers.has('retry-after'), false);
  }
});
