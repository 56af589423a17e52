/** A session as a file: JSON lines for programs, Markdown for people. */
import type { ReadAnswer, ReadBlock } from '../../llm/conversation/index.ts';
import { timeText } from '../schemas.ts';
import type { Turn } from './read-session.ts';

export interface ExportedTurn {
  readonly turn: Turn;
  readonly answer: ReadAnswer | null;
  /** Messages that are the parent's answer, come back. */
  readonly repeated: number;
}

/** One line for each turn: its record, and what was new in it, whole. */
export function toJsonLines(turns: readonly ExportedTurn[]): string {
  return turns
    .map(({ turn, answer }, i) => {
      const { row, request } = turn;
      const line = {
        number: i + 1,
        request_id: row.id,
        started_at: timeText(row.startedAt),
        agent: row.agent,
        provider: row.provider,
        model: row.model,
        outcome: row.outcome,
        reason: row.reason,
        cost_nano_usd: row.costNanoUsd,
        input_tokens: row.inputTokens,
        output_tokens: row.outputTokens,
        decisions: row.decisions.map(({ approvalId, ...rest }) => ({ ...rest, approval_id: approvalId })),
        content: turn.content,
        parent: turn.parent,
        shared_messages: turn.shared,
        system: turn.sameSystem ? null : request?.system.map(blockLine),
        messages: request?.messages
          .slice(turn.shared)
          .map(({ role, blocks }) => ({ role, blocks: blocks.map(blockLine) })),
        answer:
          answer === null
            ? null
            : {
                blocks: answer.blocks.map(blockLine),
                stop_reason: answer.stopReason,
                cut: answer.isCut,
                error: answer.error,
              },
      };
      return `${JSON.stringify(line)}\n`;
    })
    .join('');
}

function blockLine({ callId, isError, ...block }: ReadBlock): object {
  return { ...block, call_id: callId, is_error: isError };
}

/** Each turn under a heading; texts in fences that they cannot end. */
export function toMarkdown(title: string, turns: readonly ExportedTurn[]): string {
  const parts = [`# ${oneLine(title)}`];
  for (const [i, { turn, answer, repeated }] of turns.entries()) {
    const { row, request } = turn;
    parts.push(
      `## ${i + 1}. ${timeText(row.startedAt)} · ${oneLine(row.model ?? row.requestedModel ?? 'no model')} · ${row.outcome}`,
    );
    if (turn.content !== 'kept') parts.push(`_content: ${turn.content.replace('_', ' ')}_`);
    if (!turn.sameSystem) for (const block of request?.system ?? []) parts.push(section('system', block));
    for (const { role, blocks } of request?.messages.slice(turn.shared + repeated) ?? [])
      for (const block of blocks) parts.push(section(role, block));
    for (const block of answer?.blocks ?? []) parts.push(section('answer', block));
    if (answer?.error !== undefined && answer.error !== null)
      parts.push(`**error**\n\n${fenced(answer.error)}`);
  }
  return `${parts.join('\n\n')}\n`;
}

function section(who: string, { type, name, text, bytes }: ReadBlock): string {
  const what =
    type === 'text' ? '' : ` · ${type.replace('_', ' ')}${name === null ? '' : ` ${oneLine(name)}`}`;
  return `**${who}${what}**\n\n${text === '' ? `_${bytes} bytes_` : fenced(text)}`;
}

/** A fence that is longer than any run of its signs in the text (CommonMark section 4.5). */
function fenced(text: string): string {
  let longest = 2;
  for (const [run] of text.matchAll(/`+/g)) longest = Math.max(longest, run.length);
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}

/** A heading's text, without signs that Markdown reads. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ').replaceAll(/[\\`*_#<>[\]]/g, (sign) => `\\${sign}`);
}
