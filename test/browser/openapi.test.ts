/**
 * The admin API from outside: random calls of every operation of the served OpenAPI document get an
 * answer that the document names, from the closed list of codes where it is a refusal, and never a 5xx.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { hostileText, isJson, mismatch, operationsOf, valueOf, type Operation } from './openapi-schema.ts';
import { startBrowserScene, type BrowserScene } from './scene.ts';

const RUNS_PER_OPERATION = 25;
const ANSWER_TIMEOUT_MS = 5_000;
const ADMIN_TOKEN = 'outside-test-break-glass-token-0123456789';

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

describe('the API from outside', () => {
  let scene: BrowserScene;
  let operations: readonly Operation[] = [];
  const codes = codesOf(readFileSync(new URL('../../docs/reference/errors.md', import.meta.url), 'utf8'));

  before(async () => {
    scene = await startBrowserScene({ env: { POSTERN_ADMIN_TOKEN: ADMIN_TOKEN } });
    const served = await send(scene.url, {
      method: 'GET',
      path: '/api/v1/openapi.json',
      headers: {},
      body: null,
    });
    const document: unknown = JSON.parse(served.text);
    operations = operationsOf(isJson(document) ? document : {});
  });
  after(() => scene.stop());

  test('any call of any operation: documented answers only, and no 5xx', async (t) => {
    assert.ok(operations.length >= 50, `${operations.length} operations`);
    const seen = { answers: 0, statuses: new Map<number, number>() };
    for (const operation of operations) {
      await t.test(`${operation.method} ${operation.path}`, () =>
        fc.assert(
          fc.asyncProperty(callOf(operation), async (call) => {
            const answer = await send(scene.url, call);
            const fault = faultOf(operation, answer, codes);
            assert.equal(
              fault,
              null,
              `${JSON.stringify(call)}\n${answer.status} ${answer.text.slice(0, 500)}`,
            );
            seen.answers += 1;
            seen.statuses.set(answer.status, (seen.statuses.get(answer.status) ?? 0) + 1);
          }),
          { numRuns: RUNS_PER_OPERATION },
        ),
      );
    }
    // Successes were reached too, not only the first check of each.
    assert.ok((seen.statuses.get(200) ?? 0) > seen.answers / 20, JSON.stringify([...seen.statuses]));
  });

  test('a method that a path does not have is a 405 that names those it has; an unknown path is a 404', async () => {
    const paths = new Map<string, string[]>();
    for (const { path, method } of operations) paths.set(path, [...(paths.get(path) ?? []), method]);
    for (const [path, methods] of paths) {
      // Asked without looking at who asks; all else there is refused to everybody alike.
      if (path === '/healthz' || path === '/readyz') continue;
      const wrong =
        ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].find((method) => !methods.includes(method)) ?? '';
      const call = {
        method: wrong,
        path: path.replaceAll(/\{\w+\}/g, 'x'),
        headers: JSON_HEADERS,
        body: '{}',
      };
      const answer = await send(scene.url, call);
      assert.equal(answer.status, 405, `${wrong} ${path}: ${answer.text}`);
      for (const method of methods) assert.match(String(answer.headers.allow), new RegExp(method), path);
    }
    const unknown = await send(scene.url, {
      method: 'GET',
      path: '/api/v1/nothing',
      headers: {},
      body: null,
    });
    assert.equal(unknown.status, 404);
  });

  test('a pattern of the document can match: it carries no flags of its own (JSON Schema, pattern)', async () => {
    const call = { method: 'GET', path: '/api/v1/openapi.json', headers: {}, body: null };
    const { text } = await send(scene.url, call);
    const patterns = [...text.matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map((match) =>
      String(JSON.parse(match[1] ?? '""')),
    );
    assert.ok(patterns.length > 5);
    for (const pattern of patterns) {
      assert.doesNotThrow(() => new RegExp(pattern, 'u'), pattern);
      assert.doesNotMatch(pattern, /\/[dgimsuvy]+$/);
    }
  });

  test('the judge itself notices what is not documented', () => {
    const operation = operations.find(({ path }) => path === '/api/v1/whoami') ?? assert.fail();
    const headers = { 'content-type': 'application/json', 'x-postern-request-id': 'req_1' };
    const judge = (answer: Partial<Answer>): string | null =>
      faultOf(operation, { status: 200, headers, text: '{}', ...answer }, codes);
    assert.match(judge({ text: '{}' }) ?? '', /does not fit/);
    assert.match(judge({ status: 500 }) ?? '', /500/);
    assert.match(judge({ headers: { ...headers, 'content-type': 'text/html' } }) ?? '', /text\/html/);
    assert.match(judge({ headers: {} }) ?? '', /request id/);
    const problem = {
      type: 'x',
      title: 'x',
      status: 403,
      detail: 'x',
      code: 'invented',
      request_id: 'req_1',
    };
    const refusal = { 'content-type': 'application/problem+json', 'x-postern-request-id': 'req_1' };
    assert.match(judge({ status: 403, headers: refusal, text: JSON.stringify(problem) }) ?? '', /invented/);
  });
});

const JSON_HEADERS = { 'content-type': 'application/json' };

/** Codes of the API in the reference page, each of which begins a row of a table. */
function codesOf(page: string): ReadonlySet<string> {
  return new Set([...page.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1] ?? ''));
}

