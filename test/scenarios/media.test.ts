/** Embeddings, images, audio and moderation with the official OpenAI SDK: routed, metered, bytes untouched, forms included. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { startFakeUpstream, USAGE, type FakeUpstream } from '../upstream/index.ts';
import { documentFor, PROVIDER_ENV } from './fake-providers.ts';
import { startPostern, suiteEnd, type Postern } from './harness.ts';

type Row = Record<string, unknown>;

/** What the SDK put on the wire and what it got back. */
interface Wire {
  sent: Buffer;
  got: Buffer;
  requestId: string;
}

const MODELS = [
  'gpt-5',
  'text-embedding-3-small',
  'gpt-image-1',
  'gpt-4o-mini-tts',
  'gpt-4o-transcribe',
  'whisper-1',
  'omni-moderation-latest',
];

interface Case {
  readonly name: string;
  readonly path: string;
  readonly run: (client: OpenAI) => Promise<unknown>;
  readonly usage: Row;
  readonly estimated?: boolean;
  readonly costState?: string;
}

const PNG = Buffer.from('89504e470d0a1a0a0000000d', 'hex');
const SOUND = Buffer.from('RIFF\r\n--not-a-boundary\r\n\r\nWAVE', 'latin1');
const image = (): Promise<File> => toFile(PNG, 'a.png', { type: 'image/png' });
const sound = (): Promise<File> => toFile(SOUND, 'a.wav', { type: 'audio/wav' });
const { input, output } = USAGE.plain;

const CASES: readonly Case[] = [
  {
    name: 'embeddings',
    path: '/v1/embeddings',
    run: (client) => client.embeddings.create({ model: 'text-embedding-3-small', input: ['café ✓', 'b'] }),
    usage: { input_tokens: input },
  },
  {
    name: 'images, made',
    path: '/v1/images/generations',
    run: (client) => client.images.generate({ model: 'gpt-image-1', prompt: 'a gate' }),
    usage: { input_tokens: input, output_tokens: output, output_image_tokens: output },
  },
  {
    name: 'images, edited (form)',
    path: '/v1/images/edits',
    run: async (client) =>
      client.images.edit({ model: 'gpt-image-1', prompt: 'a gate', image: await image() }),
    usage: { input_tokens: input, output_tokens: output, output_image_tokens: output },
  },
  {
    name: 'images, varied (form)',
    path: '/v1/images/variations',
    run: async (client) =>
      client.images.createVariation({ model: 'gpt-image-1', image: await image(), prompt: 'x' } as never),
    usage: { input_tokens: input, output_tokens: output },
  },
  {
    name: 'speech',
    path: '/v1/audio/speech',
    run: async (client) =>
      (
        await client.audio.speech.create({ model: 'gpt-4o-mini-tts', input: 'hello', voice: 'alloy' })
      ).arrayBuffer(),
    usage: {},
    estimated: true,
  },
  {
    name: 'transcription (form)',
    path: '/v1/audio/transcriptions',
    run: async (client) =>
      client.audio.transcriptions.create({ model: 'gpt-4o-transcribe', file: await sound() }),
    usage: { input_tokens: input, output_tokens: output },
  },
  {
    name: 'translation (form)',
    path: '/v1/audio/translations',
    run: async (client) =>
      client.audio.translations.create({ model: 'gpt-4o-transcribe', file: await sound() }),
    usage: { input_tokens: input, output_tokens: output },
  },
  {
    name: 'moderation',
    path: '/v1/moderations',
    run: (client) => client.moderations.create({ model: 'omni-moderation-latest', input: 'hello' }),
    usage: {},
    costState: 'free',
  },
  {
    name: 'moderation without a model',
    path: '/v1/moderations',
    run: (client) => client.moderations.create({ input: 'hello' }),
    usage: {},
    costState: 'free',
  },
];

