/**
 * The clouds through a real server: official clients in front, a strict fake behind that judges
 * signatures, assertions, versions and frames with code that is not ours.
 */
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { GoogleGenAI } from '@google/genai';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI, { AzureOpenAI } from 'openai';
import { startFakeCloud, type FakeCloud } from '../upstream/cloud/server.ts';
import { CALLER_REFRESH_TOKEN } from '../upstream/cloud/google.ts';
import { startPostern, suiteEnd, type Postern } from './harness.ts';

const CLAUDE_ON_BEDROCK = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const PROFILE_ARN = 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/team/claude:1';
const CLAUDE_ON_VERTEX = 'claude-sonnet-4-5@20250929';

function documentFor(origin: string): Record<string, unknown> {
  return {
    providers: {
      bedrock: {
        baseurl: origin,
        apikey: 'env:FAKE_AWS_KEYS',
        models: [CLAUDE_ON_BEDROCK, PROFILE_ARN, 'amazon.nova-lite-v1:0'],
        compatibility: { bedrock_model_invoke: true, bedrock_converse: true },
      },
      vertex: {
        baseurl: origin,
        apikey: 'env:FAKE_GOOGLE_KEY',
        models: ['gemini-2.5-pro', CLAUDE_ON_VERTEX],
        compatibility: {
          google_generate_content: true,
          google_raw_predict: true,
          experimental_gemini_cli_vertex_compat: true,
        },
      },
      azure: {
        baseurl: `${origin}/openai/v1`,
        apikey: 'env:FAKE_AZURE_KEY',
        models: ['gpt-fake'],
        compatibility: { openai_chat: true, openai_responses: true },
        cost_basis: 'azure',
      },
      'azure-dated': {
        baseurl: `${origin}/openai/deployments`,
        apikey: 'env:FAKE_AZURE_KEY',
        models: ['gpt-fake'],
        preference: -1,
        compatibility: { openai_chat: true },
        cost_basis: 'azure',
      },
    },
    grants: [{ src: ['(loopback)'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } }],
  };
}

