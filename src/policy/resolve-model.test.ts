import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicy } from './compile-policy.ts';
import { parseGatewayDocument } from './parse-document.ts';
import type { FoundProviderView } from './ports.ts';
import type { PolicySnapshot } from './snapshot.ts';

const found = (id: string, models: readonly string[]): FoundProviderView => ({
  id,
  name: id,
  baseUrl: `https://${id}.test/v1`,
  header: 'bearer',
  compatibility: ['openai_chat'],
  costBasis: null,
  models,
});
const FOUND = [
  found('openai', ['gpt-*']),
  found('router', ['**']),
  found('groq', ['openai/gpt-oss-120b', 'llama-3']),
];

function policy(document: object = {}, views = FOUND): PolicySnapshot {
  const parsed = parseGatewayDocument(JSON.stringify(document), { source: 'file', found: views });
  return compilePolicy({
    document: parsed.document,
    found: views,
    storedGrants: [],
    tailnet: 't',
    version: 'v',
    knownModels: (provider) => (provider.id === 'openai' ? ['gpt-5', 'gpt-4', 'o1'] : []),
  });
}
const names = (snapshot: PolicySnapshot, model: string): string[] =>
  snapshot.resolve(model).map((one) => `${one.provider.id}/${one.model} ${one.via}`);

test('resolve: alias, then provider/model, then the bare id', () => {
  const snapshot = policy({
    model_aliases: {
      models: { fast: { dst: ['gone/x', 'openai/gpt-5'] }, 'gpt-5': { dst: ['groq/llama-3'] } },
    },
  });
  assert.deepEqual(names(snapshot, 'fast'), ['openai/gpt-5 alias']);
  assert.deepEqual(names(snapshot, 'gpt-5'), ['groq/llama-3 alias']);
  assert.deepEqual(names(snapshot, 'openai/gpt-5'), ['openai/gpt-5 qualified']);
  assert.deepEqual(names(snapshot, 'gpt-4'), ['openai/gpt-4 bare']);
});

test('resolve: an alias is exact, is no chain, and one without a usable target is no model', () => {
  const snapshot = policy({
    model_aliases: { models: { a: { dst: ['openai/gpt-5', 'groq/llama-3'] }, b: { dst: ['gone/x'] } } },
  });
  assert.deepEqual(names(snapshot, 'a'), ['openai/gpt-5 alias']);
  assert.deepEqual(names(snapshot, 'b'), []);
  assert.deepEqual([...snapshot.aliases.keys()], ['a', 'b']);
});

test('resolve: what a provider lists literally comes before what a pattern would match', () => {
  assert.deepEqual(names(policy(), 'openai/gpt-oss-120b'), ['groq/openai/gpt-oss-120b bare']);
  const exact = [found('openai', ['gpt-oss-120b']), found('groq', ['openai/gpt-oss-120b'])];
  assert.deepEqual(names(policy({}, exact), 'openai/gpt-oss-120b'), ['openai/gpt-oss-120b qualified']);
});

test("resolve: an id with a slash is a provider's only if that provider serves it", () => {
  const both = [found('openai', ['gpt-*']), found('groq', ['openai/*'])];
  assert.deepEqual(names(policy({}, both), 'openai/gpt-oss-120b'), ['openai/gpt-oss-120b qualified']);
  const without = policy({}, [found('openai', ['o1']), found('groq', ['openai/gpt-oss-120b'])]);
  assert.deepEqual(names(without, 'openai/gpt-oss-120b'), ['groq/openai/gpt-oss-120b bare']);
  assert.deepEqual(names(policy(), 'groq/openai/gpt-oss-120b'), ['groq/openai/gpt-oss-120b qualified']);
});

test('resolve: who claims everything serves only what nobody names, unless preferred', () => {
  assert.deepEqual(names(policy(), 'gpt-5'), ['openai/gpt-5 bare']);
  assert.deepEqual(names(policy(), 'strange-model'), ['router/strange-model bare']);
  const preferred = policy({
    providers: { router: { baseurl: 'https://router.test', models: ['**'], preference: 1 } },
  });
  assert.deepEqual(names(preferred, 'gpt-5'), ['router/gpt-5 bare', 'openai/gpt-5 bare']);
});

test('resolve: the higher preference wins, then who names the model exactly, then the order', () => {
  const provider = (preference: number, models: readonly string[]): object => ({
    baseurl: 'https://x.test',
    models,
    preference,
  });
  const snapshot = policy(
    {
      providers: {
        a: provider(0, ['m*']),
        b: provider(0, ['m1']),
        c: provider(5, ['m1']),
        d: { ...provider(9, ['m1']), disabled: true },
      },
    },
    [],
  );
  assert.deepEqual(names(snapshot, 'm1'), ['c/m1 bare', 'b/m1 bare', 'a/m1 bare']);
});

