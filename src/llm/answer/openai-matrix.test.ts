/**
 * Tool calls in OpenAI's answers, cell by cell: format × streamed × verdict × single or parallel,
 * cut at every byte and at random, and read back by the official SDK.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { createAnswerEditor, editingMode, editWholeAnswer, type ToolVerdict } from './index.ts';
import {
  CELLS,
  RESPONSES_STREAMED,
  RESPONSES_WHOLE,
  type Block,
  type Cell,
  type Turn,
} from './openai-turns.fixture.ts';
import {
  allow,
  cutAt,
  deny,
  gateOf,
  later,
  piecesOf,
  rewrite,
  runEditor,
  singleBytes,
  type EditedStream,
  type Rule,
  type TestGate,
} from './streams/answer-run.fixture.ts';

type Call = Extract<Block, { call: string }>;

const BASH: Call = {
  call: 'Bash',
  id: 'call_1',
  args: '{"command":"rm -rf \\"/tmp/ü\\"","n":3}',
  kind: 'function',
};
const WRITE: Call = {
  call: 'Write',
  id: 'call_2',
  args: '{"path":"a\\nb","deep":{"list":[1,"x"]}}',
  kind: 'function',
};
const READ: Call = { call: 'Read', id: 'call_3', args: '{}', kind: 'function' };
const PATCH: Call = { call: 'patch', id: 'call_4', args: '*** Begin Patch\n"x"\n', kind: 'custom' };
const SAID: Block = { text: 'Let me look. "Grüße" 😀' };

interface Scenario {
  readonly name: string;
  readonly calls: readonly Call[];
  readonly rules: Readonly<Record<string, Rule>>;
  /** What each governed tool's verdict comes to. */
  readonly outcome: Readonly<Record<string, ToolVerdict>>;
}

function scenario(
  name: string,
  calls: readonly Call[],
  outcome: Scenario['outcome'],
  rules?: Scenario['rules'],
): Scenario {
  return { name, calls, outcome, rules: rules ?? outcome };
}

const NO = deny('Refused by policy: Bash is not for you.');
const NO_WRITE = deny('Refused: nothing "may" be written.');
const OTHER = rewrite({ command: 'ls' });

const SCENARIOS: readonly Scenario[] = [
  scenario('single, allow', [BASH], { Bash: allow }),
  scenario('single, deny', [BASH], { Bash: NO }),
  scenario('single, rewrite', [BASH], { Bash: OTHER }),
  scenario('single, asked and allowed', [BASH], { Bash: allow }, { Bash: later(allow) }),
  scenario('single, asked and denied', [BASH], { Bash: NO }, { Bash: later(NO) }),
  scenario('single, asked and rewritten', [BASH], { Bash: OTHER }, { Bash: later(OTHER) }),
  scenario('single, not governed', [BASH], {}),
  scenario('custom, allow', [PATCH], { patch: allow }),
  scenario('custom, deny', [PATCH], { patch: NO_WRITE }),
  scenario('custom, rewrite', [PATCH], { patch: OTHER }),
  scenario('parallel, all allowed', [BASH, WRITE], { Bash: allow, Write: allow }),
  scenario('parallel, first denied', [BASH, WRITE, READ], { Bash: NO, Write: allow }),
  scenario('parallel, last denied', [BASH, READ, WRITE], { Bash: allow, Write: NO_WRITE }),
  scenario('parallel, all denied', [BASH, WRITE], { Bash: NO, Write: NO_WRITE }),
  scenario('parallel, rewritten and denied', [BASH, PATCH, WRITE], { Bash: OTHER, Write: NO_WRITE }),
  scenario('parallel, denied before one that nobody governs', [BASH, READ], { Bash: NO }),
  scenario(
    'parallel, asked side by side, the last decided first',
    [BASH, WRITE, READ],
    { Bash: NO, Write: allow, Read: NO_WRITE },
    { Bash: later(NO, 3), Write: later(allow, 2), Read: later(NO_WRITE) },
  ),
];

/** Calls that only the Responses API has. */
const CLIENT_CALLS: readonly Call[] = [
  {
    call: 'local_shell',
    id: 'call_5',
    args: '{"type":"exec","command":["ls"],"env":{}}',
    kind: 'local_shell',
  },
  {
    call: 'shell',
    id: 'call_6',
    args: '{"commands":["ls","pwd"],"max_output_length":9,"timeout_ms":null}',
    kind: 'shell',
  },
  {
    call: 'apply_patch',
    id: 'call_7',
    args: '{"type":"update_file","path":"a","diff":"+x"}',
    kind: 'apply_patch',
  },
  { call: 'computer', id: 'call_8', args: '{"type":"click","x":1,"y":2,"button":"left"}', kind: 'computer' },
  { call: 'search', id: 'mcpr_9', args: '{"q":"x"}', kind: 'mcp_approval' },
];