describe('clouds', () => {
  const suite = suiteEnd();
  let cloud: FakeCloud;
  let postern: Postern;

  before(async () => {
    cloud = await startFakeCloud();
    suite.after(() => cloud.close());
    postern = await startPostern(suite, {
      document: documentFor(cloud.origin),
      env: {
        FAKE_AWS_KEYS: JSON.stringify({ ...cloud.awsKeys, region: cloud.aws.region }),
        FAKE_GOOGLE_KEY: `keyfile::${Buffer.from(cloud.serviceAccountKey).toString('base64')}`,
        FAKE_AZURE_KEY: cloud.azure.apiKey,
      },
      flags: { allowUpstream: '127.0.0.0/8' },
    });
  });
  after(() => suite.end());

  /** The AWS client as a caller: it signs with keys of its own, which mean nothing here. */
  function bedrock(base = '/bedrock'): BedrockRuntimeClient {
    return new BedrockRuntimeClient({
      region: 'eu-north-1',
      endpoint: postern.url + base,
      credentials: { accessKeyId: 'AKIACALLER00', secretAccessKey: 'caller', sessionToken: 'caller-session' },
      requestHandler: new NodeHttpHandler(),
      maxAttempts: 1,
    });
  }

  const claudeBody = Buffer.from(
    JSON.stringify({
      anthropic_version: 'bedrock-2023-05-31',
      max_tokens: 9,
      messages: [{ role: 'user', content: 'hi' }],
    }),
  );
  const turn = [{ role: 'user' as const, content: [{ text: 'hi' }] }];

  test('Bedrock: the AWS client invokes and converses, whole, by id and by ARN', async () => {
    for (const base of ['/bedrock', '']) {
      const client = bedrock(base);
      for (const modelId of [CLAUDE_ON_BEDROCK, PROFILE_ARN]) {
        const invoked = await client.send(
          new InvokeModelCommand({ modelId, body: claudeBody, contentType: 'application/json' }),
        );
        assert.match(Buffer.from(invoked.body).toString(), new RegExp(`bedrock:${modelId}`));
        const conversed = await client.send(new ConverseCommand({ modelId, messages: turn }));
        assert.equal(conversed.output?.message?.content?.[0]?.text, `bedrock:${modelId}`);
        assert.equal(conversed.usage?.inputTokens, 13);
      }
      client.destroy();
    }
    assert.deepEqual(cloud.violations, []);
  });

  test('Bedrock: the AWS client reads both streams', async () => {
    const client = bedrock();
    const invoked = await client.send(
      new InvokeModelWithResponseStreamCommand({
        modelId: CLAUDE_ON_BEDROCK,
        body: claudeBody,
        contentType: 'application/json',
      }),
    );
    const types: unknown[] = [];
    for await (const event of invoked.body ?? []) {
      const chunk: unknown = JSON.parse(Buffer.from(event.chunk?.bytes ?? []).toString());
      types.push(typeof chunk === 'object' && chunk !== null && 'type' in chunk ? chunk.type : null);
    }
    assert.deepEqual([types[0], types.at(-1)], ['message_start', 'message_stop']);
    const conversed = await client.send(
      new ConverseStreamCommand({ modelId: 'amazon.nova-lite-v1:0', messages: turn }),
    );
    let text = '';
    let output: number | undefined;
    for await (const event of conversed.stream ?? []) {
      text += event.contentBlockDelta?.delta?.text ?? '';
      output ??= event.metadata?.usage?.outputTokens;
    }
    assert.deepEqual([text, output], ['bedrock:amazon.nova-lite-v1:0', 6]);
    client.destroy();
    assert.deepEqual(cloud.violations, []);
  });

  test('Bedrock: an unknown model is an error that the AWS client understands', async () => {
    const client = bedrock();
    const call = client.send(new ConverseCommand({ modelId: 'amazon.unknown', messages: turn }));
    await assert.rejects(call, (error: Error & { $metadata?: { httpStatusCode?: number } }) => {
      assert.equal(error.$metadata?.httpStatusCode, 404);
      assert.equal(error.name, 'ResourceNotFoundException');
      return true;
    });
    client.destroy();
  });

  test("Bedrock: without a key the operator's own credentials sign, for hosts that the operator named only", async () => {
    const document = {
      ...documentFor(cloud.origin),
      providers: {
        bedrock: {
          baseurl: cloud.origin,
          models: ['amazon.nova-lite-v1:0'],
          compatibility: { bedrock_converse: true },
        },
      },
    };
    const env = {
      AWS_ACCESS_KEY_ID: cloud.awsKeys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: cloud.awsKeys.secretAccessKey,
      AWS_REGION: cloud.aws.region,
    };
    const flags = { allowUpstream: '127.0.0.0/8' };
    const named = await startPostern(suite, {
      document,
      flags,
      env: { ...env, AWS_ENDPOINT_URL_BEDROCK_RUNTIME: cloud.origin },
    });
    const path = '/model/amazon.nova-lite-v1:0/converse';
    const signed = await named.call(path, { body: { messages: turn } });
    assert.equal(signed.status, 200, signed.text);
    const unnamed = await startPostern(suite, { document, flags, env });
    const before = cloud.requests.length;
    const refused = await unnamed.call(path, { body: { messages: turn } });
    assert.equal(refused.status, 503, refused.text);
    assert.equal(cloud.requests.length, before);
    assert.deepEqual(cloud.violations, []);
    // Not this suite's Postern: its rows are counted below.
    cloud.requests.pop();
  });

  /** Google's client in Vertex mode, as a caller with a Google token of its own, which means nothing here. */
  function vertex(): GoogleGenAI {
    return new GoogleGenAI({
      vertexai: true,
      project: cloud.google.project,
      location: 'us-central1',
      httpOptions: { baseUrl: postern.url },
      googleAuthOptions: {
        credentials: {
          type: 'authorized_user',
          client_id: 'caller',
          client_secret: 'caller',
          refresh_token: CALLER_REFRESH_TOKEN,
        },
        clientOptions: { endpoints: { oauth2TokenUrl: `${cloud.origin}/token` } },
      },
    });
  }

  test("Vertex: Google's client generates, whole and streamed", async () => {
    const client = vertex();
    const whole = await client.models.generateContent({ model: 'gemini-2.5-pro', contents: 'hi' });
    assert.equal(whole.text, 'vertex:gemini-2.5-pro');
    assert.equal(whole.usageMetadata?.totalTokenCount, 12);
    let text = '';
    for await (const part of await client.models.generateContentStream({
      model: 'gemini-2.5-pro',
      contents: 'hi',
    }))
      text += part.text ?? '';
    assert.equal(text, 'vertex:gemini-2.5-pro');
    assert.deepEqual(cloud.violations, []);
  });

  test("Vertex: Google's client in express mode is served by the service account", async () => {
    const client = new GoogleGenAI({ vertexai: true, apiKey: '-', httpOptions: { baseUrl: postern.url } });
    const whole = await client.models.generateContent({ model: 'gemini-2.5-pro', contents: 'hi' });
    assert.equal(whole.text, 'vertex:gemini-2.5-pro');
    assert.deepEqual(cloud.violations, []);
  });

  test("Vertex: the Gemini API's short paths reach it, as Gemini CLI sends them", async () => {
    const client = new GoogleGenAI({ apiKey: '-', httpOptions: { baseUrl: postern.url } });
    const whole = await client.models.generateContent({ model: 'gemini-2.5-pro', contents: 'hi' });
    assert.equal(whole.text, 'vertex:gemini-2.5-pro');
    assert.deepEqual(cloud.violations, []);
  });

  test('Vertex: Claude Code’s calls, streamed and whole, with the placeholders of project and region', async () => {
    const place = 'projects/_aperture_auto_vertex_project_id_/locations/_aperture_auto_vertex_region_';
    const body = {
      anthropic_version: 'vertex-2023-10-16',
      max_tokens: 9,
      stream: true,
      messages: [{ role: 'user', content: 'hi' }],
    };
    for (const prefix of ['', '/v1']) {
      const path = `${prefix}/${place}/publishers/anthropic/models/${CLAUDE_ON_VERTEX}`;
      const streamed = await postern.call(`${path}:streamRawPredict`, { body });
      assert.equal(streamed.status, 200, streamed.text);
      assert.match(streamed.text, /event: message_stop/);
      const whole = await postern.call(`${path}:rawPredict`, { body: { ...body, stream: undefined } });
      assert.equal(whole.status, 200, whole.text);
    }
    assert.deepEqual(cloud.violations, []);
  });

  test('Vertex: Claude’s tokens are counted for the model in the body, which must be granted', async () => {
    const place = `/v1/projects/${cloud.google.project}/locations/us-central1`;
    const path = `${place}/publishers/anthropic/models/count-tokens:rawPredict`;
    const body = { anthropic_version: 'vertex-2023-10-16', messages: [{ role: 'user', content: 'hi' }] };
    const counted = await postern.call(path, { body: { ...body, model: CLAUDE_ON_VERTEX } });
    assert.equal(counted.status, 200, counted.text);
    assert.deepEqual(counted.json(), { input_tokens: 17, counted_for: CLAUDE_ON_VERTEX });
    assert.equal(cloud.requests.at(-1)?.path, path);
    const byFullName = await postern.call(path, { body: { ...body, model: `vertex/${CLAUDE_ON_VERTEX}` } });
    assert.equal(byFullName.json()['counted_for'], CLAUDE_ON_VERTEX, 'the name is replaced in the body');
    const before = cloud.requests.length;
    for (const [model, status] of [
      ['claude-unknown', 404],
      [undefined, 400],
    ] as const) {
      const refused = await postern.call(path, {
        body: { ...body, ...(model === undefined ? {} : { model }) },
      });
      assert.equal(refused.status, status, refused.text);
    }
    assert.equal(cloud.requests.length, before);
    assert.deepEqual(cloud.violations, []);
  });

  test('Vertex: another project than the key’s is refused in words', async () => {
    const path =
      '/v1/projects/other/locations/us-central1/publishers/google/models/gemini-2.5-pro:generateContent';
    const reply = await postern.call(path, { body: { contents: [] } });
    assert.ok(reply.status >= 400 && reply.status < 500, reply.text);
    assert.match(reply.text, /fake-project/);
    assert.deepEqual(cloud.violations, []);
  });

  test("Azure: OpenAI's client and its Azure variant reach deployments, whole and streamed", async () => {
    const client = new OpenAI({ baseURL: `${postern.url}/v1`, apiKey: '-', maxRetries: 0 });
    const whole = await client.chat.completions.create({
      model: 'gpt-fake',
      messages: [{ role: 'user', content: 'hi' }],
    });
    assert.equal(whole.choices[0]?.message.content, 'azure:gpt-fake');
    const stream = await client.chat.completions.create({
      model: 'gpt-fake',
      messages: [{ role: 'user', content: 'hi' }],
      stream: true,
    });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    assert.equal(text, 'azure:gpt-fake');
    const azure = new AzureOpenAI({
      baseURL: `${postern.url}/v1`,
      apiKey: '-',
      apiVersion: '2024-10-21',
      maxRetries: 0,
    });
    const response = await azure.responses.create({ model: 'gpt-fake', input: 'hi' });
    assert.equal(response.output_text, 'azure:gpt-fake');
    assert.deepEqual(cloud.violations, []);
  });

  test('Azure: the dated way gets a deployment path and an api-version', async () => {
    const client = new OpenAI({ baseURL: `${postern.url}/v1`, apiKey: '-', maxRetries: 0 });
    const whole = await client.chat.completions.create({
      model: 'azure-dated/gpt-fake',
      messages: [{ role: 'user', content: 'hi' }],
    });
    assert.equal(whole.choices[0]?.message.content, 'azure:gpt-fake');
    const { path, query } = cloud.requests.at(-1) ?? {};
    assert.deepEqual(
      [path, query],
      ['/openai/deployments/gpt-fake/chat/completions', 'api-version=2024-10-21'],
    );
  });

  test('clouds: one token served all Vertex calls, and every exchange is metered', async () => {
    assert.equal(cloud.google.tokens.size, 1);
    // Four were refused before they got here: two unknown models, a missing one and a foreign project.
    const rows = await postern.requests(cloudCalls().length + 4);
    const metered = rows.filter(({ outcome }) => outcome === 'ok').map(meteredAs);
    assert.deepEqual(metered.toSorted(), cloudCalls().toSorted());
  });

  /** Every answered model call of the suite, as the fake meters it. */
  function cloudCalls(): string[] {
    return cloud.requests.flatMap(({ path }) => {
      const found = METERS.find(([pattern]) => pattern.test(path));
      return found === undefined ? [] : [found[1]];
    });
  }
});

