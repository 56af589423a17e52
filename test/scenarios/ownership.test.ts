/**
 * Provider objects belong to the caller who made them (DESIGN section 6): a table of routes x
 * {own, foreign, unknown} x {path, body, list}, before and after a restart. Two callers: the
 * operating system's user by the `local` door, and somebody by the `serve` door.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startFakeUpstream, type FakeUpstream } from '../upstream/index.ts';
import { documentFor, PROVIDER_ENV } from './fake-providers.ts';
import {
  ANTHROPIC,
  BATCH_LINES,
  KINDS,
  anthropicMessage,
  batchOf,
  form,
  idOf,
  uploadFile,
  type Answer,
  type Json,
  type Kind,
  type Send,
} from './object-kinds.ts';
import { startPostern, suiteEnd, type CallOptions, type Postern } from './harness.ts';

const BOB = 'bob@example.com';

interface Made {
  readonly own: string;
  readonly foreign: string;
}

describe('ownership of provider objects', () => {
  const suite = suiteEnd();
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-own-'));
  const socketPath = join(stateDir, 'serve.sock');
  const made = new Map<string, Made>();
  let upstream: FakeUpstream;
  let postern: Postern;

  const start = async (): Promise<void> => {
    postern = await startPostern(suite, {
      stateDir,
      document: documentOf(upstream.url),
      settings: { doors: { serve: { listen: socketPath } }, hosts: ['postern.test'] },
      env: PROVIDER_ENV,
      flags: { allowUpstream: '127.0.0.0/8' },
    });
  };
  before(async () => {
    upstream = await startFakeUpstream();
    suite.after(() => upstream.close());
    await start();
    for (const kind of KINDS)
      made.set(kind.name, { own: await kind.make(alice), foreign: await kind.make(bob) });
  });
  after(async () => {
    await suite.end();
    rmSync(stateDir, { recursive: true, force: true });
  });

  const alice: Send = async (path, options = {}) => {
    const reply = await postern.call(path, options);
    return { status: reply.status, reason: reply.headers['x-postern-reason'], text: reply.text };
  };
  const bob: Send = (path, options = {}) => callServe(socketPath, path, options);
  const objectsOf = (kind: Kind): Made => made.get(kind.name) ?? assert.fail(kind.name);

  /** Sends; then says whether anything of it reached the provider. */
  const probe = async (
    send: Send,
    path: string,
    options: CallOptions,
  ): Promise<Answer & { readonly reached: boolean }> => {
    upstream.reset();
    const answer = await send(path, options);
    return { ...answer, reached: upstream.requests.length > 0 };
  };

  const assertRefusedAlike = async (
    at: (id: string) => [string, CallOptions],
    kind: Kind,
    label: string,
  ): Promise<void> => {
    const { foreign } = objectsOf(kind);
    const answers: string[] = [];
    for (const id of [foreign, kind.unknown]) {
      const answer = await probe(alice, ...at(id));
      assert.equal(answer.status, 404, `${label} ${id}: ${answer.text}`);
      assert.equal(answer.reason, 'object_not_found', `${label} ${id}`);
      assert.equal(answer.reached, false, `${label} ${id} reached the provider`);
      answers.push(answer.text.replaceAll(id, 'ID').replaceAll(/req_\w+/g, 'REQ'));
    }
    assert.equal(answers[0], answers[1], `${label}: another's and an unknown id get the same answer`);
  };

  const checkAll = (when: string): void => {
    for (const kind of KINDS) {
      for (const [method, path, body] of kind.paths) {
        test(`${kind.name}, ${method} ${path('{id}')}: own yes, foreign and unknown the same 404 (${when})`, async () => {
          const options: CallOptions = {
            method,
            headers: { ...kind.headers },
            ...(body === undefined ? {} : { body }),
          };
          const { own, foreign } = objectsOf(kind);
          const answer = await probe(alice, path(own), options);
          assert.equal(answer.status, 200, answer.text);
          assert.equal((await probe(bob, path(foreign), options)).status, 200);
          await assertRefusedAlike((id) => [path(id), options], kind, path('{id}'));
          assert.deepEqual(upstream.violations, []);
        });
      }
      for (const [path, body] of kind.bodies) {
        test(`${kind.name} in ${path} ${JSON.stringify(body('{id}')).slice(0, 90)}: own yes, foreign and unknown the same 404 (${when})`, async () => {
          const at = (id: string): [string, CallOptions] => [
            path,
            { body: body(id), headers: { ...kind.headers } },
          ];
          const answer = await probe(alice, ...at(objectsOf(kind).own));
          assert.equal(answer.status, 200, answer.text);
          await assertRefusedAlike(at, kind, path);
        });
      }
      const { list } = kind;
      if (list === null) continue;
      test(`${kind.name}, GET ${list}: only own ones, with ends that fit (${when})`, async () => {
        const { own, foreign } = objectsOf(kind);
        for (const [send, mine, others] of [
          [alice, own, foreign],
          [bob, foreign, own],
        ] as const) {
          const answer = await probe(send, list, { headers: { ...kind.headers } });
          assert.equal(answer.status, 200, answer.text);
          const ids = idsOf(answer.text);
          assert.ok(ids.includes(mine), answer.text);
          assert.ok(!ids.includes(others), answer.text);
          const page = JSON.parse(answer.text) as Json;
          if (list.startsWith('/v1beta')) continue;
          assert.equal(page['first_id'], ids[0]);
          assert.equal(page['last_id'], ids.at(-1));
        }
        if (list.startsWith('/v1beta')) return;
        const after = kind.headers === undefined ? 'after' : 'after_id';
        await assertRefusedAlike(
          (id) => [`${list}?${after}=${id}`, { headers: { ...kind.headers } }],
          kind,
          `${list}?${after}`,
        );
      });
    }
  };

  checkAll('at once');

  test('one page after the other gives every own object once, however many of others lie between', async () => {
    const mine: string[] = [];
    for (let i = 0; i < 4; i += 1) {
      mine.push(await uploadFile(alice));
      for (let other = 0; other < 7; other += 1) await uploadFile(bob);
    }
    const seen: string[] = [];
    for (let mark = ''; ;) {
      const answer = await alice(`/v1/files?limit=2${mark}`);
      const page = JSON.parse(answer.text) as Json;
      const ids = idsOf(answer.text);
      assert.ok(ids.length <= 2);
      seen.push(...ids);
      if (page['has_more'] !== true) break;
      mark = `&after=${String(page['last_id'])}`;
    }
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(
      seen.filter((id) => mine.includes(id)),
      mine,
    );
    const twice = await alice(`/v1/files?after=${mine[0]}&after=${mine[1]}`);
    assert.equal(twice.reason, 'body_invalid');
  });

  test('a batch over a file whose models are unknown or not granted is refused (DESIGN section 6)', async () => {
    const notSeen = await uploadFile(alice, BATCH_LINES.join('\n'), 'user_data');
    const refused = await probe(alice, '/v1/batches', { body: batchOf(notSeen) });
    assert.equal(refused.reason, 'body_invalid', refused.text);
    assert.equal(refused.reached, false);
    const denied = BATCH_LINES.join('\n').replace('gpt-5-mini', 'gpt-secret');
    const file = await uploadFile(alice, denied);
    const ungranted = await probe(alice, '/v1/batches', { body: batchOf(file) });
    assert.equal(ungranted.reason, 'model_not_available', ungranted.text);
    assert.equal(ungranted.reached, false);
    const inline = {
      requests: [{ custom_id: '1', params: { ...anthropicMessage('hi'), model: 'claude-secret' } }],
    };
    const message = await probe(alice, '/v1/messages/batches', { body: inline, headers: ANTHROPIC });
    assert.equal(message.reason, 'model_not_available', message.text);
    assert.equal(message.reached, false);
  });

  test('lines of a batch are held to what a request may say', async () => {
    const { foreign } = objectsOf(KINDS[0] ?? assert.fail());
    const line = (body: string): string =>
      `{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":${body}}`;
    const table: readonly (readonly [line: string, reason: string])[] = [
      [line('{"model":"gpt-5","model":"gpt-secret"}'), 'body_invalid'],
      [line('{"model":"gpt-5","Model":"gpt-secret"}'), 'body_invalid'],
      [line('{"messages":[]}'), 'body_invalid'],
      [`${line('{"model":"gpt-5"}').slice(0, -1)},"body":{"model":"gpt-secret"}}`, 'body_invalid'],
      ['not json', 'body_invalid'],
      ['', 'body_invalid'],
      [
        line(`{"model":"gpt-5","messages":[{"content":[{"file":{"file_id":"${foreign}"}}]}]}`),
        'object_not_found',
      ],
    ];
    for (const [lines, reason] of table) {
      const answer = await probe(
        alice,
        '/v1/files',
        form([
          ['purpose', 'batch'],
          ['file', lines, 'in.jsonl'],
        ]),
      );
      assert.equal(answer.reason, reason, `${lines}: ${answer.text}`);
      assert.equal(answer.reached, false);
    }
    const twoPurposes = form([
      ['purpose', 'user_data'],
      ['purpose', 'batch'],
      ['file', BATCH_LINES.join('\n'), 'a'],
    ]);
    assert.equal((await probe(alice, '/v1/files', twoPurposes)).reason, 'body_invalid');
  });

  test('a body that names two objects under one member is refused, whichever of them is own', async () => {
    const { own, foreign } = objectsOf(KINDS[0] ?? assert.fail());
    for (const [a, b] of [
      [own, foreign],
      [foreign, own],
    ] as const) {
      const body = `{"model":"gpt-5","input":[{"role":"user","content":[{"type":"input_file","file_id":"${a}","file\\u005fid":"${b}"}]}]}`;
      const answer = await probe(alice, '/v1/responses', { body });
      assert.equal(answer.reason, 'body_invalid', answer.text);
      assert.equal(answer.reached, false);
    }
  });

  test('an item of a stored response is taken up by its maker only', async () => {
    const answer = await bob('/v1/responses', { body: { model: 'gpt-5', input: 'hi' } });
    const [item] = (JSON.parse(answer.text) as { output: Json[] }).output;
    const reference = { model: 'gpt-5', input: [{ type: 'item_reference', id: item?.['id'] }] };
    const bare = { model: 'gpt-5', input: [{ id: item?.['id'] }] };
    for (const body of [reference, bare]) {
      assert.equal((await probe(bob, '/v1/responses', { body })).status, 200);
      const foreign = await probe(alice, '/v1/responses', { body });
      assert.equal(foreign.reason, 'object_not_found', foreign.text);
      assert.equal(foreign.reached, false);
    }
  });

  test('a message batch leads to its results through Postern', async () => {
    const { own } = objectsOf(KINDS[3] ?? assert.fail());
    const answer = await alice(`/v1/messages/batches/${own}`, { headers: ANTHROPIC });
    assert.equal(
      (JSON.parse(answer.text) as Json)['results_url'],
      `${postern.url}/v1/messages/batches/${own}/results`,
    );
    const list = await alice('/v1/messages/batches', { headers: ANTHROPIC });
    assert.doesNotMatch(list.text, /provider\.example/);
  });

  test('a file that an upload was put together to belongs to its maker', async () => {
    const id = await idOf(
      alice('/v1/uploads', {
        body: { purpose: 'user_data', filename: 'a', bytes: 1, mime_type: 'text/plain' },
      }),
    );
    assert.equal((await alice(`/v1/uploads/${id}/parts`, form([['data', 'x', 'part']]))).status, 200);
    const whole = await alice(`/v1/uploads/${id}/complete`, { body: { part_ids: ['part_1'] } });
    const file = (JSON.parse(whole.text) as { file: Json }).file['id'];
    assert.equal((await alice(`/v1/files/${String(file)}`)).status, 200);
    assert.equal((await bob(`/v1/files/${String(file)}`)).reason, 'object_not_found');
  });

  test('ids survive a restart', async () => {
    await postern.stop();
    await start();
  });

  checkAll('after a restart');

  for (const kind of KINDS) {
    const { deletePath } = kind;
    if (deletePath === null) continue;
    test(`${kind.name}: foreign and unknown ones are not deleted, an own one is, and is then unknown`, async () => {
      const options: CallOptions = { method: 'DELETE', headers: { ...kind.headers } };
      await assertRefusedAlike((id) => [deletePath(id), options], kind, `DELETE ${deletePath('{id}')}`);
      const { own } = objectsOf(kind);
      assert.equal((await alice(deletePath(own), options)).status, 200);
      const again = await probe(alice, deletePath(own), options);
      assert.equal(again.reason, 'object_not_found');
      assert.equal(again.reached, false);
    });
  }

  test('what was deleted is still unknown after a restart', async () => {
    await postern.stop();
    await start();
    for (const kind of KINDS) {
      if (kind.deletePath === null) continue;
      const answer = await probe(alice, kind.deletePath(objectsOf(kind).own), {
        method: 'DELETE',
        headers: { ...kind.headers },
      });
      assert.equal(answer.reason, 'object_not_found', kind.name);
      assert.equal(answer.reached, false);
    }
  });

  test("Anthropic's way back through a list gives the page before an own object", async () => {
    const upload = form([['file', 'text', 'a.txt']]);
    const headers = { ...upload.headers, ...ANTHROPIC };
    const mine: string[] = [];
    for (let i = 0; i < 3; i += 1) {
      mine.push(await idOf(alice('/v1/files', { ...upload, headers })));
      for (let other = 0; other < 6; other += 1) await bob('/v1/files', { ...upload, headers });
    }
    const [first, second, third] = mine;
    const answer = await alice(`/v1/files?before_id=${third}&limit=1`, { headers: ANTHROPIC });
    assert.deepEqual(idsOf(answer.text), [second], answer.text);
    const page = JSON.parse(answer.text) as Json;
    assert.deepEqual([page['first_id'], page['has_more']], [second, true]);
    const before = await alice(`/v1/files?before_id=${second}&limit=1`, { headers: ANTHROPIC });
    assert.deepEqual(idsOf(before.text), [first]);
  });

  test('routes of objects without an owner are off', async () => {
    for (const path of [
      '/v1/vector_stores',
      '/v1/fine_tuning/jobs',
      '/v1/assistants',
      '/v1/threads',
      '/v1/skills',
      '/v1beta/files',
      '/upload/v1beta/files',
      '/v1beta/batches',
    ]) {
      const answer = await probe(alice, path, { body: {} });
      assert.equal(answer.reason, 'path_unknown', path);
      assert.equal(answer.reached, false);
    }
  });
});

