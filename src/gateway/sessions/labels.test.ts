import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLabels } from './labels.ts';

test('the agents of docs/clients.md are known by their user agents', () => {
  const table: readonly (readonly [userAgent: string, agent: string | null])[] = [
    ['claude-cli/2.1.330 (external, sdk-cli)', 'claude-code'],
    ['codex_exec/0.169.0 (Linux)', 'codex'],
    ['GeminiCLI-tui/0.61.0/gemini-3-pro', 'gemini-cli'],
    ['opencode/1.18.33 ai-sdk/provider-utils', 'opencode'],
    ['OpenAI/JS 7.57.0', 'openai-sdk'],
    ['Anthropic/JS 1.12.0', 'anthropic-sdk'],
    ['curl/8.5.0', 'curl'],
    ['my-service/1.0', 'my-service'],
    ['<script>alert(1)</script>', null],
  ];
  for (const [userAgent, agent] of table) {
    assert.equal(readLabels({ 'user-agent': userAgent }).agent, agent, userAgent);
  }
});

test("Postern's own label headers go before those of clients", () => {
  const labels = readLabels({
    'x-postern-agent': 'nightly-job',
    'x-postern-session': 'run-7',
    'x-claude-code-session-id': 'other',
    'user-agent': 'curl/8',
  });
  assert.deepEqual(labels, { agent: 'nightly-job', sessionId: 'run-7' });
});

test('labels are printable and short; others are dropped or cut', () => {
  assert.equal(readLabels({ 'session-id': 'a b' }).sessionId, null);
  assert.equal(readLabels({ 'session-id': 'x\u0007' }).sessionId, null);
  assert.equal(readLabels({ 'session-id': 'x'.repeat(500) }).sessionId?.length, 128);
  assert.deepEqual(readLabels({}), { agent: null, sessionId: null });
});