/** What the fake says it used, by path: format, mode, tokens in and out. */
const METERS: readonly (readonly [path: RegExp, row: string])[] = [
  [/\/invoke$/, 'bedrock_model_invoke whole 11 5'],
  [/\/invoke-with-response-stream$/, 'bedrock_model_invoke streamed 11 5'],
  [/\/converse$/, 'bedrock_converse whole 13 6'],
  [/\/converse-stream$/, 'bedrock_converse streamed 13 6'],
  [/count-tokens:rawPredict$/, 'google_raw_predict whole null null'],
  [/:rawPredict$/, 'google_raw_predict whole 17 4'],
  [/:streamRawPredict$/, 'google_raw_predict streamed 17 4'],
  [/:generateContent$/, 'generate_content whole 9 3'],
  [/:streamGenerateContent$/, 'generate_content streamed 9 3'],
  [/\/chat\/completions$/, 'openai_chat 8 2'],
  [/\/responses$/, 'openai_responses whole 8 2'],
];

function meteredAs(row: Record<string, unknown>): string {
  const { usage } = row;
  const tokens = typeof usage === 'object' && usage !== null ? usage : {};
  const input = 'input_tokens' in tokens ? String(tokens.input_tokens) : '';
  const output = 'output_tokens' in tokens ? String(tokens.output_tokens) : '';
  // Short paths of the Gemini API and full ones of Vertex arrive upstream as the same; so do both modes of chat.
  const format = String(row['format']).replace(/^(?:gemini|google)_generate/, 'generate');
  const mode = format === 'openai_chat' ? '' : `${row['streamed'] === true ? 'streamed' : 'whole'} `;
  return `${format} ${mode}${input} ${output}`;
}

