/**
 * Tool calls in answers, cell by cell: format × streamed × verdict × single or parallel, cut at
 * every byte and at random, and read back by the official SDKs.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { CELLS, type Block, type Cell, type Turn } from './answer-turns.fixture.ts';
import { createAnswerEditor, editingMode, editWholeAnswer, type ToolVerdict } from './index.ts';
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

const BASH: Block = {
  call: 'Bash',
  id: 'call_1',
  args: { command: 'rm -rf "/tmp/ü"', n: 3 },
  signature: 'c2lnLTE=',
};
const WRITE: Block = { call: 'Write', id: 'call_2', args: { path: 'a\nb', deep: { list: [1, 'x'] } } };
const READ: Block = { call: 'Read', id: 'call_3', args: {} };
const SAID: Block = { text: 'Let me look. "Grüße" 😀' };

interface Scenario {
  readonly name: string;
  readonly calls: readonly Block[];
  readonly rules: Readonly<Record<string, Rule>>;
  /** What each governed tool's verdict comes to. */
  readonly outcome: Readonly<Record<string, ToolVerdict>>;
  /** Cut in two at each byte; the others at some, and all of them into single bytes. */
  readonly everyCut: boolean;
}

const EVERY_CUT: ReadonlySet<string> = new Set([
  'single, deny',
  'single, rewrite',
  'parallel, all allowed',
  'parallel, asked side by side, the last decided first',
]);

function scenario(
  name: string,
  calls: readonly Block[],
  outcome: Scenario['outcome'],
  rules?: Scenario['rules'],
): Scenario {
  return { name, calls, outcome, rules: rules ?? outcome, everyCut: EVERY_CUT.has(name) };
}

const NO = deny('Refused by policy: Bash is not for you. [ref pst-call-1]');
const NO_WRITE = deny('Refused: nothing may be written.');
const OTHER = rewrite({ command: 'ls' });

const SCENARIOS: readonly Scenario[] = [
  scenario('single, allow', [BASH], { Bash: allow }),
  scenario('single, deny', [BASH], { Bash: NO }),
  scenario('single, rewrite', [BASH], { Bash: OTHER }),
  scenario('single, asked and allowed', [BASH], { Bash: allow }, { Bash: later(allow) }),
  scenario('single, asked and denied', [BASH], { Bash: NO }, { Bash: later(NO) }),
  scenario('single, asked and rewritten', [BASH], { Bash: OTHER }, { Bash: later(OTHER) }),
  scenario('single, not governed', [BASH], {}),
  scenario('parallel, all allowed', [BASH, WRITE], { Bash: allow, Write: allow }),
  scenario('parallel, first denied', [BASH, WRITE, READ], { Bash: NO, Write: allow }),
  scenario('parallel, last denied', [BASH, READ, WRITE], { Bash: allow, Write: NO_WRITE }),
  scenario('parallel, all denied', [BASH, WRITE], { Bash: NO, Write: NO_WRITE }),
  scenario('parallel, rewritten and denied', [BASH, WRITE], { Bash: OTHER, Write: NO_WRITE }),
  scenario('parallel, denied before one that nobody governs', [BASH, READ], { Bash: NO }),
  scenario(
    'parallel, asked side by side, the last decided first',
    [BASH, WRITE, READ],
    { Bash: NO, Write: allow, Read: NO_WRITE },
    { Bash: later(NO, 3), Write: later(allow, 2), Read: later(NO_WRITE) },
  ),
];

function turnOf({ calls }: Scenario, cell: Cell): Turn {
  const thinking: Block = {
    thinking: 'Hmm, "which" tool?',
    signature: cell.format.includes('generate') ? 'none' : 'c2ln',
  };
  return { blocks: [thinking, SAID, ...calls].map((block) => asIn(cell, block)), stop: stopFor(cell, true) };
}

/** Only Gemini signs calls. */
function asIn(cell: Cell, block: Block): Block {
  if (!('call' in block) || isGemini(cell)) return block;
  return { call: block.call, id: block.id, args: block.args };
}

