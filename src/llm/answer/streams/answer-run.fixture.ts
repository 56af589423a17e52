/** Runs editors in tests: gates with fixed verdicts, streams cut anywhere. */
import type { AnswerEditor, AnswerEdits, RefusedCall, TextKind, ToolCall, ToolVerdict } from '../editor.ts';

export type Rule = ToolVerdict | Promise<ToolVerdict> | (() => ToolVerdict | Promise<ToolVerdict>);

export interface TestGate {
  readonly edits: AnswerEdits;
  /** Calls that were asked about, in order. */
  readonly asked: ToolCall[];
}

export interface TestGateOptions {
  readonly heldMaxBytes?: number;
  readonly text?: AnswerEdits['text'];
}

/** A gate that governs the tools that have a rule. */
export function gateOf(rules: Readonly<Record<string, Rule>>, options: TestGateOptions = {}): TestGate {
  const asked: ToolCall[] = [];
  const edits: AnswerEdits = {
    text: options.text ?? null,
    tools: {
      governs: (name) => Object.hasOwn(rules, name),
      decide: (call) => {
        asked.push(call);
        const rule = rules[call.name] ?? { action: 'deny', text: 'no rule' };
        return typeof rule === 'function' ? rule() : rule;
      },
      heldMaxBytes: options.heldMaxBytes ?? 1 << 20,
      tooLargeText: 'too large to decide',
    },
  };
  return { edits, asked };
}

/** Only text is edited. */
export function textOnly(text: NonNullable<AnswerEdits['text']>): AnswerEdits {
  return { tools: null, text };
}

export const deny = (text: string): ToolVerdict => ({ action: 'deny', text });
export const allow: ToolVerdict = { action: 'allow' };
export const rewrite = (value: object): ToolVerdict => ({
  action: 'rewrite',
  argumentsText: JSON.stringify(value),
});
/** A verdict that falls some turns of the event loop later. */
export function later(verdict: ToolVerdict, turns = 1): () => Promise<ToolVerdict> {
  return async () => {
    for (let i = 0; i < turns; i += 1) await new Promise<void>((resolve) => setImmediate(resolve));
    return verdict;
  };
}

export interface EditedStream {
  readonly bytes: Buffer;
  readonly refused: readonly RefusedCall[];
  readonly fault: string | null;
}

/** Edits a stream as a relay does: pushes every chunk, then waits for decisions, then finishes. */
export async function runEditor(editor: AnswerEditor, chunks: readonly Uint8Array[]): Promise<EditedStream> {
  const out: Buffer[] = [];
  for (const chunk of chunks) out.push(Buffer.from(editor.push(chunk)));
  const none = Buffer.alloc(0);
  for (let held = editor.held; held !== null; held = editor.held) {
    await held;
    out.push(editor.push(none));
  }
  out.push(editor.finish());
  return { bytes: Buffer.concat(out), refused: editor.refused, fault: editor.fault };
}

/** The bytes in two pieces. */
export function cutAt(bytes: Buffer, at: number): Buffer[] {
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

export function singleBytes(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
}

/** The bytes in pieces of the given lengths, repeated. */
export function piecesOf(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const length = Math.max(1, lengths[i % lengths.length] ?? 1);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** Replaces a word by another, also where it is split, as a redaction's restoring does. */
export function replacing(word: string, by: string, kinds: readonly TextKind[] = ['text', 'tool_arguments']) {
  return (kind: TextKind) => {
    if (!kinds.includes(kind)) return null;
    let tail = '';
    return {
      push(text: string): string {
        const all = (tail + text).replaceAll(word, by);
        let keep = Math.min(word.length - 1, all.length);
        while (keep > 0 && !word.startsWith(all.slice(all.length - keep))) keep -= 1;
        tail = all.slice(all.length - keep);
        return all.slice(0, all.length - keep);
      },
      finish(): string {
        const rest = tail;
        tail = '';
        return rest;
      },
    };
  };
}
