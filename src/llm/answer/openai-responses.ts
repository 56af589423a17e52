/**
 * OpenAI Responses: how answers are edited, streamed and whole. Also for what the provider keeps of
 * them (a stored response, its replay, the items of a conversation): there the gate gives the
 * decisions of the first time.
 */
import type { AnswerDialect } from './dialects.ts';
import type { AnswerEdits, EditedAnswer, ToolVerdict } from './editor.ts';
import { ResponsesDecisions, settledItem, type GovernedItem } from './openai-responses-decisions.ts';
import { ResponsesReader } from './openai-responses-stream.ts';
import { ResponsesText } from './openai-responses-text.ts';
import { applyEdits, findSpan, type SpanEdit } from './streams/edit-spans.ts';
import { asArray, asRecord, parseEventJson, type JsonRecord } from './streams/event-json.ts';
import { SseFraming } from './streams/sse-framing.ts';
import { decideWhole, unreadable } from './streams/whole-answer.ts';

export const openaiResponsesAnswers: AnswerDialect = {
  framings: { sse: () => new SseFraming() },
  createReader: (parts) => new ResponsesReader(parts),
  editWhole: editResponse,
};

type Path = readonly (string | number)[];

function editResponse(body: Buffer, edits: AnswerEdits): EditedAnswer | Promise<EditedAnswer> {
  const answer = parseEventJson(body);
  if (answer === null) return unreadable(body, 'the answer is no plain JSON object');
  try {
    return editItems(body, itemsOf(answer), edits);
  } catch {
    return unreadable(body, 'an output item of the answer cannot be read');
  }
}

/** The items of a response, of a page of items, or the one item that the answer is. */
function itemsOf(answer: JsonRecord): [Path, JsonRecord][] {
  const list = (key: 'output' | 'data'): [Path, JsonRecord][] =>
    asArray(answer[key]).flatMap((value, at): [Path, JsonRecord][] => {
      const item = asRecord(value);
      return item === null || item['type'] === undefined ? [] : [[[key, at], item]];
    });
  const own: [Path, JsonRecord][] = answer['type'] === undefined ? [] : [[[], answer]];
  return [...own, ...list('output'), ...list('data')];
}

interface GovernedPlace {
  readonly path: Path;
  readonly governed: GovernedItem;
}

function editItems(
  body: Buffer,
  items: readonly [Path, JsonRecord][],
  edits: AnswerEdits,
): EditedAnswer | Promise<EditedAnswer> {
  const decisions = new ResponsesDecisions(edits);
  const text = new ResponsesText(edits);
  const filtersText = text.isOn;
  const places: GovernedPlace[] = [];
  const changes: SpanEdit[] = [];
  for (const [path, item] of items) {
    const governed = decisions.read(item);
    if (governed !== null) places.push({ path, governed });
    else if (filtersText) changes.push(...replaced(body, path, changedText(text, item)));
  }
  const questions = places.map(({ governed }) => decisions.question(governed));
  const render = (verdicts: readonly ToolVerdict[]): Buffer => {
    let next = 0;
    for (const [at, { path, governed }] of places.entries()) {
      const question = questions[at];
      if (question === undefined) continue;
      const outcome = question.settle(verdicts.slice(next, next + question.calls.length));
      next += question.calls.length;
      changes.push(...replaced(body, path, settledItem(governed.item, outcome)));
    }
    return changes.length === 0 ? body : applyEdits(body, changes);
  };
  return decideWhole(
    body,
    questions.flatMap(({ calls }) => calls),
    edits,
    render,
  );
}

function changedText(text: ResponsesText, item: JsonRecord): JsonRecord | null {
  const filtered = asRecord(text.item(item));
  return filtered === item ? null : filtered;
}

function replaced(body: Buffer, path: Path, item: JsonRecord | null): SpanEdit[] {
  const span = item === null ? null : findSpan(body, path);
  return span === null ? [] : [{ ...span, text: JSON.stringify(item) }];
}