describe('the further OpenAI surfaces, with the official SDK', () => {
  const suite = suiteEnd();
  let upstream: FakeUpstream;
  let postern: Postern;
  const wire: Wire = { sent: Buffer.alloc(0), got: Buffer.alloc(0), requestId: '' };
  let client: OpenAI;

  before(async () => {
    upstream = await startFakeUpstream();
    suite.after(() => upstream.close());
    const document = documentFor(upstream.url);
    const providers = document['providers'] as Record<string, Row>;
    postern = await startPostern(suite, {
      document: {
        ...document,
        providers: { ...providers, openai: { ...providers['openai'], models: MODELS } },
        model_aliases: { models: { ears: { dst: ['openai/gpt-4o-transcribe'] } } },
      },
      env: PROVIDER_ENV,
      flags: { allowUpstream: '127.0.0.0/8' },
    });
    client = new OpenAI({
      baseURL: `${postern.url}/v1`,
      apiKey: 'sk-of-the-caller',
      maxRetries: 0,
      fetch: async (url, init) => {
        const request = new Request(url, init);
        wire.sent = Buffer.from(await request.clone().arrayBuffer());
        const response = await fetch(request);
        wire.got = Buffer.from(await response.clone().arrayBuffer());
        wire.requestId = response.headers.get('x-postern-request-id') ?? '';
        return response;
      },
    });
  });
  after(() => suite.end());

  for (const { name, path, run, usage, estimated = false, costState } of CASES) {
    test(`${name}: bytes untouched both ways, usage recorded`, async () => {
      upstream.reset();
      await run(client);
      const [received] = upstream.requests;
      assert.equal(received?.path, path);
      assert.deepEqual(received.body, wire.sent);
      assert.deepEqual(Buffer.concat(received.sent), wire.got);
      assert.deepEqual(upstream.violations, []);
      const row = await rowOf(postern, wire.requestId);
      assert.equal(row['outcome'], 'ok');
      assert.equal(row['estimated'], estimated, JSON.stringify(row));
      const recorded = row['usage'] as Row;
      for (const [field, count] of Object.entries(usage)) assert.equal(recorded[field], count, field);
      if (costState !== undefined) assert.equal(row['cost_state'], costState);
    });
  }

  test('the model in a form is renamed, and no other byte of it changes', async () => {
    for (const name of ['openai/gpt-4o-transcribe', 'ears']) {
      upstream.reset();
      await client.audio.transcriptions.create({ model: name, file: await sound(), language: 'en' });
      const [received] = upstream.requests;
      const expected = wire.sent
        .toString('latin1')
        .replace(`\r\n\r\n${name}\r\n`, '\r\n\r\ngpt-4o-transcribe\r\n');
      assert.equal(received?.body.toString('latin1'), expected);
      assert.notDeepEqual(received?.body, wire.sent);
      assert.equal((await rowOf(postern, wire.requestId))['requested_model'], name);
    }
  });

  test('a form that names two models, or hides one in a file, is refused', async () => {
    const part = (name: string, value: string, file = ''): string =>
      `--b\r\ncontent-disposition: form-data; name="${name}"${file}\r\n\r\n${value}\r\n`;
    const forms = [
      part('model', 'whisper-1') + part('model', 'gpt-secret') + part('file', 'x', '; filename="a"'),
      part('model', 'whisper-1') + part('Model', 'gpt-secret') + part('file', 'x', '; filename="a"'),
      part('model', 'whisper-1', '; filename="m"') + part('file', 'x', '; filename="a"'),
    ];
    for (const form of forms) {
      upstream.reset();
      const reply = await postern.call('/v1/audio/transcriptions', {
        body: `${form}--b--\r\n`,
        headers: { 'content-type': 'multipart/form-data; boundary=b' },
      });
      assert.equal(reply.headers['x-postern-reason'], 'body_invalid', reply.text);
      assert.equal(upstream.requests.length, 0);
    }
  });

  test('a model that is not granted is refused in a form too', async () => {
    await assert.rejects(
      async () => client.audio.transcriptions.create({ model: 'gpt-secret', file: await sound() }),
      { status: 404 },
    );
  });
});

async function rowOf(postern: Postern, id: string): Promise<Row> {
  for (let attempt = 0; attempt < 250; attempt += 1) {
    const reply = await postern.call(`/api/v1/requests/${id}`);
    if (reply.status === 200) return reply.json();
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  throw new Error(`the request ${id} was not recorded within 5 s`);
}