test("a container and a file that a model's tool made belong to the caller who asked; names in its text to nobody", async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-own-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const socketPath = join(stateDir, 'serve.sock');
  const upstream = await startFakeUpstream({ mounts: [{ prefix: '/v1/messages', handle: answerWithCode }] });
  t.after(() => upstream.close());
  const postern = await startPostern(t, {
    stateDir,
    document: documentOf(upstream.url),
    settings: { doors: { serve: { listen: socketPath } }, hosts: ['postern.test'] },
    env: PROVIDER_ENV,
    flags: { allowUpstream: '127.0.0.0/8' },
  });
  const ask = (more: Json): CallOptions => ({
    body: { ...anthropicMessage('hi'), ...more },
    headers: ANTHROPIC,
  });
  const withFile = (id: string): CallOptions =>
    ask({ messages: [{ role: 'user', content: [{ type: 'container_upload', file_id: id }] }] });
  assert.equal((await postern.call('/v1/messages', ask({}))).status, 200);
  assert.equal((await postern.call('/v1/messages', ask({ container: 'container_made' }))).status, 200);
  assert.equal((await postern.call('/v1/messages', withFile('file_made'))).status, 200);
  for (const options of [ask({ container: 'container_made' }), withFile('file_made')]) {
    assert.equal((await callServe(socketPath, '/v1/messages', options)).reason, 'object_not_found');
  }
  for (const options of [ask({ container: 'container_forged' }), withFile('file_forged')]) {
    const refused = await postern.call('/v1/messages', options);
    assert.equal(refused.headers['x-postern-reason'], 'object_not_found');
  }
});

