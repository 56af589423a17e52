import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { editRequestBody, isBodyProblem, readRequestBody, type BodyFacts } from './request-body.ts';
import type { SurfaceMatch } from './surface.ts';

const CHAT: SurfaceMatch = {
  format: 'openai_chat',
  dialect: 'openai',
  model: null,
  modelInBody: true,
  stream: null,
  action: '',
  objectId: null,
};
const GEMINI: SurfaceMatch = {
  ...CHAT,
  format: 'gemini_generate_content',
  dialect: 'google',
  model: 'g',
  modelInBody: false,
  stream: true,
};
const TRANSCRIBE: SurfaceMatch = { ...CHAT, format: 'openai_audio_transcription' };

function facts(body: string | Buffer, match = CHAT, contentType: string | null = null): BodyFacts {
  const found = readRequestBody(Buffer.from(body), match, contentType);
  assert.ok(!isBodyProblem(found), JSON.stringify(found));
  return found;
}

function problem(body: string | Buffer, match = CHAT, contentType: string | null = null): string {
  const found = readRequestBody(Buffer.from(body), match, contentType);
  assert.ok(isBodyProblem(found), `${body.toString()} is refused`);
  return found.problem;
}

test('model, stream, tools and the stored response are read from the body', () => {
  const found = facts(
    '{"mod\\u0065l":"a/b","stream":true,"tools":[],"previous_response_id":"resp_1","stream_options":{"include_usage":false}}',
  );
  assert.deepEqual(
    [found.model, found.stream, found.hasTools, found.previousResponseId, found.includeUsage],
    ['a/b', true, true, 'resp_1', false],
  );
  assert.deepEqual(found.member('stream_options'), { include_usage: false });
  assert.equal(found.value()['model'], 'a/b');
});

test('a path that names model and stream wins; the body is not asked', () => {
  const found = facts('{"model":7,"stream":"x","contents":[]}', GEMINI);
  assert.deepEqual([found.model, found.stream, found.modelSpan], ['g', true, null]);
});

test('bodies that two parsers could read differently are refused', () => {
  assert.equal(problem('{"model":"a","model":"b"}'), 'duplicate_key');
  assert.equal(problem('{"model":"a","m\\u006fdel":"b"}'), 'duplicate_key');
  assert.equal(problem('{"model":"a","messages":[],"messages":[]}'), 'duplicate_key');
  assert.equal(problem('{"model":"a","Model":"b"}'), 'ambiguous_key');
  assert.equal(problem('{"model":"a","STREAM":true}'), 'ambiguous_key');
  assert.equal(problem('{"model":"a","\u017ftream":true}'), 'ambiguous_key');
  assert.equal(problem('{"model":"a","bac\u212aground":true}'), 'ambiguous_key');
  assert.equal(
    problem('{"model":"a","stream_options":{"include_usage":true,"include_usage":false}}'),
    'ambiguous_key',
  );
  assert.equal(problem('{"model":"a","stream_options":{"Include_Usage":true}}'), 'ambiguous_key');
  assert.equal(problem(Buffer.from('{"model":"a\xff"}', 'latin1')), 'body_not_utf8');
});

test('malformed bodies and wrong types are refused', () => {
  assert.equal(problem(''), 'body_empty');
  for (const body of ['[]', '"a"', '{', '{"model":"a"} x', '{"model":"a",}', '\ufeff{"model":"a"}'])
    assert.equal(problem(body), 'body_not_json');
  assert.equal(problem(`{"model":"a","x":${'['.repeat(600)}${']'.repeat(600)}}`), 'body_too_complex');
  for (const body of ['{"messages":[]}', '{"model":null}']) assert.equal(problem(body), 'model_missing');
  for (const model of ['1', '""', '{}', '"a\\nb"', `"${'a'.repeat(600)}"`])
    assert.equal(problem(`{"model":${model}}`), 'wrong_type');
  for (const rest of [
    '"stream":"true"',
    '"stream":1',
    '"stream_options":[]',
    '"stream_options":{"include_usage":1}',
    '"previous_response_id":7',
  ]) {
    assert.equal(problem(`{"model":"a",${rest}}`), 'wrong_type', rest);
  }
  assert.equal(facts('{"model":"a","stream":null,"stream_options":null}').stream, false);
});

