/** Governs a whole answer of a format of blocks; bytes outside of what is edited stay. */
import { scanJsonArray } from '../../../wire/json-scan.ts';
import type { AnswerEdits, EditedAnswer, ToolVerdict } from '../editor.ts';
import { STOP_AT_END, STOP_FOR_CALLS, type BlockKind, type WholeBlocks } from './block-dialect.ts';
import { applyEdits, findSpan, type SpanEdit } from './edit-spans.ts';
import {
  asArray,
  get,
  namesGoverned,
  parseArguments,
  parseEventJson,
  type JsonRecord,
} from './event-json.ts';
import { filterArguments } from './filter-arguments.ts';
import type { DecidedCall } from './ordered-output.ts';
import { decideWhole, unreadable } from './whole-answer.ts';

const NOT_PLAIN = 'the answer is no JSON object that can be read in one way only';
const UNKNOWN = 'a part of the answer of unknown kind names a governed tool';

interface WholeCall {
  readonly index: number;
  readonly governed: boolean;
  readonly written: string;
  readonly call: DecidedCall;
}

/** Edits one whole answer. Never throws. */
export function editWholeBlocks(
  format: WholeBlocks,
  body: Buffer,
  edits: AnswerEdits,
): EditedAnswer | Promise<EditedAnswer> {
  const value = parseEventJson(body);
  if (value === null) return unreadable(body, NOT_PLAIN);
  const content = pathOf(value, format.contentPath);
  if (!format.isAnswer(value) || !Array.isArray(content)) {
    return isClear(value, edits) && !format.isAnswer(value)
      ? { body, refused: [], fault: null }
      : unreadable(body, UNKNOWN);
  }
  if (!isClear(withoutContent(value, format.contentPath), edits)) return unreadable(body, UNKNOWN);
  try {
    return editContent(format, body, asArray(content), edits);
  } catch {
    return unreadable(body, NOT_PLAIN);
  }
}

function editContent(
  format: WholeBlocks,
  body: Buffer,
  content: readonly unknown[],
  edits: AnswerEdits,
): EditedAnswer | Promise<EditedAnswer> {
  const span = findSpan(body, format.contentPath);
  const blockSpans = span === null ? [] : scanJsonArray(body, span.start);
  const calls: WholeCall[] = [];
  const changes: SpanEdit[] = [];
  for (const [index, block] of content.entries()) {
    const kind = format.classify(block);
    const blockSpan = blockSpans[index];
    if (kind === null || blockSpan === undefined) return unreadable(body, NOT_PLAIN);
    if (kind.kind === 'call') calls.push(wholeCall(index, kind, edits));
    else if (kind.kind === 'other' && !kind.isKnown && !isClear(block, edits))
      return unreadable(body, UNKNOWN);
    else if (kind.kind === 'text') changes.push(...filterText(format, body, index, kind.text, edits));
  }
  const asked = calls.filter(({ governed }) => governed);
  return decideWhole(
    body,
    asked.map(({ call }) => call),
    edits,
    (verdicts) => {
      const byIndex = new Map(asked.map(({ index }, i) => [index, verdicts[i]]));
      const edited = calls.flatMap((call) => editCall(format, body, call, byIndex.get(call.index)));
      const refused = verdicts.filter(({ action }) => action === 'deny').length;
      const reason = refused > 0 && refused === calls.length ? editReason(format, body) : [];
      const all = [...changes, ...edited, ...reason];
      return all.length === 0 ? body : applyEdits(body, all);
    },
  );
}

function wholeCall(
  index: number,
  kind: BlockKind & { readonly kind: 'call' },
  edits: AnswerEdits,
): WholeCall {
  const argumentsText = filterArguments(kind.input, edits);
  return {
    index,
    governed: edits.tools?.governs(kind.name) ?? false,
    written: kind.input,
    call: { id: kind.id, name: kind.name, argumentsText, arguments: parseArguments(argumentsText) },
  };
}

function editCall(
  format: WholeBlocks,
  body: Buffer,
  { index, written, call }: WholeCall,
  verdict: ToolVerdict | undefined,
): SpanEdit[] {
  const blockPath = [...format.contentPath, index];
  if (verdict?.action === 'deny') {
    const block = findSpan(body, blockPath);
    return block === null ? [] : [{ ...block, text: JSON.stringify(format.textBlock(verdict.text)) }];
  }
  const wanted = verdict?.action === 'rewrite' ? verdict.argumentsText : call.argumentsText;
  if (verdict?.action !== 'rewrite' && wanted === written) return [];
  const input = findSpan(body, [...blockPath, ...format.inputPath]);
  // Written anew, so that it is one JSON value whatever the rule gave.
  return input === null ? [] : [{ ...input, text: JSON.stringify(JSON.parse(wanted)) }];
}

function editReason(format: WholeBlocks, body: Buffer): SpanEdit[] {
  const span = findSpan(body, format.stopReasonPath);
  if (span === null || body.toString('utf8', span.start, span.end) !== JSON.stringify(STOP_FOR_CALLS))
    return [];
  return [{ ...span, text: JSON.stringify(STOP_AT_END) }];
}

function filterText(
  format: WholeBlocks,
  body: Buffer,
  index: number,
  text: string,
  edits: AnswerEdits,
): SpanEdit[] {
  const filter = edits.text?.('text') ?? null;
  const filtered = filter === null ? text : filter.push(text) + filter.finish();
  if (filtered === text) return [];
  const span = findSpan(body, [...format.contentPath, index, ...format.textPath]);
  return span === null ? [] : [{ ...span, text: JSON.stringify(filtered) }];
}

function pathOf(value: unknown, path: readonly string[]): unknown {
  return path.reduce((at, key) => get(at, key), value);
}

function withoutContent(value: JsonRecord, [first, ...rest]: readonly string[]): JsonRecord {
  if (first === undefined) return {};
  const inner = rest.length === 0 ? undefined : withoutContent({ ...asObject(value[first]) }, rest);
  return { ...value, [first]: inner };
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}

function isClear(value: unknown, edits: AnswerEdits): boolean {
  return edits.tools === null || !namesGoverned(value, edits.tools.governs);
}
