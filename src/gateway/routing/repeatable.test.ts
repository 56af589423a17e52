import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBodyProblem, isSurfaceMiss, matchSurface, readRequestBody } from '../../llm/index.ts';
import { isRepeatable } from './repeatable.ts';

function ask(path: string, body: unknown): boolean {
  const match = matchSurface('POST', path, path.includes('messages'), false);
  assert.ok(!isSurfaceMiss(match));
  const facts = readRequestBody(Buffer.from(JSON.stringify(body)), match, 'application/json');
  assert.ok(!isBodyProblem(facts));
  return isRepeatable({ match, method: 'POST', facts });
}

const GENERATIONS: readonly [string, object][] = [
  ['/v1/chat/completions', { model: 'm', messages: [] }],
  [
    '/v1/chat/completions',
    { model: 'm', messages: [], tools: [{ type: 'function', function: { name: 'f' } }] },
  ],
  ['/v1/responses', { model: 'm', input: 'x', store: false }],
  ['/v1/responses', { model: 'm', input: 'x', background: false, tools: [{ type: 'web_search' }] }],
  ['/v1/messages', { model: 'm', messages: [], tools: [{ name: 'shell', input_schema: {} }] }],
  ['/v1/messages', { model: 'm', messages: [], tools: [{ type: 'bash_20250124', name: 'bash' }] }],
  ['/v1/embeddings', { model: 'm', input: 'x' }],
  ['/v1beta/models/m:generateContent', { contents: [], tools: [{ functionDeclarations: [] }] }],
];
for (const [path, body] of GENERATIONS) {
  test(`a generation may be asked for again: ${path} ${JSON.stringify(body).slice(0, 80)}`, () => {
    assert.equal(ask(path, body), true);
  });
}

const WITH_EFFECTS: readonly [string, object][] = [
  ['/v1/responses', { model: 'm', input: 'x', background: true }],
  ['/v1/responses', { model: 'm', input: 'x', conversation: 'conv_1' }],
  ['/v1/responses', { model: 'm', input: 'x', tools: [{ type: 'mcp', server_url: 'https://x' }] }],
  ['/v1/responses', { model: 'm', input: 'x', tools: [{ type: 'code_interpreter' }] }],
  ['/v1/messages', { model: 'm', messages: [], mcp_servers: [{ url: 'https://x' }] }],
  ['/v1/messages', { model: 'm', messages: [], container: 'c' }],
  ['/v1/messages', { model: 'm', messages: [], tools: [{ type: 'code_execution_20250522', name: 'x' }] }],
  ['/v1beta/models/m:generateContent', { contents: [], tools: [{ codeExecution: {} }] }],
  ['/v1/batches', { input_file_id: 'f' }],
  ['/v1/conversations', {}],
  ['/v1/messages/batches', { requests: [] }],
];
for (const [path, body] of WITH_EFFECTS) {
  test(`what leaves something behind is not repeated: ${path} ${JSON.stringify(body).slice(0, 80)}`, () => {
    assert.equal(ask(path, body), false);
  });
}

test('reading is repeatable wherever it goes (RFC 9110 section 9.2.1)', () => {
  const match = { format: 'openai_files' as const, objectId: 'f', objectKind: 'file' as const };
  assert.equal(isRepeatable({ match, method: 'GET', facts: null }), true);
  assert.equal(isRepeatable({ match, method: 'DELETE', facts: null }), false);
});
