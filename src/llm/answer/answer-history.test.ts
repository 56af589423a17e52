/** Three turns on after refused calls: the histories that callers of Anthropic and Bedrock send need nothing restored. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  checkPairing,
  createPairingState,
  rememberAnswer,
  type PairingDialect,
} from '../../../test/upstream/pairing/index.ts';
import { CELLS, type Block, type Turn } from './answer-turns.fixture.ts';
import { editWholeAnswer } from './index.ts';
import { allow, deny, gateOf } from './streams/answer-run.fixture.ts';

const THINKING: Block = { thinking: 'I think', signature: 'sig' };
const BASH = (id: string): Block => ({ call: 'Bash', id, args: { command: 'ls' } });
const READ = (id: string): Block => ({ call: 'Read', id, args: {} });

const ANSWERS: readonly Turn[] = [
  { blocks: [THINKING, { text: 'I look.' }, BASH('b1'), READ('r1')], stop: 'tool_use' },
  { blocks: [THINKING, READ('r2'), BASH('b2')], stop: 'tool_use' },
  { blocks: [THINKING, BASH('b3'), BASH('b4')], stop: 'tool_use' },
  { blocks: [{ text: 'done' }], stop: 'end_turn' },
];

/** How a caller writes what it got, and its results. */
interface Client {
  readonly dialect: PairingDialect;
  readonly cell: string;
  contentOf(answer: Record<string, never>): Record<string, unknown>[];
  resultOf(block: Record<string, unknown>): object | null;
  readonly extra: object;
}

const CLIENTS: readonly Client[] = [
  {
    dialect: 'anthropic',
    cell: 'Anthropic, whole',
    contentOf: (answer) => answer['content'] ?? [],
    resultOf: ({ type, id }) =>
      type === 'tool_use' ? { type: 'tool_result', tool_use_id: id, content: 'ok' } : null,
    extra: { thinking: { type: 'enabled', budget_tokens: 1024 } },
  },
  {
    dialect: 'bedrock',
    cell: 'Bedrock Converse, whole',
    contentOf: (answer) => answer['output']?.['message']?.['content'] ?? [],
    resultOf: ({ toolUse }) =>
      typeof toolUse === 'object' && toolUse !== null && 'toolUseId' in toolUse
        ? { toolResult: { toolUseId: toolUse.toolUseId, content: [{ text: 'ok' }] } }
        : null,
    extra: { toolConfig: { tools: [] } },
  },
];

describe('histories with refused calls (issue: the next turns work)', () => {
  for (const client of CLIENTS) {
    test(`${client.dialect}: are accepted as the caller sends them`, async () => {
      const cell = CELLS.find(({ name }) => name === client.cell);
      assert.ok(cell);
      const state = createPairingState();
      const messages: object[] = [{ role: 'user', content: [{ type: 'text', text: 'go' }] }];
      for (const turn of ANSWERS) {
        const request = Buffer.from(JSON.stringify({ ...client.extra, messages }));
        assert.equal(checkPairing(client.dialect, request, state), null);
        const answer = cell.write(turn);
        rememberAnswer(client.dialect, request, answer, state);
        const { edits } = gateOf({ Bash: deny('refused by policy'), Read: allow });
        const edited = await editWholeAnswer(cell.format, answer, edits, cell.model);
        const content = client.contentOf(JSON.parse(edited.body.toString('utf8')));
        const results = content.map((block) => client.resultOf(block)).filter((result) => result !== null);
        messages.push({ role: 'assistant', content });
        messages.push({
          role: 'user',
          content: results.length > 0 ? results : [{ type: 'text', text: 'go on' }],
        });
      }
      const last = Buffer.from(JSON.stringify({ ...client.extra, messages }));
      assert.equal(checkPairing(client.dialect, last, state), null);
      assert.ok(!last.includes('"Bash"'));
    });
  }
});