test('resolve: disabled providers and unknown names give nothing', () => {
  const snapshot = policy({ providers: { openai: { disabled: true } } }, [found('openai', ['gpt-*'])]);
  for (const model of [
    'gpt-5',
    'openai/gpt-5',
    'nothing',
    '',
    '/',
    'openai/',
    'x'.repeat(10_000),
    '__proto__',
    'constructor',
  ]) {
    assert.deepEqual(names(snapshot, model), [], model.slice(0, 20));
  }
});

test('resolve: the built-in test model is always there and comes last', () => {
  assert.deepEqual(names(policy(), 'postern/echo'), ['postern/echo qualified']);
  const snapshot = policy({ providers: { mine: { baseurl: 'https://x.test', models: ['echo'] } } }, []);
  assert.deepEqual(names(snapshot, 'echo'), ['mine/echo bare', 'postern/echo bare']);
  const echo = snapshot.providers.get('postern');
  assert.ok(
    echo?.builtIn === true &&
      echo.kind === 'echo' &&
      echo.formats.has('anthropic_messages') &&
      echo.formats.has('bedrock_converse'),
  );
});

test('resolve: names that callers invent do not fill memory', () => {
  const snapshot = policy();
  for (let i = 0; i < 20_000; i += 1) snapshot.resolve(`invented-${i}`);
  assert.equal(snapshot.resolve('gpt-5'), snapshot.resolve('gpt-5'));
});

test("providers: a document's replaces a found one of the same id; stray versions are dropped; the kind follows the host", () => {
  const document = {
    providers: {
      openai: { baseurl: 'https://my-res.openai.azure.com/openai/v1', models: ['gpt-5'] },
      aws: {
        baseurl: 'https://bedrock-runtime.eu-west-1.amazonaws.com',
        models: ['m'],
        compatibility: { bedrock_converse: true },
      },
      claude: {
        baseurl: 'https://api.anthropic.com/v1',
        models: ['m'],
        compatibility: { anthropic_messages: true },
      },
      fake: { baseurl: 'https://api.openai.com.evil.test', models: ['m'] },
    },
  };
  const { providers } = policy(document);
  assert.deepEqual(
    ['openai', 'aws', 'claude', 'fake', 'router'].map((id) => [
      providers.get(id)?.kind,
      providers.get(id)?.costBasis,
    ]),
    [
      ['azure', 'azure'],
      ['bedrock', 'bedrock'],
      ['anthropic', 'anthropic'],
      ['compatible', 'openai'],
      ['compatible', null],
    ],
  );
  assert.equal(providers.get('openai')?.baseUrl.pathPrefix, '/openai');
  assert.equal(providers.get('openai')?.found, false);
  assert.equal(providers.get('router')?.baseUrl.href, 'https://router.test');
  assert.ok(providers.get('claude')?.formats.has('anthropic_count_tokens'));
});

test('providers: AWS is known by each of its names and by nobody else’s, Azure’s api-version is kept, other queries are refused', () => {
  const at = (baseurl: string, flag = 'openai_chat') => {
    const document = { providers: { p: { baseurl, models: ['m'], compatibility: { [flag]: true } } } };
    return policy(document).providers.get('p');
  };
  for (const host of [
    'bedrock-runtime-fips.us-east-1.amazonaws.com',
    'bedrock-mantle.us-east-1.api.aws',
    'vpce-0a1b-c2d3.bedrock-runtime.eu-west-1.vpce.amazonaws.com',
    'bedrock-runtime.cn-north-1.amazonaws.com.cn',
  ]) {
    assert.equal(at(`https://${host}`)?.kind, 'bedrock', host);
    assert.equal(at(`https://${host}.evil.test`)?.kind, 'compatible', host);
  }
  const azure = at('https://r.openai.azure.com/openai?api-version=2026-01-01-preview');
  assert.deepEqual([azure?.baseUrl.query, azure?.disabled], ['api-version=2026-01-01-preview', false]);
  for (const query of ['api-version=1&key=x', 'key=x', 'api-version=']) {
    assert.notEqual(at(`https://r.openai.azure.com/?${query}`)?.disabled, false, query);
  }
  const vertex = at('https://europe-west4-aiplatform.googleapis.com', 'google_generate_content');
  assert.ok(vertex?.formats.has('gemini_count_tokens') && vertex.formats.has('gemini_embed_content'));
});

test('lists: literal ids, and known ones that a pattern matches', () => {
  const listed = policy()
    .listModels()
    .map((one) => `${one.provider.id}/${one.model}`);
  assert.deepEqual(listed, [
    'openai/gpt-5',
    'openai/gpt-4',
    'groq/openai/gpt-oss-120b',
    'groq/llama-3',
    'postern/echo',
  ]);
});
