import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Refused } from '../reasons.ts';
import { readBatchFile } from './batch-file.ts';

function line(body: string): string {
  return `{"custom_id":"1","method":"POST","url":"/v1/responses","body":${body}}`;
}

test('every model and reference of the lines is found, blank lines and both line ends allowed', async () => {
  const text = [
    line('{"model":"gpt-5","input":"a"}'),
    '',
    line(
      '{"model":"gpt-5-mini","previous_respons\\u0065_id":"resp_1","input":[{"type":"item_reference","id":"msg_1"}]}',
    ),
    line('{"model":"gpt-5","input":[{"type":"input_file","file_id":"file-1"}]}'),
  ].join('\r\n');
  const found = await readBatchFile(Buffer.from(text));
  assert.deepEqual(found.models, ['gpt-5', 'gpt-5-mini']);
  assert.deepEqual(found.references.map(({ kind, id }) => `${kind}:${id}`).sort(), [
    'file:file-1',
    'item:msg_1',
    'response:resp_1',
  ]);
});

test('what the lines may use is added up by model: requests, input, stated output, answers without a limit', async () => {
  const bodies = [
    '{"model":"a","max_output_tokens":100,"input":"x"}',
    '{"model":"a","input":"xyz"}',
    '{"model":"b","max_output_tokens":7}',
  ];
  const { lines } = await readBatchFile(Buffer.from(bodies.map(line).join('\n')));
  const ceiling = (body: string): number => body.length + 1_024;
  const [first = '', second = '', third = ''] = bodies;
  assert.deepEqual(lines, {
    requests: 3,
    format: 'openai_responses',
    isInputUnknown: false,
    models: new Map([
      [
        'a',
        {
          requests: 2,
          inputTokensMax: ceiling(first) + ceiling(second),
          lineInputTokensMax: ceiling(first),
          outputTokens: 100,
          unlimitedAnswers: 1,
        },
      ],
      [
        'b',
        {
          requests: 1,
          inputTokensMax: ceiling(third),
          lineInputTokensMax: ceiling(third),
          outputTokens: 7,
          unlimitedAnswers: 0,
        },
      ],
    ]),
  });
});

test('lines for different places have no common format, and what brings input from elsewhere is known as such', async () => {
  const linesOf = async (...texts: string[]): Promise<{ format: string | null; isInputUnknown: boolean }> =>
    (await readBatchFile(Buffer.from(texts.join('\n')))).lines;
  const to = (url: string, body = '{"model":"a"}'): string => `{"url":${url},"body":${body}}`;
  assert.equal((await linesOf(to('"/v1/chat/completions"'))).format, 'openai_chat');
  for (const urls of [
    [to('"/v1/embeddings"'), to('"/v1/chat/completions"')],
    [to('"/v1/chat/completions"'), to('"/v1/embeddings"'), to('"/v1/chat/completions"')],
    [to('"/nowhere"')],
    [to('7')],
    [to(`"/${'x'.repeat(300)}"`)],
    ['{"body":{"model":"a"}}'],
  ])
    assert.equal((await linesOf(...urls)).format, null, urls.join(' '));
  for (const body of [
    '{"model":"a","previous_response_id":"resp_1"}',
    '{"model":"a","tools":[{"type":"web_search"}]}',
    '{"model":"a","input":[{"type":"input_image","image_url":"https://example.com/a.png"}]}',
  ])
    assert.equal((await linesOf(line('{"model":"a"}'), line(body))).isInputUnknown, true, body);
  const long = line(`{"model":"a","input":"${'x'.repeat(1_048_576)}"}`);
  assert.equal((await linesOf(long)).isInputUnknown, true, 'a line of more than 1 MiB is not looked through');
});

test('a line that two parsers could read differently refuses the file, and the line is named', async () => {
  const table = [
    line('{"model":"a","model":"b"}'),
    line('{"model":"a","mod\\u0065l":"b"}'),
    line('{"model":"a","MODEL":"b"}'),
    line('{"input":"a"}'),
    line('{"model":5}'),
    line('[]'),
    line('{"model":"a","input":[{"file_id":"file-1","file_id":"file-2"}]}'),
    '{"body":{"model":"a"},"Body":{"model":"b"}}',
    '{"custom_id":"1"}',
    'null',
    '{',
  ];
  for (const bad of table) {
    await assert.rejects(
      readBatchFile(Buffer.from(`${line('{"model":"a"}')}\n${bad}`)),
      { code: 'body_invalid', message: /^line 2 of/ },
      bad,
    );
  }
  await assert.rejects(readBatchFile(Buffer.from('\n\n')), { code: 'body_invalid' });
});

test('any bytes are read or refused, never a fault', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.json().map((body) => Buffer.from(line(body))),
      ),
      async (bytes) => {
        try {
          await readBatchFile(Buffer.from(bytes));
        } catch (error) {
          assert.ok(error instanceof Refused && error.code === 'body_invalid', String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});
