import type { AnswerEdits, EditedAnswer, RefusedCall, ToolVerdict } from '../editor.ts';
import type { DecidedCall } from './ordered-output.ts';

/**
 * Asks the gate about all calls of a whole answer, side by side, and then edits. Without a promise
 * among the verdicts it is done at once.
 */
export function decideWhole(
  body: Buffer,
  calls: readonly DecidedCall[],
  edits: AnswerEdits,
  render: (verdicts: readonly ToolVerdict[]) => Buffer,
): EditedAnswer | Promise<EditedAnswer> {
  const verdicts = calls.map((call) => edits.tools?.decide(call) ?? ({ action: 'allow' } as const));
  const settle = (settled: readonly ToolVerdict[]): EditedAnswer => {
    const said = settled.map(withText);
    try {
      return { body: render(said), refused: refusedOf(calls, said), fault: null };
    } catch {
      return unreadable(body, 'the answer could not be edited');
    }
  };
  if (!verdicts.some((verdict) => verdict instanceof Promise)) return settle(verdicts.filter(isVerdict));
  const awaited = verdicts.map(async (verdict) => verdict);
  return Promise.all(awaited).then(settle, () => unreadable(body, 'a decision on a tool call failed'));
}

/** An answer that cannot be governed. Its body must not be sent. */
export function unreadable(body: Buffer, fault: string): EditedAnswer {
  return { body, refused: [], fault };
}

function isVerdict(verdict: ToolVerdict | Promise<ToolVerdict>): verdict is ToolVerdict {
  return !(verdict instanceof Promise);
}

/** Providers refuse empty text in a history. */
function withText(verdict: ToolVerdict): ToolVerdict {
  return verdict.action === 'deny' && verdict.text === ''
    ? { action: 'deny', text: 'refused by policy' }
    : verdict;
}

function refusedOf(calls: readonly DecidedCall[], verdicts: readonly ToolVerdict[]): RefusedCall[] {
  return calls.flatMap(({ id, name, original }, i): RefusedCall[] => {
    const verdict = verdicts[i];
    if (verdict?.action !== 'deny') return [];
    return [{ id, name, text: verdict.text, ...(original === undefined ? {} : { original }) }];
  });
}