test('clouds: a credential that cannot be minted is no end: the next target is asked (issue 3, Routing)', async (t) => {
  const cloud = await startFakeCloud();
  t.after(() => cloud.close());
  const keyfile = (key: string): string => `keyfile::${Buffer.from(key).toString('base64')}`;
  const unreachable = {
    ...(JSON.parse(cloud.serviceAccountKey) as object),
    token_uri: 'http://127.0.0.1:1/token',
  };
  const document = documentFor(cloud.origin);
  const providers = document['providers'] as Record<string, object>;
  const vertex = { ...providers['vertex'], models: ['gemini-2.5-pro'] };
  const postern = await startPostern(t, {
    document: {
      ...document,
      providers: {
        unreachable: { ...vertex, apikey: 'env:UNREACHABLE_KEY' },
        malformed: { ...vertex, apikey: 'env:MALFORMED_KEY' },
        vertex,
      },
      routing: {
        models: {
          smart: { targets: ['unreachable', 'malformed', 'vertex'].map((id) => `${id}/gemini-2.5-pro`) },
          none: { targets: ['unreachable', 'malformed'].map((id) => `${id}/gemini-2.5-pro`) },
        },
      },
    },
    env: {
      FAKE_GOOGLE_KEY: keyfile(cloud.serviceAccountKey),
      UNREACHABLE_KEY: keyfile(JSON.stringify(unreachable)),
      MALFORMED_KEY: keyfile('{}'),
    },
    flags: { allowUpstream: '127.0.0.0/8' },
  });
  const ask = (model: string) =>
    postern.call(`/v1beta1/publishers/google/models/${model}:generateContent`, {
      body: { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] },
    });
  const answer = await ask('smart');
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.text, /vertex:gemini-2\.5-pro/);
  const [row] = await postern.requests(1);
  assert.equal(row?.['provider'], 'vertex');
  const alone = await ask('none');
  assert.equal(alone.headers['x-postern-reason'], 'credential_failed', alone.text);
});
