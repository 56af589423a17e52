/** Single rules of putting refused calls and their results into a request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBodyProblem, readRequestBody } from '../../request-body.ts';
import { isSurfaceMiss, matchSurface } from '../../surfaces.ts';
import type { RefusedCall } from '../editor.ts';
import {
  createRefusalMemory,
  refusedTurn,
  REFUSED_ITEM_MAX_BYTES,
  repairHistory,
  type RefusalMemory,
} from './index.ts';

const FUNCTION = { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'f', arguments: '{}' };

function refusedOf(item: object, text = 'no'): RefusedCall {
  return { id: 'x', name: 'f', text, original: JSON.stringify(item) };
}

function memoryWith(...items: object[]): RefusalMemory {
  const memory = createRefusalMemory();
  const turn = refusedTurn({
    responseId: 'resp_1',
    conversationId: null,
    refused: items.map((item) => refusedOf(item)),
  });
  assert.ok(turn);
  memory.add('a', turn);
  return memory;
}

function repair(text: string, memory: RefusalMemory, owner = 'a'): string | null {
  const match = matchSurface('POST', '/v1/responses', false);
  assert.ok(!isSurfaceMiss(match));
  const body = Buffer.from(text);
  const facts = readRequestBody(body, match);
  assert.ok(!isBodyProblem(facts));
  return repairHistory(match.format, body, facts, memory.of(owner))?.body.toString() ?? null;
}

test('every byte but those of the input stays, white space and unknown members included', () => {
  const body =
    '{ "model" : "m",\n"previous_response_id":"resp_1", "input" : [ {"role":"user", "content":"é"} ] , "x":1.0 }';
  const output = '{"type":"function_call_output","call_id":"call_1","output":"no"}';
  assert.equal(repair(body, memoryWith(FUNCTION)), body.replace('[ {', `[${output}, {`));
});

test('an empty list and a missing input get the result alone', () => {
  const output = '"input":[{"type":"function_call_output","call_id":"call_1","output":"no"}]';
  const memory = memoryWith(FUNCTION);
  assert.equal(
    repair('{"model":"m","previous_response_id":"resp_1","input":[]}', memory),
    `{"model":"m","previous_response_id":"resp_1",${output}}`,
  );
  assert.equal(
    repair('{"model":"m","previous_response_id":"resp_1"}', memory),
    `{"model":"m","previous_response_id":"resp_1",${output}}`,
  );
});

test('a result that the caller gives by itself is not given twice', () => {
  const input = '[{"type":"function_call_output","call_id":"call_1","output":"mine"}]';
  assert.equal(
    repair(`{"model":"m","previous_response_id":"resp_1","input":${input}}`, memoryWith(FUNCTION)),
    null,
  );
});

test('another caller, another response, or no refusal: the body stays as it is', () => {
  const body = '{"model":"m","previous_response_id":"resp_1","input":"q"}';
  assert.equal(repair(body, memoryWith(FUNCTION), 'b'), null);
  assert.equal(repair(body.replace('resp_1', 'resp_2'), memoryWith(FUNCTION)), null);
  assert.equal(repair(body, createRefusalMemory()), null);
});

const RESULTS: readonly [string, object, object[]][] = [
  [
    'custom_tool_call',
    { type: 'custom_tool_call', call_id: 'c', input: 'x' },
    [{ type: 'custom_tool_call_output', call_id: 'c', output: 'no' }],
  ],
  [
    'local_shell_call',
    { type: 'local_shell_call', call_id: 'c', action: {} },
    [{ type: 'local_shell_call_output', call_id: 'c', output: 'no' }],
  ],
  [
    'shell_call',
    { type: 'shell_call', call_id: 'c', action: { commands: [], max_output_length: 9 } },
    [
      {
        type: 'shell_call_output',
        call_id: 'c',
        max_output_length: 9,
        output: [{ stdout: '', stderr: 'no', outcome: { type: 'exit', exit_code: 1 } }],
      },
    ],
  ],
  [
    'apply_patch_call',
    { type: 'apply_patch_call', call_id: 'c' },
    [{ type: 'apply_patch_call_output', call_id: 'c', status: 'failed', output: 'no' }],
  ],
  [
    'tool_search_call',
    { type: 'tool_search_call', call_id: 'c' },
    [{ type: 'tool_search_output', call_id: 'c', execution: 'client', status: 'completed', tools: [] }],
  ],
  [
    'mcp_approval_request',
    { type: 'mcp_approval_request', id: 'mcpr_1' },
    [{ type: 'mcp_approval_response', approval_request_id: 'mcpr_1', approve: false, reason: 'no' }],
  ],
];

for (const [name, item, results] of RESULTS) {
  test(`the result of a refused ${name} is of its own type`, () => {
    const body = repair('{"model":"m","previous_response_id":"resp_1","input":[]}', memoryWith(item));
    assert.deepEqual(JSON.parse(body ?? '{}').input, results);
  });
}

test('a computer call gets an empty screenshot, the text beside it, and its checks back', () => {
  const item = { type: 'computer_call', call_id: 'c', pending_safety_checks: [{ id: 's' }] };
  const body = repair('{"model":"m","previous_response_id":"resp_1","input":[]}', memoryWith(item));
  const [output, text] = JSON.parse(body ?? '{}').input;
  assert.match(output.output.image_url, /^data:image\/png;base64,/);
  assert.deepEqual(
    [output.acknowledged_safety_checks, text],
    [[{ id: 's' }], { role: 'developer', content: 'no' }],
  );
});

test('a message of ours whose call was forgotten loses its id, and the reasoning that needs the call', () => {
  const ours =
    '{"type":"message","id":"msg_pst_fc_9","role":"assistant","content":[{"type":"output_text","text":"no"}]}';
  const body = `{"model":"m","input":[{"role":"user","content":"q"}, {"type":"reasoning","id":"rs_1"}, ${ours}, {"role":"user","content":"r"}]}`;
  assert.deepEqual(JSON.parse(repair(body, createRefusalMemory()) ?? '{}').input, [
    { role: 'user', content: 'q' },
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'no' }] },
    { role: 'user', content: 'r' },
  ]);
});

test('a reference to a forgotten message of ours goes, at the end of the list as well', () => {
  const body =
    '{"model":"m","input":[{"role":"user","content":"q"},{"type":"item_reference","id":"rs_1"},{"type":"item_reference","id":"msg_pst_fc_9"}]}';
  assert.deepEqual(JSON.parse(repair(body, createRefusalMemory()) ?? '{}').input, [
    { role: 'user', content: 'q' },
  ]);
});

test('two calls refused with one text are put back in their order', () => {
  const second = { ...FUNCTION, id: 'fc_2', call_id: 'call_2' };
  const said = '{"role":"assistant","content":"no"}';
  const body = repair(`{"model":"m","input":[${said},${said},${said}]}`, memoryWith(FUNCTION, second));
  const ids = JSON.parse(body ?? '{}').input.map((item: { call_id?: string }) => item.call_id);
  assert.deepEqual(ids, ['call_1', 'call_1', 'call_2', 'call_2', undefined]);
});

test('a call too large to keep is kept without its arguments', () => {
  const large = { ...FUNCTION, arguments: 'x'.repeat(REFUSED_ITEM_MAX_BYTES) };
  const turn = refusedTurn({ responseId: null, conversationId: null, refused: [refusedOf(large)] });
  assert.deepEqual(JSON.parse(turn?.calls[0]?.item ?? ''), FUNCTION);
});

test('the memory drops the oldest turns of a caller, and the callers refused longest ago', () => {
  const memory = createRefusalMemory({ turnsPerOwnerMax: 2, ownersMax: 2 });
  const turnOf = (responseId: string): Parameters<RefusalMemory['add']>[1] => ({
    responseId,
    conversationId: null,
    calls: [{ markerId: responseId, text: 'no', item: '{}' }],
  });
  for (const [owner, id] of [
    ['a', '1'],
    ['a', '2'],
    ['a', '3'],
    ['b', '4'],
    ['c', '5'],
  ] as const)
    memory.add(owner, turnOf(id));
  assert.equal(memory.of('a').isEmpty, true);
  assert.notEqual(memory.of('b').byResponse('4'), null);
  memory.add('c', turnOf('6'));
  memory.add('c', turnOf('7'));
  assert.equal(memory.of('c').byResponse('5'), null);
  assert.notEqual(memory.of('c').byMarker('7'), null);
});
