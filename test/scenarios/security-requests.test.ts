/**
 * Attacks by a known caller on the way of a request: other models than granted, objects of others,
 * credentials that leave, answers that reach a browser. Each is tried on a real server.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { connectRaw, statusOf, wholeRequest } from './raw-client.ts';
import { startPostern, suiteEnd, type Postern } from './harness.ts';

interface Received {
  readonly method: string;
  readonly target: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A provider that believes everything and says what it was sent. */
function startCredulousProvider(): Promise<{ url: string; received: Received[]; close(): void }> {
  const received: Received[] = [];
  const server = http.createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      received.push({
        method: req.method ?? '',
        target: req.url ?? '',
        headers: req.headers,
        body: Buffer.concat(chunks).toString('utf8'),
      });
      res.writeHead(200, {
        'content-type': 'application/json',
        'www-authenticate': 'Basic realm="provider"',
        'proxy-authenticate': 'Basic',
        'speculation-rules': '"/rules.json"',
        'content-location': '/',
        'set-cookie': 'a=b',
        'access-control-allow-origin': '*',
        refresh: '0;url=/',
      });
      res.end(
        '{"id":"x","object":"chat.completion","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}',
      );
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      resolve({ url: `http://127.0.0.1:${port}`, received, close: () => server.close() });
    });
  });
}

const KEY = 'sk-of-the-organization';
const MESSAGES = [{ role: 'user', content: 'hello' }];
const TOKEN_LIKE = `pst_${'a'.repeat(52)}`;

