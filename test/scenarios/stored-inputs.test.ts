/**
 * Addresses in object storage and data stores inside bodies: a cloud would read them with the rights of the
 * account whose credential Postern adds (DESIGN section 12: a caller does not choose an address).
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startFakeCloud, type FakeCloud } from '../upstream/cloud/server.ts';
import { startPostern, suiteEnd, type Postern } from './harness.ts';

const NOVA = 'amazon.nova-lite-v1:0';
const GEMINI = '/v1/projects/fake-project/locations/us-central1/publishers/google/models/gemini-2.5-pro';
const RAW =
  '/v1/projects/fake-project/locations/us-central1/publishers/anthropic/models/claude-sonnet-4-5@20250929';

/** `body` with the address at its place; each is one of those that the clouds document. */
interface Place {
  readonly name: string;
  readonly path: string;
  readonly scheme: 'gs' | 's3';
  readonly body: (address: string) => object;
}

const file = (address: string): object => ({
  fileData: { mimeType: 'application/pdf', fileUri: address },
});
const converse = (block: object): object => ({ messages: [{ role: 'user', content: [block] }] });

const PLACES: readonly Place[] = [
  ...['generateContent', 'streamGenerateContent', 'countTokens'].map((action): Place => ({
    name: `Vertex ${action}: contents`,
    path: `${GEMINI}:${action}`,
    scheme: 'gs',
    body: (address) => ({ contents: [{ role: 'user', parts: [{ text: 'hi' }, file(address)] }] }),
  })),
  {
    name: 'Vertex: system instruction',
    path: `${GEMINI}:generateContent`,
    scheme: 'gs',
    body: (address) => ({ contents: [], systemInstruction: { parts: [file(address)] } }),
  },
  {
    name: 'Vertex: function response',
    path: `${GEMINI}:generateContent`,
    scheme: 'gs',
    body: (address) => ({
      contents: [{ parts: [{ functionResponse: { name: 'f', response: {}, parts: [file(address)] } }] }],
    }),
  },
  {
    name: 'Gemini paths to Vertex',
    path: '/v1beta/models/gemini-2.5-pro:generateContent',
    scheme: 'gs',
    body: (address) => ({ contents: [{ parts: [{ file_data: { file_uri: address } }] }] }),
  },
  {
    name: 'raw predictions',
    path: `${RAW}:rawPredict`,
    scheme: 'gs',
    body: (address) => ({
      anthropic_version: 'vertex-2023-10-16',
      max_tokens: 9,
      messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'url', url: address } }] }],
    }),
  },
  ...['image', 'document', 'video'].map((kind): Place => ({
    name: `Bedrock Converse: ${kind}`,
    path: `/model/${NOVA}/converse`,
    scheme: 's3',
    body: (uri) => converse({ [kind]: { format: 'x', name: 'n', source: { s3Location: { uri } } } }),
  })),
  {
    name: 'Bedrock Converse: tool result',
    path: `/bedrock/model/${NOVA}/converse-stream`,
    scheme: 's3',
    body: (uri) =>
      converse({
        toolResult: { toolUseId: 't', content: [{ video: { source: { s3Location: { uri } } } }] },
      }),
  },
  {
    name: 'Bedrock invoke: media source',
    path: `/model/${NOVA}/invoke`,
    scheme: 's3',
    body: (uri) => ({ messages: [], mediaSource: { s3Location: { uri } } }),
  },
  {
    name: 'Bedrock invoke with stream: s3Uri',
    path: `/model/${NOVA}/invoke-with-response-stream`,
    scheme: 's3',
    body: (uri) => ({ messages: [], inputVideo: { s3Uri: uri } }),
  },
];

function documentFor(origin: string, allowed: unknown): object {
  return {
    providers: {
      bedrock: {
        baseurl: origin,
        apikey: 'env:FAKE_AWS_KEYS',
        models: [NOVA],
        compatibility: { bedrock_model_invoke: true, bedrock_converse: true },
        ...(allowed === undefined ? {} : { allow_stored_inputs: allowed }),
      },
      vertex: {
        baseurl: origin,
        apikey: 'env:FAKE_GOOGLE_KEY',
        models: ['gemini-2.5-pro', 'claude-sonnet-4-5@20250929'],
        compatibility: {
          google_generate_content: true,
          google_raw_predict: true,
          experimental_gemini_cli_vertex_compat: true,
        },
        ...(allowed === undefined ? {} : { allow_stored_inputs: allowed }),
      },
    },
    grants: [{ src: ['(loopback)'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } }],
  };
}

