/** What a client's settings name where nobody chose a model: of its own vendor, the newest that talks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import type { ClientFormat } from './connect-snippets.ts';
import type { ModelView } from './ports.ts';
import { preferredModel } from './preferred-model.ts';

const EVERY_FORMAT: readonly ClientFormat[] = [
  'anthropic_messages',
  'openai_responses',
  'openai_chat',
  'gemini_generate_content',
];

/** With translation every model is listed with every format. */
function models(...ids: readonly string[]): readonly ModelView[] {
  return ids.map((id) => ({
    id,
    provider: 'any',
    formats: EVERY_FORMAT,
    contextWindow: null,
    maxOutput: null,
    modalities: null,
    test: id.startsWith('postern/'),
  }));
}

const EVERYTHING = models(
  'claude-3-5-sonnet-20241022',
  'claude-haiku-4-5',
  'claude-opus-4-5-20251101',
  'claude-sonnet-4-20250514',
  'gemini-1.5-pro',
  'gemini-2.5-flash',
  'gemini-2.5-pro',
  'gpt-3.5-0301',
  'gpt-3.5-turbo-instruct',
  'gpt-4o',
  'gpt-5.2',
  'gpt-5.2-mini',
  'gpt-image-1',
  'postern/echo',
  'text-embedding-3-large',
);

test('each client is offered the newest model of its own vendor, whatever is first in the list', () => {
  assert.equal(preferredModel(EVERYTHING, 'anthropic_messages'), 'claude-opus-4-5-20251101');
  assert.equal(preferredModel(EVERYTHING, 'openai_responses'), 'gpt-5.2');
  assert.equal(preferredModel(EVERYTHING, 'openai_chat'), 'gpt-5.2');
  assert.equal(preferredModel(EVERYTHING, 'gemini_generate_content'), 'gemini-2.5-pro');
});

test('versions are numbers: 4.10 is after 4.9, dates are no versions, and Bedrock and full names are read', () => {
  assert.equal(
    preferredModel(models('claude-sonnet-4-9', 'claude-sonnet-4-10'), 'anthropic_messages'),
    'claude-sonnet-4-10',
  );
  assert.equal(
    preferredModel(
      models('anthropic/claude-3-7-sonnet-20250219', 'bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0'),
      'anthropic_messages',
    ),
    'bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0',
  );
  assert.equal(preferredModel(models('gpt-4-0613', 'gpt-5'), 'openai_chat'), 'gpt-5');
  assert.equal(preferredModel(models('gpt-5-2025-08-07', 'gpt-5'), 'openai_chat'), 'gpt-5');
});

test("without a model of the vendor's another one that talks is offered, and the test model last", () => {
  const other = models('postern/echo', 'text-embedding-3-large', 'gpt-3.5-turbo', 'gpt-5.2');
  assert.equal(preferredModel(other, 'anthropic_messages'), 'gpt-5.2');
  assert.equal(preferredModel(models('postern/echo'), 'anthropic_messages'), 'postern/echo');
});

test('a model that does not serve the format is never offered', () => {
  const [claude] = models('claude-opus-4-5');
  assert.ok(claude !== undefined);
  assert.equal(preferredModel([{ ...claude, formats: ['openai_chat'] }], 'anthropic_messages'), undefined);
});

test('property: whatever the names, one of the list is offered', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1 }), fc.constantFrom(...EVERY_FORMAT), (ids, format) => {
      assert.ok(ids.includes(preferredModel(models(...ids), format) ?? ''));
    }),
  );
});