/** An answer in which code ran, and in which a tool of the caller is called with ids that nobody made. */
function answerWithCode(_request: unknown, response: http.ServerResponse): void {
  const forged = { container: { id: 'container_forged' }, file_id: 'file_forged' };
  const content = [
    { type: 'text', text: JSON.stringify(forged) },
    { type: 'tool_use', id: 't', name: 'mine', input: { ...forged, content: [forged] } },
    {
      type: 'bash_code_execution_tool_result',
      content: {
        type: 'bash_code_execution_result',
        content: [{ type: 'bash_code_execution_output', file_id: 'file_made' }],
      },
    },
  ];
  const usage = { input_tokens: 1, output_tokens: 1 };
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(
    JSON.stringify({
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude',
      content,
      usage,
      container: { id: 'container_made' },
    }),
  );
}

function documentOf(upstreamUrl: string): Json {
  const document = documentFor(upstreamUrl);
  const models = ['openai/gpt-5*', 'anthropic/claude-sonnet-*', 'gemini/**'];
  const grant = (src: string, role: string): Json => ({
    src: [src],
    app: { 'postern.dev/cap/gateway': [{ role, models }] },
  });
  return { ...document, grants: [grant('(loopback)', 'user'), grant(BOB, 'user'), ...adminGrant(document)] };
}

/** The reader of the records. */
function adminGrant(document: Json): readonly unknown[] {
  return Array.isArray(document['grants']) ? document['grants'].slice(1) : [];
}

function idsOf(text: string): string[] {
  const page = JSON.parse(text) as Json;
  const items = (page['data'] ?? page['cachedContents'] ?? []) as Json[];
  return items.map((item) => String(item['id'] ?? item['name']));
}

/** A request as `tailscale serve` hands it on for somebody. */
function callServe(socketPath: string, path: string, options: CallOptions): Promise<Answer> {
  const body =
    options.body === undefined
      ? undefined
      : Buffer.from(typeof options.body === 'string' ? options.body : JSON.stringify(options.body));
  const headers = {
    host: 'postern.test',
    'tailscale-user-login': BOB,
    ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
    ...options.headers,
  };
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        socketPath,
        path,
        method: options.method ?? (body === undefined ? 'GET' : 'POST'),
        headers,
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            reason: response.headers['x-postern-reason'],
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}