describe('addresses in object storage', () => {
  const suite = suiteEnd();
  let cloud: FakeCloud;

  before(async () => {
    cloud = await startFakeCloud();
    suite.after(() => cloud.close());
  });
  after(() => suite.end());

  function start(allowed: unknown): Promise<Postern> {
    return startPostern(suite, {
      document: documentFor(cloud.origin, allowed),
      env: {
        FAKE_AWS_KEYS: JSON.stringify({ ...cloud.awsKeys, region: cloud.aws.region }),
        FAKE_GOOGLE_KEY: `keyfile::${Buffer.from(cloud.serviceAccountKey).toString('base64')}`,
      },
      flags: { allowUpstream: '127.0.0.0/8' },
    });
  }

  test('are refused at every place unless the document allows them, and nothing is sent', async () => {
    const postern = await start(undefined);
    for (const { name, path, scheme, body } of PLACES) {
      const before = cloud.requests.length;
      const reply = await postern.call(path, { body: body(`${scheme}://bucket/secret.pdf`) });
      assert.deepEqual(
        [reply.status, reply.headers['x-postern-reason']],
        [403, 'stored_input_refused'],
        `${name}: ${reply.text}`,
      );
      assert.match(reply.text, new RegExp(`${scheme}://bucket/secret.pdf`), name);
      assert.equal(cloud.requests.length, before, name);
    }
    const rows = await postern.requests(PLACES.length);
    assert.ok(rows.every((row) => row['reason'] === 'stored_input_refused'));
  });

  test('pass below an allowed prefix, and only there', async () => {
    const postern = await start(['gs://team/in/', 's3://team/in/']);
    for (const { name, path, scheme, body } of PLACES) {
      const allowed = await postern.call(path, { body: body(`${scheme}://team/in/a.pdf`) });
      assert.notEqual(
        allowed.headers['x-postern-reason'],
        'stored_input_refused',
        `${name}: ${allowed.text}`,
      );
      const beside = await postern.call(path, { body: body(`${scheme}://team/other/a.pdf`) });
      assert.equal(beside.headers['x-postern-reason'], 'stored_input_refused', name);
    }
  });

  test('an escape, a repeated member or a large body hides none', async () => {
    const postern = await start(undefined);
    const source = '{"s3Location":{"uri":"s3://bucket/a","uri":""}}';
    for (const [path, body] of [
      [
        `${GEMINI}:generateContent`,
        String.raw`{"contents":[{"parts":[{"fileData":{"fileUri":"\u0067s:\/\/bucket\/a"}}]}]}`,
      ],
      [
        `/model/${NOVA}/converse`,
        `{"messages":[{"role":"user","content":[{"image":{"source":${source}}}]}]}`,
      ],
      [
        `${GEMINI}:generateContent`,
        `{"contents":[{"parts":[{"text":"${'x'.repeat(1_200_000)}"},{"fileData":{"fileUri":"gs://bucket/a"}}]}]}`,
      ],
    ] as const) {
      const reply = await postern.call(path, { body });
      assert.equal(
        reply.headers['x-postern-reason'],
        'stored_input_refused',
        `${body.slice(0, 90)}: ${reply.text}`,
      );
    }
  });

  test('text that names an address, and the data of the caller’s own tools, pass', async () => {
    const postern = await start(undefined);
    const violations = [...cloud.violations];
    for (const [path, body] of [
      [`${GEMINI}:generateContent`, { contents: [{ role: 'user', parts: [{ text: 'gs://bucket/a' }] }] }],
      [
        `${GEMINI}:generateContent`,
        {
          contents: [
            {
              role: 'model',
              parts: [{ functionCall: { name: 'cp', args: { from: 'gs://bucket/a' } } }],
            },
          ],
        },
      ],
      [`/model/${NOVA}/converse`, converse({ text: 's3://bucket/a' })],
    ] as const) {
      const reply = await postern.call(path, { body });
      assert.equal(reply.status, 200, reply.text);
    }
    assert.deepEqual(cloud.violations, violations);
  });
});