function turnOf({ calls }: Scenario, cell: Cell): Turn {
  return { blocks: [SAID, ...calls], stop: isChat(cell) ? 'tool_calls' : '' };
}

function isChat(cell: Cell): boolean {
  return cell.format === 'openai_chat';
}

/** What the caller must see. In Chat Completions all text is one. */
function expectedTurn(turn: Turn, { outcome }: Scenario, cell: Cell): Turn {
  const blocks = turn.blocks.map((block): Block => {
    const verdict = 'call' in block ? (outcome[block.call] ?? allow) : allow;
    if (verdict.action === 'deny') return { text: verdict.text };
    return verdict.action === 'rewrite' ? { ...block, args: verdict.argumentsText } : block;
  });
  if (!isChat(cell)) return { blocks, stop: '' };
  const calls = blocks.filter((block) => 'call' in block);
  const text = blocks.flatMap((block) => ('text' in block ? [block.text] : [])).join('\n\n');
  return { blocks: [{ text }, ...calls], stop: calls.length === 0 ? 'stop' : 'tool_calls' };
}

async function edit(cell: Cell, gate: TestGate, chunks: readonly Buffer[]): Promise<EditedStream> {
  if (editingMode(cell.format, cell) === 'whole') {
    const { body, refused, fault } = await editWholeAnswer(cell.format, Buffer.concat(chunks), gate.edits);
    return { bytes: body, refused, fault };
  }
  const editor = createAnswerEditor(cell.format, gate.edits, cell);
  assert.ok(editor, 'the format streams');
  return runEditor(editor, chunks);
}

async function check(cell: Cell, row: Scenario): Promise<void> {
  const turn = turnOf(row, cell);
  const bytes = cell.write(turn);
  const gate = gateOf(row.rules);
  const whole = await edit(cell, gate, [bytes]);
  assert.equal(whole.fault, null);
  assert.deepEqual(await cell.read(whole.bytes), expectedTurn(turn, row, cell));
  if (Object.values(row.outcome).every(({ action }) => action === 'allow'))
    assert.ok(whole.bytes.equals(bytes));
  assertAsked(gate, row);
  assert.deepEqual(
    whole.refused.map(({ id, name, text }) => ({ id, name, text })).toSorted(byId),
    refusedOf(row).toSorted(byId),
  );
  if (!cell.streamed) return;
  // Byte by byte below is every cut at once; two pieces show that each chunk ends as it should.
  for (let at = 1; at < bytes.length; at += 11) {
    const { bytes: got } = await edit(cell, gateOf(row.rules), cutAt(bytes, at));
    assert.ok(got.equals(whole.bytes), `cut at ${at}`);
  }
  const { bytes: slow } = await edit(cell, gateOf(row.rules), singleBytes(bytes));
  assert.ok(slow.equals(whole.bytes), 'byte by byte');
  const lengths = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 });
  const property = fc.asyncProperty(lengths, async (cuts) => {
    const { bytes: got } = await edit(cell, gateOf(row.rules), piecesOf(bytes, cuts));
    assert.ok(got.equals(whole.bytes));
  });
  await fc.assert(property, { numRuns: 20 });
}

for (const cell of CELLS) {
  void suite(`${cell.name} (issue: tool calls in the stream)`, () => {
    for (const row of SCENARIOS) test(row.name, () => check(cell, row));
  });
}

for (const cell of [RESPONSES_STREAMED, RESPONSES_WHOLE]) {
  void suite(`${cell.name}: calls that the caller runs besides functions`, () => {
    for (const call of CLIENT_CALLS) {
      const other = rewrite({ ...JSON.parse(call.args), changed: true });
      for (const verdict of [allow, NO, other]) {
        const row = scenario(`${call.kind}, ${verdict.action}`, [call, READ], { [call.call]: verdict });
        test(row.name, () => check(cell, row));
      }
    }
  });
}

interface Identified {
  readonly id: string | null;
}

function byId(a: Identified, b: Identified): number {
  return (a.id ?? '').localeCompare(b.id ?? '');
}

function refusedOf({ calls, outcome }: Scenario): { id: string; name: string; text: string }[] {
  return calls.flatMap(({ call, id }) => {
    const verdict = outcome[call];
    return verdict?.action === 'deny' ? [{ id, name: call, text: verdict.text }] : [];
  });
}

/** The gate sees each call once, as the model wrote it. */
function assertAsked({ asked }: TestGate, { calls, outcome }: Scenario): void {
  const governed = calls.filter(({ call }) => outcome[call] !== undefined);
  assert.deepEqual(
    asked.map(({ id, name, argumentsText, arguments: args }) => ({ id, name, argumentsText, args })),
    governed.map(({ id, call, args, kind }) => ({
      id,
      name: call,
      argumentsText: args,
      args: kind === 'custom' ? undefined : JSON.parse(args),
    })),
  );
}