/** Why an answer is not one that the document promises, or null. */
function faultOf(operation: Operation, answer: Answer, codes: ReadonlySet<string>): string | null {
  const { status, headers, text } = answer;
  const documented = operation.responses.get(String(status));
  if (status >= 500 && documented === undefined) return `an undocumented ${status}`;
  if (headers['x-postern-request-id'] === undefined) return 'no request id';
  const media = documented ?? operation.responses.get('default') ?? new Map<string, never>();
  if (documented === undefined && status < 400) return `an undocumented ${status}`;
  if (media.size === 0) return text === '' ? null : `a body with ${status}`;
  const type = headers['content-type']?.split(';')[0] ?? '';
  const schema = media.get(type);
  if (schema === undefined) return `an undocumented media type ${type}`;
  // The document is HuJSON as it was written, under the media type that Aperture's clients ask for.
  if (!type.endsWith('json') || schema['type'] === 'string') return null;
  const value: unknown = JSON.parse(text);
  const wrong = mismatch(schema, value);
  if (wrong !== null) return `the body does not fit its schema: ${wrong}`;
  if (documented !== undefined || !isJson(value)) return null;
  if (value['status'] !== status) return `a problem with status ${String(value['status'])}`;
  return codes.has(String(value['code'])) ? null : `an undocumented code ${String(value['code'])}`;
}

/** Calls from well-formed to hostile, as the operator and as a user. */
function callOf(operation: Operation): fc.Arbitrary<Call> {
  const values = operation.parameters.map(({ name, in: place, schema }) =>
    fc
      .oneof({ weight: 3, arbitrary: valueOf(schema).map(String) }, { weight: 1, arbitrary: hostileText })
      .map((value) => ({ name, place, value })),
  );
  const given = fc
    .tuple(...values.map((value) => fc.option(value, { freq: 2 })))
    .map((list) => list.filter((value) => value !== null));
  return fc
    .tuple(given, bodyOf(operation), fc.boolean(), fc.constantFrom('1', '*', '"1"', 'W/"x"', '0'))
    .map(([parameters, body, isOperator, ifMatch]) => ({
      method: operation.method,
      path: pathOf(operation.path, parameters),
      headers: {
        ...(isOperator ? { authorization: `Bearer ${ADMIN_TOKEN}` } : {}),
        ...(operation.method === 'PUT' ? { 'if-match': ifMatch } : {}),
        ...(body === null ? {} : { 'content-type': body.type }),
      },
      body: body?.text ?? null,
    }));
}

function pathOf(
  pattern: string,
  parameters: readonly { name: string; place: string; value: string }[],
): string {
  const query = new URLSearchParams();
  let path = pattern;
  for (const { name, place, value } of parameters) {
    if (place === 'query') query.append(name, value);
    // Without its own meaning as a path, which clients take away before they send.
    else path = path.replace(`{${name}}`, () => encodeURIComponent(value.replace(/^\.{0,2}$/, 'x')));
  }
  const text = query.toString();
  return path.replaceAll(/\{\w+\}/g, 'x') + (text === '' ? '' : `?${text}`);
}

function bodyOf({ method, body }: Operation): fc.Arbitrary<{ type: string; text: string } | null> {
  if (method === 'GET') return fc.constant(null);
  if (body === null) return fc.constant({ type: 'application/json', text: '{}' });
  const { type, schema } = body;
  const fitting = valueOf(schema).map((value) => ({
    type,
    text: typeof value === 'string' && type !== 'application/json' ? value : JSON.stringify(value),
  }));
  const anything = fc.jsonValue({ maxDepth: 3 }).map((value) => ({ type, text: JSON.stringify(value) }));
  const broken = hostileText.map((text) => ({ type, text }));
  const foreign = fc.constantFrom(
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'x',
  );
  return fc.oneof(
    { weight: 4, arbitrary: fitting },
    { weight: 2, arbitrary: anything },
    { weight: 1, arbitrary: broken },
    { weight: 1, arbitrary: foreign.map((other) => ({ type: other, text: '{}' })) },
  );
}

/** An answer; of a stream without end, its head. */
function send(url: string, call: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      `${url}${call.path}`,
      {
        method: call.method,
        headers:
          call.body === null
            ? call.headers
            : { ...call.headers, 'content-length': Buffer.byteLength(call.body) },
        timeout: ANSWER_TIMEOUT_MS,
      },
      (response) => {
        let text = '';
        const done = (): void =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        if (response.headers['content-type']?.startsWith('text/event-stream') === true) {
          request.destroy();
          done();
          return;
        }
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', done);
      },
    );
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.end(call.body ?? undefined);
  });
}
