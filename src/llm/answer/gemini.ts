/**
 * Gemini's `generateContent` and `streamGenerateContent`, on the Gemini API and on Vertex AI.
 * Source: Gemini API reference, `GenerateContentResponse`; "Function calling"; "Thought signatures".
 */
import type { AnswerDialect } from './dialects.ts';
import type { AnswerEdits, EditedAnswer } from './editor.ts';
import { GeminiReader } from './gemini-reader.ts';
import { ArrayFraming } from './streams/array-framing.ts';
import { NO_BYTES, type Framing } from './streams/framing.ts';
import { OrderedOutput } from './streams/ordered-output.ts';
import { SseFraming } from './streams/sse-framing.ts';

export const gemini: AnswerDialect = {
  framings: { sse: () => new SseFraming(), array: () => new ArrayFraming() },
  createReader: (parts) => new GeminiReader(parts, { isWhole: false }),
  editWhole,
};

/** One response without any framing around it. */
const BARE: Framing = {
  keepAlive: NO_BYTES,
  push: () => undefined,
  finish: () => undefined,
  encode: (_, json) => Buffer.from(json, 'utf8'),
  replace: (_, data) => data,
};

/** A whole answer is a stream of one event. */
function editWhole(body: Buffer, edits: AnswerEdits): EditedAnswer | Promise<EditedAnswer> {
  const output = new OrderedOutput(withoutLimit(edits));
  const reader = new GeminiReader({ framing: BARE, edits, output }, { isWhole: true });
  try {
    reader.event({ raw: body, name: '', data: body });
  } catch {
    output.fault('the answer could not be edited');
  }
  if (output.hasOpenPlace) output.fault('the answer has a call without its end');
  const settled = (): EditedAnswer => ({
    body: output.faulted === null ? output.take() : body,
    refused: output.refused,
    fault: output.faulted,
  });
  const { awaited } = output;
  return awaited === null ? settled() : awaited.then(settled);
}

/** Whole answers are held as a whole: nothing of them has gone out. */
function withoutLimit(edits: AnswerEdits): AnswerEdits {
  const { tools } = edits;
  if (tools === null) return edits;
  return {
    ...edits,
    tools: {
      governs: (name) => tools.governs(name),
      decide: (call) => tools.decide(call),
      heldMaxBytes: Number.MAX_SAFE_INTEGER,
      tooLargeText: tools.tooLargeText,
    },
  };
}
