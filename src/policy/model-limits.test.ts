import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicy } from './compile-policy.ts';
import { statedLimits } from './model-limits.ts';
import { parseGatewayDocument } from './parse-document.ts';
import type { ParsedDocument } from './document.ts';

function withLimits(limits: string): ParsedDocument {
  const text = `{"providers": {"own": {"baseurl": "https://llm.test", "models": ["llama-3", "other"], "model_limits": ${limits}}}}`;
  return parseGatewayDocument(text, { source: 'api', adminsElsewhere: true });
}

test('model_limits: the first entry that fits a model says what it takes and gives', () => {
  const { document, problems } = withLimits(
    '[{"match": "llama-*", "context_window": 131072, "max_output_tokens": 8192, "input": ["text", "image"], "output": ["text"]}, {"match": "**", "context_window": 4096}]',
  );
  assert.deepEqual(
    problems.filter(({ severity }) => severity !== 'note').map(({ code }) => code),
    ['grants_missing'],
  );
  const policy = compilePolicy({ document, found: [], storedGrants: [], tailnet: 't', version: '1' });
  const provider = policy.providers.get('own');
  assert.ok(provider !== undefined);
  assert.deepEqual(statedLimits(provider, 'llama-3'), {
    match: 'llama-*',
    contextWindow: 131_072,
    maxOutput: 8192,
    input: ['text', 'image'],
    output: ['text'],
  });
  assert.equal(statedLimits(provider, 'other')?.contextWindow, 4096);
  assert.equal(statedLimits(provider, 'other')?.maxOutput, null);
  const echo = policy.providers.get('postern');
  assert.ok(echo !== undefined);
  assert.deepEqual(statedLimits(echo, 'echo')?.output, ['text']);
});

test('model_limits: what cannot be is refused with its place, and switches the provider off', () => {
  for (const [limits, path] of [
    ['[{"context_window": 1}]', 'providers.own.model_limits[0]'],
    ['[{"match": "a?b"}]', 'providers.own.model_limits[0].match'],
    ['[{"match": "m", "context_window": 0}]', 'providers.own.model_limits[0].context_window'],
    ['[{"match": "m", "max_output_tokens": 1.5}]', 'providers.own.model_limits[0].max_output_tokens'],
    ['[{"match": "m", "input": ["smell"]}]', 'providers.own.model_limits[0].input[0]'],
    ['[{"match": "m", "ctx": 1}]', 'providers.own.model_limits[0].ctx'],
    ['{}', 'providers.own.model_limits'],
  ] as const) {
    const { document, problems } = withLimits(limits);
    assert.ok(
      problems.some((problem) => problem.path === path && problem.severity === 'warning'),
      `${limits}: ${JSON.stringify(problems.map((problem) => problem.path))}`,
    );
    assert.ok(!document.providers.has('own'), limits);
  }
});
