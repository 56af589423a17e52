/** Errors of every provider in every caller's format: whole, inside streams, and streams that break off. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import type { TranslatedFormat } from '../contract.ts';
import {
  anthropicClient,
  FORMATS,
  openaiClient,
  PAIRS,
  plainRequest,
  transcode,
  translate,
} from '../translate.fixture.ts';

/** An error as each provider words it. */
function providerError(format: TranslatedFormat, type: string, google: string, message: string): object {
  switch (format) {
    case 'anthropic_messages':
      return { type: 'error', error: { type, message } };
    case 'openai_chat':
    case 'openai_responses':
      return { error: { message, type, param: null, code: null } };
    case 'gemini_generate_content':
      return { error: { code: 429, message, status: google } };
    default:
      return format satisfies never;
  }
}

interface WireError {
  readonly error: {
    readonly message: string;
    readonly type?: string;
    readonly status?: string;
    readonly code?: unknown;
  };
}

for (const [from, to] of PAIRS) {
  test(`${to} errors reach a ${from} caller with their status and message`, () => {
    const { answers } = translate(from, to, plainRequest(from));
    const body = providerError(to, 'rate_limit_error', 'RESOURCE_EXHAUSTED', 'slow down');
    const answer = answers.whole(429, Buffer.from(JSON.stringify(body)));
    assert.equal(answer.status, 429);
    assert.equal(answer.contentType, 'application/json');
    const { error } = JSON.parse(answer.body.toString()) as WireError;
    assert.equal(error.message, 'slow down');
    assert.equal(
      from === 'gemini_generate_content' ? error.status : error.type,
      from === 'gemini_generate_content' ? 'RESOURCE_EXHAUSTED' : 'rate_limit_error',
    );
  });

  test(`a ${to} stream that breaks off ends for a ${from} caller with an error, not with an answer`, () => {
    const { answers } = translate(from, to, plainRequest(from), { stream: true });
    const coder = answers.createTranscoder();
    const out = coder.finish().toString();
    assert.match(out, /the stream of the provider ended before the answer did/);
    assert.equal(coder.fault, 'the stream of the provider ended before the answer did');
    assert.equal(coder.push(Buffer.from('data: {}\n\n')).length, 0, 'nothing follows');
    assert.equal(coder.finish().length, 0);
  });
}

test("answers that are no JSON become 502 in the caller's words; what a proxy says in HTML is not shown", () => {
  for (const [from, to] of PAIRS) {
    const { answers } = translate(from, to, plainRequest(from));
    const odd = answers.whole(200, Buffer.from('<html>'));
    assert.equal(odd.status, 502);
    const html = answers.whole(503, Buffer.from('<html>secret</html>'));
    assert.equal(html.status, 503);
    assert.doesNotMatch(html.body.toString(), /secret/);
    assert.match(answers.whole(503, Buffer.from('upstream away')).body.toString(), /upstream away/);
    assert.equal(answers.whole(302, Buffer.alloc(0)).status, 502, 'a redirect is no answer');
  }
});

test('an overfull prompt is said in the words by which each agent compacts', () => {
  const chat = translate('anthropic_messages', 'openai_chat', plainRequest('anthropic_messages'));
  const full = {
    error: {
      message: "This model's maximum context length is 9 tokens.",
      type: 'invalid_request_error',
      code: 'context_length_exceeded',
    },
  };
  assert.match(
    chat.answers.whole(400, Buffer.from(JSON.stringify(full))).body.toString(),
    /"invalid_request_error","message":"prompt is too long: /,
  );
  const codex = translate('openai_responses', 'anthropic_messages', plainRequest('openai_responses'), {
    stream: true,
  });
  const event = {
    type: 'error',
    error: { type: 'invalid_request_error', message: 'prompt is too long: 9 tokens > 8 maximum' },
  };
  const out = transcode(
    codex.answers,
    Buffer.from(`event: error\ndata: ${JSON.stringify(event)}\n\n`),
  ).toString();
  assert.match(out, /event: response\.failed\n.*"code":"context_length_exceeded"/);
});

test("errors inside streams raise the SDKs' errors", async () => {
  const overloaded = 'data: {"error":{"message":"busy","type":"server_error","code":null}}\n\n';
  const head = 'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n';
  const claude = translate('anthropic_messages', 'openai_chat', plainRequest('anthropic_messages'), {
    stream: true,
  });
  const bytes = transcode(claude.answers, Buffer.from(head + overloaded));
  await assert.rejects(
    anthropicClient(bytes).messages.stream({ model: 'm', max_tokens: 1, messages: [] }).finalMessage(),
    (error: unknown) => error instanceof Anthropic.APIError && error.message.includes('busy'),
  );
  const busy =
    'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n';
  for (const from of ['openai_chat', 'openai_responses'] as const) {
    const made = translate(from, 'anthropic_messages', plainRequest(from), { stream: true });
    const client = openaiClient(transcode(made.answers, Buffer.from(busy)));
    const read =
      from === 'openai_chat'
        ? client.chat.completions.stream({ model: 'm', messages: [] }).finalChatCompletion()
        : client.responses.stream({ model: 'm', input: 'q' }).finalResponse();
    await assert.rejects(
      read,
      (error: unknown) => error instanceof OpenAI.OpenAIError && error.message.includes('busy'),
    );
  }
});

test('events beyond the limit and events that are no JSON end the stream with an error', () => {
  for (const from of FORMATS.filter((format) => format !== 'openai_chat')) {
    const { answers } = translate(from, 'openai_chat', plainRequest(from), { stream: true });
    const coder = answers.createTranscoder();
    coder.push(Buffer.from('data: what?\n\n'));
    assert.match(coder.fault ?? '', /no JSON object/);
    const large = answers.createTranscoder();
    large.push(Buffer.alloc(17 * 1024 * 1024, 0x61));
    assert.match(large.fault ?? '', /more than 16777216 bytes/);
  }
});
