import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBodyProblem, readRequestBody, type SurfaceMatch } from '../../llm/index.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import type { LlmRoute } from '../steps/route.ts';
import { costOfRequest, type CostParts } from './request-cost.ts';

const PARTS = {
  clock: { now: () => 0 },
  prices: { modelFacts: () => null },
  priceCeiling: () => null,
} as unknown as CostParts;
const ROUTE = {
  provider: { builtIn: false, costBasis: null, kind: 'compatible', modelLimits: [], modelCostMap: [] },
  model: 'm',
  body: null,
  lines: null,
} as unknown as LlmRoute;

/** Whether the input of a chat with these members (JSON text) is one whose cost cannot be known. */
function isUnknown(members: string): boolean {
  const match = { format: 'openai_chat', dialect: 'openai', modelInBody: true, model: null, stream: null };
  const body = Buffer.from(`{"model":"m",${members}}`);
  const facts = readRequestBody(body, match as unknown as SurfaceMatch);
  assert.ok(!isBodyProblem(facts));
  const request = { match, body, facts, references: null, streamed: false, isBillable: true };
  return costOfRequest(PARTS, request as unknown as LlmRequest, ROUTE).estimate.unknownInput;
}

test('tools that the provider runs bring input of unknown size, however they are asked for (DESIGN section 7)', () => {
  for (const members of [
    '"web_search_options":{}',
    '"plugins":[{"id":"web"}]',
    '"search_parameters":{"mode":"on"}',
    '"tools":[{"type":"web_search"}]',
  ])
    assert.equal(isUnknown(members), true, members);
  assert.equal(isUnknown('"tools":[{"type":"function","function":{"name":"f"}}]'), false);
});

test('what the provider reads elsewhere is found behind escapes of its name (RFC 8259 section 7)', () => {
  for (const part of [
    String.raw`{"type":"file","file":{"file\u005fid":"f"}}`,
    String.raw`{"type":"\u0069nput_\u0061udio"}`,
    String.raw`{"ty\u0070e":"application\/pdf"}`,
    String.raw`{"\u0066ile_\u0069d":"f"}`,
    '{"document":{"format":"pdf"}}',
  ])
    assert.equal(isUnknown(`"messages":[${part}]`), true, part);
  assert.equal(isUnknown(String.raw`"messages":[{"role":"user","content":"caf\u00e9 \u0041 a\/b"}]`), false);
});

test('a dearer way of being served has no known price', () => {
  assert.equal(isUnknown('"service_tier":"priority"'), true);
  assert.equal(isUnknown('"speed":"fast"'), true);
  for (const usual of [
    '"service_tier":"auto"',
    '"service_tier":null',
    '"service_tier":"flex"',
    '"speed":1.5',
  ])
    assert.equal(isUnknown(usual), false, usual);
});

test('a batch whose lines nobody has seen makes an unknown number of requests (DESIGN section 7)', () => {
  const requests = (objectKind: string, body: string): number | null | undefined => {
    const match = { format: 'anthropic_batches', objectKind, objectId: null, action: '', modelInBody: false };
    const bytes = Buffer.from(body);
    const facts = readRequestBody(bytes, match as unknown as SurfaceMatch);
    assert.ok(!isBodyProblem(facts));
    const request = { match, method: 'POST', body: bytes, facts, references: null, isBillable: false };
    return costOfRequest(PARTS, request as unknown as LlmRequest, ROUTE).estimate.requests;
  };
  assert.equal(requests('message_batch', '{"requests":[{"params":{}}]}'), null);
  assert.equal(requests('batch', '{"input_file_id":"file-1"}'), null);
  assert.equal(requests('file', '{}'), 1);
});