function isGemini(cell: Cell): boolean {
  return cell.format.endsWith('generate_content');
}

function stopFor(cell: Cell, hasCalls: boolean): string {
  if (isGemini(cell)) return 'STOP';
  return hasCalls ? 'tool_use' : 'end_turn';
}

/** What the caller must see. */
function expectedTurn(turn: Turn, { outcome }: Scenario, cell: Cell): Turn {
  let orphaned = false;
  const blocks = turn.blocks.map((block): Block => {
    if (!('call' in block)) return block;
    const verdict = outcome[block.call] ?? allow;
    if (verdict.action === 'deny') {
      orphaned ||= block.signature !== undefined;
      return { text: verdict.text };
    }
    const args: object = verdict.action === 'rewrite' ? JSON.parse(verdict.argumentsText) : block.args;
    if (!orphaned) return { ...block, args };
    orphaned = false;
    return { ...block, args, signature: 'skip_thought_signature_validator' };
  });
  const hasCalls = blocks.some((block) => 'call' in block);
  return { blocks: isGemini(cell) ? joined(blocks) : blocks, stop: stopFor(cell, hasCalls) };
}

/** As clients of Gemini join neighbouring texts. */
function joined(blocks: readonly Block[]): Block[] {
  const out: Block[] = [];
  for (const block of blocks) {
    const last = out.at(-1);
    if (last !== undefined && 'text' in last && 'text' in block)
      out[out.length - 1] = { text: last.text + block.text };
    else out.push(block);
  }
  return out;
}

async function edit(cell: Cell, gate: TestGate, chunks: readonly Buffer[]): Promise<EditedStream> {
  const kind = { contentType: cell.contentType, streamed: cell.streamed, bedrockModel: cell.model };
  if (editingMode(cell.format, kind) === 'whole') {
    const { body, refused, fault } = await editWholeAnswer(
      cell.format,
      Buffer.concat(chunks),
      gate.edits,
      cell.model,
    );
    return { bytes: body, refused, fault };
  }
  const editor = createAnswerEditor(cell.format, gate.edits, kind);
  assert.ok(editor, 'the format streams');
  return runEditor(editor, chunks);
}

for (const cell of CELLS) {
  describe(`${cell.name} (issue: tool calls in the stream)`, () => {
    for (const row of SCENARIOS) {
      test(row.name, async () => {
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
        for (let at = 1; at < bytes.length; at += row.everyCut ? 1 : 97) {
          const { bytes: got } = await edit(cell, gateOf(row.rules), cutAt(bytes, at));
          assert.ok(got.equals(whole.bytes), `cut at ${at}`);
        }
        const { bytes: slow } = await edit(cell, gateOf(row.rules), singleBytes(bytes));
        assert.ok(slow.equals(whole.bytes), 'byte by byte');
        const lengths = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 });
        await fc.assert(
          fc.asyncProperty(lengths, async (cuts) => {
            const { bytes: got } = await edit(cell, gateOf(row.rules), piecesOf(bytes, cuts));
            assert.ok(got.equals(whole.bytes));
          }),
          { numRuns: 10 },
        );
      });
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
  return calls.flatMap((block) => {
    const verdict = 'call' in block ? outcome[block.call] : undefined;
    return 'call' in block && verdict?.action === 'deny'
      ? [{ id: block.id, name: block.call, text: verdict.text }]
      : [];
  });
}

/** The gate sees the call as the model wrote it. */
function assertAsked({ asked }: TestGate, { calls, outcome }: Scenario): void {
  const governed = calls.filter((block) => 'call' in block && outcome[block.call] !== undefined);
  assert.deepEqual(
    asked.map(({ id, name, arguments: args, argumentsText }) => ({
      id,
      name,
      args,
      parsed: JSON.parse(argumentsText),
    })),
    governed.map((block) =>
      'call' in block ? { id: block.id, name: block.call, args: block.args, parsed: block.args } : null,
    ),
  );
}
