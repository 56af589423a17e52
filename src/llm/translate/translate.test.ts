/** Small parts of translation: seals, names, losses, headers, what models take, which routes are translated. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { isSurfaceMiss, matchSurface } from '../surfaces.ts';
import { isForeignHeader } from './foreign-headers.ts';
import { Losses } from './losses.ts';
import { claudeThinking, effortOf, openaiEffort } from './models.ts';
import { openOpaque, sealOpaque } from './opaque.ts';
import { ANTHROPIC_IDS, CHAT_IDS, fitName, SHORT_NAMES, ToolNames } from './tool-names.ts';
import { sourceFormat, translator } from './translator.ts';

test("what is sealed is opened as it was, and is base64; other texts are nobody's", () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (origin, data) => {
      const sealed = sealOpaque({ origin, data });
      assert.match(sealed, /^[A-Za-z0-9+/]+={0,2}$/);
      assert.deepEqual(openOpaque(sealed), { origin, data });
    }),
  );
  for (const other of [
    null,
    7,
    '',
    'c2ln',
    sealOpaque({ origin: 'a', data: 'b' }).slice(0, -5),
    'cG9zdGVybjog',
    'cG9zdGVybjogWzEsMl0=',
  ])
    assert.equal(openOpaque(other), null);
  assert.equal(openOpaque(`cG9zdGVybjog${'A'.repeat(5_000_000)}`), null, 'longer than any reasoning');
});

test('names and ids fit their rule, stay where they do, and differ where they differed', () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 300 }),
      fc.constantFrom(SHORT_NAMES, ANTHROPIC_IDS, CHAT_IDS),
      (name, rule) => {
        const fitted = fitName(name, rule);
        assert.ok(fitted.length > 0 && fitted.length <= rule.maxChars);
        assert.equal(fitted.replace(rule.refused, ''), fitted);
        assert.equal(fitName(fitted, rule), fitted);
      },
    ),
  );
  const names = new ToolNames(SHORT_NAMES);
  const tools = ['a.b', 'a_b', 'a b', 'x'.repeat(80), `${'x'.repeat(79)}y`].map(
    (name) => ({ kind: 'function', namespace: null, name }) as const,
  );
  const grouped = { kind: 'custom', namespace: 'a', name: 'b' } as const;
  const flat = { kind: 'function', namespace: null, name: 'a__b' } as const;
  const wires = [...tools, grouped, flat].map((tool) => names.wire(tool));
  assert.equal(new Set(wires).size, wires.length);
  assert.deepEqual(
    wires.map((wire) => names.find(wire)),
    [...tools, grouped, flat],
  );
  assert.deepEqual(names.find('new'), { kind: 'function', namespace: null, name: 'new' });
});

test('the loss report holds plain words only, each once, at most 64', () => {
  const losses = new Losses();
  for (const name of ['b', 'a', 'b', 'bad\r\nheader: x', 'ü', 'x'.repeat(200)]) losses.add(name);
  assert.deepEqual(losses.list(), ['a', 'b', 'other']);
  for (let i = 0; i < 100; i += 1) losses.add(`n${i}`);
  assert.equal(losses.list().length, 64);
});

test("headers of the caller's SDK stay behind, labels and types go along", () => {
  for (const name of [
    'anthropic-beta',
    'anthropic-version',
    'x-stainless-os',
    'openai-beta',
    'x-goog-api-client',
    'x-claude-code-session-id',
    'x-codex-turn-metadata',
    'session-id',
    'user-agent',
  ])
    assert.ok(isForeignHeader(name), name);
  for (const name of ['content-type', 'traceparent', 'x-custom']) assert.ok(!isForeignHeader(name), name);
});

test("models are told apart by name: how Claude thinks, which effort OpenAI's take", () => {
  const kinds = {
    'claude-3-5-sonnet-20241022': 'none',
    'claude-3-opus-20240229': 'none',
    'claude-3-7-sonnet-latest': 'budget',
    'claude-sonnet-4-20250514': 'budget',
    'us.anthropic.claude-opus-4-5-20251101-v1:0': 'budget',
    'claude-opus-4-6': 'adaptive',
    'claude-opus-5': 'adaptive',
    'anthropic/claude-sonnet-4.5': 'budget',
    'kimi-k2': 'budget',
  };
  for (const [model, kind] of Object.entries(kinds)) assert.equal(claudeThinking(model), kind, model);
  const effort = (model: string, wanted: 'none' | 'high' | 'xhigh' | 'max'): string | null =>
    openaiEffort(model, { effort: wanted, budgetTokens: null, visible: true });
  assert.equal(effort('gpt-4.1', 'high'), null);
  assert.equal(effort('gpt-5', 'none'), 'minimal');
  assert.equal(effort('gpt-5.1', 'none'), 'none');
  assert.equal(effort('o3', 'max'), 'high');
  assert.equal(effort('gpt-5.2', 'max'), 'xhigh');
  assert.deepEqual([0, 1_024, 5_000, 20_000, 90_000].map(effortOf), [
    'none',
    'low',
    'medium',
    'high',
    'high',
  ]);
});

test('only routes that ask a model for an answer are translated, and only between two formats', () => {
  const source = (path: string, isAnthropic = false): string | null => {
    const match = matchSurface('POST', path, isAnthropic);
    assert.ok(!isSurfaceMiss(match), path);
    return sourceFormat(match);
  };
  assert.equal(source('/v1/messages', true), 'anthropic_messages');
  assert.equal(source('/v1/responses'), 'openai_responses');
  assert.equal(source('/v1beta/models/m:streamGenerateContent'), 'gemini_generate_content');
  for (const path of [
    '/v1/responses/input_tokens',
    '/v1/responses/resp_1/cancel',
    '/v1/embeddings',
    '/v1/completions',
  ])
    assert.equal(source(path), null, path);
  assert.equal(translator('openai_chat', 'openai_chat'), null);
});