describe('attacks on the way of a request (DESIGN sections 3, 4, 6 and 12)', () => {
  const suite = suiteEnd();
  let provider: Awaited<ReturnType<typeof startCredulousProvider>>;
  let postern: Postern;

  before(async () => {
    provider = await startCredulousProvider();
    suite.after(() => provider.close());
    const common = { baseurl: provider.url, apikey: 'env:PROVIDER_KEY' };
    postern = await startPostern(suite, {
      env: { PROVIDER_KEY: KEY },
      flags: { allowUpstream: '127.0.0.0/8' },
      document: {
        providers: {
          lab: {
            ...common,
            models: ['cheap-*', 'secret-model'],
            compatibility: { openai_chat: true, openai_responses: true },
          },
          any: { ...common, models: ['**'], preference: -1, compatibility: { openai_chat: true } },
          google: {
            ...common,
            authorization: 'x-goog-api-key',
            models: ['gemini-*', 'models/**'],
            compatibility: { gemini_generate_content: true },
          },
          own: {
            ...common,
            auth_mode: 'passthrough',
            models: ['own-model'],
            compatibility: { openai_chat: true },
          },
        },
        grants: [
          {
            src: ['(loopback)'],
            app: {
              'postern.dev/cap/gateway': [
                { role: 'user', models: ['lab/cheap-*', 'google/**', 'own/**', 'any/**'] },
              ],
            },
          },
        ],
        deny: [{ src: ['(loopback)'], models: ['any/Secret-*', 'any/secret-model', 'google/gemini-ultra'] }],
      },
    });
  });
  after(() => suite.end());

  const chat = (body: unknown, headers: Record<string, string> = {}, path = '/v1/chat/completions') =>
    postern.call(path, { body, headers });

  /** The call is refused and the provider never hears of it. */
  const refusedUnsent = async (
    attack: () => Promise<{ status: number; text: string }>,
    statuses: readonly number[],
  ) => {
    const before = provider.received.length;
    const answer = await attack();
    assert.ok(statuses.includes(answer.status), `${answer.status} ${answer.text.slice(0, 300)}`);
    assert.equal(
      provider.received.length,
      before,
      `the provider was asked: ${provider.received.at(-1)?.body.slice(0, 300)}`,
    );
  };

  test('JSON with a form behind it names one model to us and another to a lenient server', async () => {
    const json = JSON.stringify({ model: 'lab/secret-model', messages: MESSAGES });
    const form = '\r\n--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nlab/cheap-1\r\n--x--\r\n';
    await refusedUnsent(
      () => chat(`${json}${form}`, { 'content-type': 'multipart/form-data; boundary=x' }),
      [400, 415],
    );
  });

  test('a path that takes JSON takes no form, however well made', async () => {
    const form = '--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nlab/cheap-1\r\n--x--\r\n';
    for (const path of ['/v1/chat/completions', '/v1/responses', '/v1/embeddings', '/v1/batches'])
      await refusedUnsent(
        () => chat(form, { 'content-type': 'multipart/form-data; boundary=x' }, path),
        [400],
      );
  });

  test('a form that begins with anything but its boundary is refused', async () => {
    const part = (name: string, value: string) =>
      `--x\r\nContent-Disposition: form-data; ${name}\r\n\r\n${value}\r\n`;
    const ending = '--x--\r\n';
    const good = part('name="model"', 'lab/cheap-1');
    for (const body of [
      `--x\nContent-Disposition: form-data; name="model"\n\nlab/secret-model\n\r\n${good}${ending}`,
      `${good}${part('name="mo\\del"', 'lab/secret-model')}${ending}`,
      `${good}${part(`name="a"; name*=utf-8''model`, 'lab/secret-model')}${ending}`,
      `${good}${part('name="mod%65l"', 'lab/secret-model')}${ending}`,
    ]) {
      await refusedUnsent(
        () => chat(body, { 'content-type': 'multipart/form-data; boundary=x' }, '/v1/audio/transcriptions'),
        [400],
      );
    }
  });

  test('two content types are refused: parsers differ on which counts', async () => {
    const before = provider.received.length;
    const body = JSON.stringify({ model: 'lab/cheap-1', messages: MESSAGES });
    const raw = await connectRaw(suite, postern.url);
    await raw.send(
      wholeRequest(postern.url, body, {
        headers: ['Content-Type: multipart/form-data; boundary=x', 'Connection: close'],
      }),
    );
    assert.equal(statusOf(await raw.closed()), 400);
    assert.equal(provider.received.length, before);
  });

  test('padding does not hide a reference to an object of another', async () => {
    const body = JSON.stringify({
      model: 'lab/cheap-1',
      messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: 'file-of-another' } }] }],
      padding: [],
    }).replace('"padding":[]', `"padding":[${'0,'.repeat(2_100_000)}0]`);
    await refusedUnsent(() => chat(body), [400, 404, 413]);
  });

  test('a list of fallback models is granted one by one', async () => {
    for (const more of [
      { models: ['secret-model'] },
      { models: ['cheap-2', 'secret-model'] },
      { models: 'secret-model' },
      { models: [{ id: 'secret-model' }] },
      { fallbacks: ['secret-model'] },
      { fallbacks: [{ 'cheap-1': ['secret-model'] }] },
      { MODELS: ['secret-model'] },
    ]) {
      await refusedUnsent(() => chat({ model: 'lab/cheap-1', messages: MESSAGES, ...more }), [400, 404]);
    }
    const fine = await chat({ model: 'lab/cheap-1', messages: MESSAGES, models: ['cheap-2'] });
    assert.equal(fine.status, 200, fine.text);
  });

  test('a tool that runs a model of its own needs the grant of that model', async () => {
    for (const tool of [
      { type: 'image_generation', model: 'secret-model' },
      { type: 'advisor_20260301', name: 'advisor', model: 'secret-model' },
      { type: 'image_generation', model: { id: 'secret-model' } },
    ]) {
      await refusedUnsent(
        () => chat({ model: 'lab/cheap-1', input: 'x', tools: [tool] }, {}, '/v1/responses'),
        [400, 404],
      );
    }
    const escaped =
      '{"model":"lab/cheap-1","input":"x","tools":[{"type":"image_generation","mod\\u0065l":"secret-model"}]}';
    await refusedUnsent(() => chat(escaped, {}, '/v1/responses'), [404]);
    const schema = { type: 'object', properties: { model: { type: 'string' } } };
    for (const tool of [
      { type: 'image_generation', model: 'cheap-2' },
      { type: 'function', name: 'pick', parameters: schema },
    ]) {
      const answer = await chat({ model: 'lab/cheap-1', input: 'x', tools: [tool] }, {}, '/v1/responses');
      assert.equal(answer.status, 200, answer.text);
    }
  });

  test('a file of another is not read under another spelling of its address', async () => {
    for (const uri of [
      'https://generativelanguage.googleapis.com/v1beta/files/foreign',
      'https://generativelanguage.googleapis.com/v1beta/files/foreign?alt=media',
      'https://generativelanguage.googleapis.com/v1beta/%66iles/foreign',
      'https://generativelanguage.googleapis.com/v1beta/Files/foreign',
      'https://generativelanguage.googleapis.com/v1beta/other/foreign',
      'files/foreign',
    ]) {
      for (const part of [{ fileData: { fileUri: uri } }, { file_data: { file_uri: uri } }]) {
        await refusedUnsent(
          () =>
            chat(
              { contents: [{ role: 'user', parts: [part] }] },
              {},
              '/v1beta/models/gemini-2:generateContent',
            ),
          [404],
        );
      }
    }
  });

  test('a denied model stays denied in other letters and with the prefix that is taken off it', async () => {
    for (const model of ['any/secret-model', 'any/SECRET-model', 'any/Secret-2', 'any/models/secret-model'])
      await refusedUnsent(() => chat({ model, messages: MESSAGES }), [404]);
    for (const model of [
      'gemini-ultra',
      'models/gemini-ultra',
      'models%2Fgemini-ultra',
      'google/models/gemini-ultra',
    ])
      await refusedUnsent(() => chat({ contents: [] }, {}, `/v1beta/models/${model}:generateContent`), [404]);
    assert.equal((await chat({ contents: [] }, {}, '/v1beta/models/gemini-2:generateContent')).status, 200);
  });

  test('a caller cannot turn one method into another, or name headers in the query', async () => {
    const answer = await chat(
      { contents: [] },
      { 'x-http-method-override': 'DELETE', 'x-http-method': 'DELETE', 'x-method-override': 'DELETE' },
      '/v1beta/models/gemini-2:generateContent?$httpMethod=DELETE&$httpHeaders=X-Goog-User-Project%3Aother&%24req=%7B%7D&oauth_token=t&alt=json',
    );
    assert.equal(answer.status, 200, answer.text);
    const sent = provider.received.at(-1);
    assert.deepEqual(
      Object.keys(sent?.headers ?? {}).filter((name) => name.includes('method')),
      [],
    );
    assert.equal(sent?.target, '/v1beta/models/gemini-2:generateContent?alt=json');
  });

  test('a Postern token goes nowhere, whatever header or parameter holds it', async () => {
    const answer = await chat(
      { model: 'lab/cheap-1', messages: MESSAGES },
      { 'x-custom-key': TOKEN_LIKE, 'x-litellm-api-key': `Bearer ${TOKEN_LIKE}`, 'x-kept': 'yes' },
      `/v1/chat/completions?token=${TOKEN_LIKE}&kept=1&t2=%70st_${'a'.repeat(52)}`,
    );
    assert.equal(answer.status, 200, answer.text);
    const sent = provider.received.at(-1);
    assert.equal(sent?.headers['x-kept'], 'yes');
    assert.equal(sent?.target, '/v1/chat/completions?kept=1');
    assert.ok(!JSON.stringify(sent).includes('pst_'), JSON.stringify(sent));
    assert.ok(!postern.logLines.join('').includes('pst_'));
    const rows = JSON.stringify(await postern.requests(1));
    assert.ok(!rows.includes('pst_') && !rows.includes(KEY), rows);
  });

  test('passthrough keeps one credential of the caller, never the one that showed who it is', async () => {
    await chat(
      { model: 'own/own-model', messages: MESSAGES },
      { authorization: 'Bearer sk-mine', 'x-api-key': 'sk-mine-too', cookie: 'a=b' },
    );
    const sent = provider.received.at(-1);
    assert.equal(sent?.headers.authorization, 'Bearer sk-mine');
    assert.equal(sent?.headers['x-api-key'], undefined);
    assert.equal(sent?.headers.cookie, undefined);
  });

  test('an answer makes a browser do nothing: no prompt for a password, no cookie, no fetch of rules', async () => {
    const answer = await chat({ model: 'lab/cheap-1', messages: MESSAGES });
    for (const name of [
      'www-authenticate',
      'proxy-authenticate',
      'speculation-rules',
      'content-location',
      'set-cookie',
      'access-control-allow-origin',
      'refresh',
    ])
      assert.equal(answer.headers[name], undefined, name);
    assert.match(String(answer.headers['content-security-policy']), /^sandbox; default-src 'none'/);
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
  });
});
