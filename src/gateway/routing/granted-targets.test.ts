import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Access, Candidate, ModelGrant, PolicySnapshot, Provider } from '../../policy/index.ts';
import { Refused } from '../reasons.ts';
import { chooseRoute } from './choose-route.ts';
import { grantedTargets, type TargetQuestion } from './granted-targets.ts';

const GRANT: ModelGrant = { rule: 'grants[0]', capture: 'full', addHeaders: [], governance: null };

/** Providers by id with their formats; `denied` have no grant. */
function question(
  providers: Readonly<Record<string, readonly string[]>>,
  change: Partial<TargetQuestion> & { readonly denied?: readonly string[] } = {},
): TargetQuestion {
  const candidates: Candidate[] = Object.entries(providers).map(([id, formats]) => ({
    provider: { id, formats: new Set(formats) } as unknown as Provider,
    model: 'm',
    via: 'alias',
  }));
  const { denied = [], ...rest } = change;
  return {
    policy: { resolve: () => candidates } as unknown as PolicySnapshot,
    access: { grant: (id: string) => (denied.includes(id) ? null : GRANT) } as unknown as Access,
    requestedModel: 'fast',
    format: 'anthropic_messages',
    ...rest,
  };
}

const found = (asked: TargetQuestion): string[] =>
  grantedTargets(asked).map(({ provider, format }) => `${provider.id} ${format}`);

const THREE = {
  a: ['openai_chat'],
  b: ['anthropic_messages'],
  c: ['anthropic_messages', 'openai_chat'],
};

test('all granted targets that speak the format, in the order of the document; the first is that of chooseRoute', () => {
  assert.deepEqual(found(question(THREE)), ['b anthropic_messages', 'c anthropic_messages']);
  const asked = question(THREE, { denied: ['b'] });
  assert.deepEqual(found(asked), ['c anthropic_messages']);
  const { format, ...first } = grantedTargets(asked)[0] ?? { format: '' };
  assert.equal(format, 'anthropic_messages');
  assert.deepEqual(first, chooseRoute(asked));
});

test('translation is only where no granted target speaks the format', () => {
  const translateTo = (formats: ReadonlySet<string>): string | null =>
    formats.has('openai_chat') ? 'openai_chat' : null;
  assert.deepEqual(found(question(THREE, { translateTo })), ['b anthropic_messages', 'c anthropic_messages']);
  assert.deepEqual(found(question(THREE, { translateTo, denied: ['b', 'c'] })), ['a openai_chat']);
  const none = { a: ['bedrock_converse'] };
  assert.throws(() => found(question(none, { translateTo })), code('format_not_available'));
});

test('without translation a granted model in another format is named as such, an ungranted one as unknown', () => {
  assert.throws(() => found(question({ a: ['openai_chat'] })), code('format_not_available'));
  assert.throws(
    () => found(question({ a: ['openai_chat'] }, { denied: ['a'] })),
    code('model_not_available'),
  );
  assert.throws(() => found(question({})), code('model_not_available'));
});

test('Google’s own routes are not spoken for Claude on Vertex, which has raw predictions', () => {
  const both = { vertex: ['gemini_generate_content', 'google_raw_predict'] };
  const asked = { format: 'gemini_generate_content', translateTo: () => 'google_raw_predict' };
  const named = (model: string): TargetQuestion => {
    const made = question(both, asked);
    const candidates = made.policy.resolve('x').map((candidate) => ({ ...candidate, model }));
    return { ...made, policy: { resolve: () => candidates } as unknown as PolicySnapshot };
  };
  assert.deepEqual(found(named('gemini-2.5-pro')), ['vertex gemini_generate_content']);
  assert.deepEqual(found(named('claude-sonnet-4-5')), ['vertex google_raw_predict']);
  assert.throws(() => chooseRoute(named('claude-sonnet-4-5')), code('format_not_available'));
});

test('a request that is bound to a provider goes nowhere else', () => {
  assert.deepEqual(found(question(THREE, { provider: 'c' })), ['c anthropic_messages']);
});

function code(expected: string): (error: unknown) => boolean {
  return (error) => error instanceof Refused && error.code === expected;
}