test('replacing the model changes the bytes of that value only', () => {
  const rest = fc.dictionary(
    fc
      .string()
      .filter((key) => !/model|stream|tools|^n$|max_|store|background|conversation|previous/i.test(key)),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(rest, fc.constantFrom(undefined, 2), fc.nat(), (others, space, at) => {
      const entries = Object.entries(others);
      entries.splice(at % (entries.length + 1), 0, ['model', 'old']);
      const body = JSON.stringify(Object.fromEntries(entries), null, space);
      const edited = editRequestBody(Buffer.from(body), facts(body), { model: 'new"/ü' }).toString();
      const span = facts(body).modelSpan;
      assert.ok(span !== null);
      const bytes = Buffer.from(body);
      assert.equal(
        edited,
        `${bytes.toString('utf8', 0, span.start)}"new\\"/ü"${bytes.toString('utf8', span.end)}`,
      );
    }),
  );
});

test('an unchanged body is the same memory', () => {
  const body = Buffer.from('{"model":"a","stream_options":{"include_usage":true}}');
  const found = readRequestBody(body, CHAT);
  assert.ok(!isBodyProblem(found));
  assert.equal(editRequestBody(body, found, { model: 'a', includeUsage: true }), body);
});

test('include_usage is added or set, with the model, in one pass', () => {
  const cases: readonly [string, string][] = [
    ['{"model":"a"}', '{"model":"a","stream_options":{"include_usage":true}}'],
    ['{ "model" : "a" , "x":1 }', '{ "model" : "a" , "x":1,"stream_options":{"include_usage":true} }'],
    ['{"model":"a","stream_options":null}', '{"model":"a","stream_options":{"include_usage":true}}'],
    ['{"model":"a","stream_options":{}}', '{"model":"a","stream_options":{"include_usage":true}}'],
    ['{"stream_options":{"z":1},"model":"a"}', '{"stream_options":{"include_usage":true,"z":1},"model":"a"}'],
    [
      '{"stream_options":{"include_usage":false},"model":"a"}',
      '{"stream_options":{"include_usage":true},"model":"a"}',
    ],
  ];
  for (const [before, after] of cases) {
    assert.equal(
      editRequestBody(Buffer.from(before), facts(before), { includeUsage: true }).toString(),
      after,
    );
    const both = editRequestBody(Buffer.from(before), facts(before), {
      model: 'longer',
      includeUsage: true,
    }).toString();
    assert.equal(both, after.replace('"a"', '"longer"'));
  }
});

const FORM = 'multipart/form-data; boundary=XX';
const part = (disposition: string, content: string): string =>
  `--XX\r\nContent-Disposition: ${disposition}\r\n\r\n${content}\r\n`;

test('the model of a form is found and replaced without touching the file', () => {
  const file = part('form-data; name="file"; filename="; name=\\"model\\""', 'RIFF\0\xff--X model');
  const body = Buffer.from(
    `${file}${part('form-data; name="model"', 'whisper-1')}${part('form-data; name=stream', 'true')}--XX--\r\n`,
    'latin1',
  );
  const found = facts(body, TRANSCRIBE, FORM);
  assert.deepEqual([found.kind, found.model, found.stream], ['multipart', 'whisper-1', true]);
  const edited = editRequestBody(body, found, { model: 'other' }).toString('latin1');
  assert.equal(edited, body.toString('latin1').replace('whisper-1', 'other'));
});

test('forms that servers read differently are refused', () => {
  const close = '--XX--\r\n';
  const model = part('form-data; name="model"', 'a');
  const refused = [
    model + model + close,
    part('form-data; name="Model"', 'a') + close,
    part('form-data; name="model"; filename="x"', 'a') + close,
    part('form-data; name="model"; name="file"', 'a') + close,
    part('form-data; filename="x"', 'a') + model + close,
    model,
    '--XX\r\nbroken',
    '--YY\r\n',
    part('form-data; name="model"', 'a'.repeat(2_000)) + close,
  ];
  for (const body of refused) assert.equal(problem(body, TRANSCRIBE, FORM), 'form_malformed', body);
  assert.equal(problem(part('form-data; name="file"', 'a') + close, TRANSCRIBE, FORM), 'model_missing');
  assert.equal(
    problem(model + close, TRANSCRIBE, 'multipart/form-data; boundary=XX; boundary=YY'),
    'body_not_json',
  );
});

test('no bytes make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.constantFrom(null, FORM), (bytes, contentType) => {
      readRequestBody(Buffer.concat([Buffer.from('--XX\r\n'), bytes]), TRANSCRIBE, contentType);
      readRequestBody(bytes, CHAT, contentType);
    }),
  );
});
