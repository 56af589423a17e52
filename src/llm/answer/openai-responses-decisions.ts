/** What was decided on the calls of one Responses answer, which names each of them more than once. */
import type { AnswerEdits, ToolCall, ToolVerdict } from './editor.ts';
import { isKnownItem, readCallItem, refusalItem, rewrittenItem } from './openai-responses-calls.ts';
import { asText, namesGoverned, parseArguments, type JsonRecord } from './streams/event-json.ts';
import { filterArguments, filtersArguments } from './streams/filter-arguments.ts';
import type { DecidedCall } from './streams/ordered-output.ts';

/** What becomes of a call; null while it is not decided. */
export type Outcome =
  | { readonly action: 'keep' }
  | { readonly action: 'refuse'; readonly text: string }
  | { readonly action: 'change'; readonly argumentsText: string }
  | null;

/** A call under rules, and what became of it. */
export interface GovernedItem {
  readonly item: JsonRecord;
  readonly call: ToolCall;
  /** The gate is asked; else only a text filter looks at its arguments. */
  readonly isAsked: boolean;
  outcome: Outcome;
}

/** How the calls of one answer are told apart and read. */
export class ResponsesDecisions {
  readonly #edits: AnswerEdits;
  readonly #filters: boolean;
  readonly #known = new Map<string, GovernedItem>();

  constructor(edits: AnswerEdits) {
    this.#edits = edits;
    this.#filters = filtersArguments(edits);
  }

  /** The call of an item that is under a rule; null for others. Throws for an item that nobody can read. */
  read(item: JsonRecord): GovernedItem | null {
    const call = readCallItem(item);
    if (call === 'unreadable') throw new Error('an item that may be a call cannot be read');
    const governs = (name: string): boolean => this.#edits.tools?.governs(name) === true;
    if (call === null) {
      if (!isKnownItem(item) && namesGoverned(item, governs))
        throw new Error('an item of an unknown kind names a tool under a rule');
      return null;
    }
    const isAsked = governs(call.name);
    return isAsked || this.#filters ? { item, call, isAsked, outcome: null } : null;
  }

  /** Keeps what an item said when it was decided. */
  remember(governed: GovernedItem): void {
    this.#known.set(keyOf(governed.item), governed);
  }

  /** The earlier reading of the same call, if it asked for the same; a refused one is refused whatever it says now. */
  earlier({ item, call }: GovernedItem): GovernedItem | null {
    const known = this.#known.get(keyOf(item));
    if (known === undefined || known.call.name !== call.name) return null;
    const isSame = known.call.argumentsText === call.argumentsText || known.outcome?.action === 'refuse';
    return isSame ? known : null;
  }

  /** What the gate is asked, and how its verdicts become an outcome. */
  question(governed: GovernedItem): {
    readonly calls: readonly DecidedCall[];
    readonly settle: (verdicts: readonly ToolVerdict[]) => Outcome;
  } {
    const { call, item } = governed;
    const text = this.#filters ? filterArguments(call.argumentsText, this.#edits) : call.argumentsText;
    const isChanged = text !== call.argumentsText;
    const isJson = item['type'] !== 'custom_tool_call';
    const asked = isChanged
      ? { ...call, argumentsText: text, arguments: isJson ? parseArguments(text) : undefined }
      : call;
    const kept: Outcome = isChanged ? { action: 'change', argumentsText: text } : { action: 'keep' };
    return {
      calls: governed.isAsked ? [{ ...asked, original: JSON.stringify(item) }] : [],
      settle: ([verdict]) => {
        if (verdict?.action === 'deny') return { action: 'refuse', text: verdict.text };
        if (verdict?.action === 'rewrite') return { action: 'change', argumentsText: verdict.argumentsText };
        return kept;
      },
    };
  }
}

/** The item as it may go on, with the outcome of its call; null if it goes on as it is. Throws on arguments that do not fit. */
export function settledItem(item: JsonRecord, outcome: Outcome): JsonRecord | null {
  if (outcome === null) throw new Error('a call goes on before it was decided');
  if (outcome.action === 'refuse') return refusalItem(item, outcome.text);
  return outcome.action === 'change' ? rewrittenItem(item, outcome.argumentsText) : null;
}

/** Whether two readings are of one call: what both tell is the same. */
export function isSameCall(a: JsonRecord, b: JsonRecord): boolean {
  return (
    a['type'] === b['type'] &&
    ['id', 'call_id', 'name', 'namespace'].every(
      (key) => a[key] === undefined || b[key] === undefined || a[key] === b[key],
    )
  );
}

function keyOf(item: JsonRecord): string {
  return JSON.stringify([item['type'], asText(item['call_id']) ?? asText(item['id'])]);
}
