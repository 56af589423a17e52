import type { AnswerEdits } from '../editor.ts';
import { isKey, stringEnd } from './event-json.ts';

/**
 * Runs the filters of `edits` over the strings of a call's arguments, each as a text of its own;
 * keys and everything between strings stay as they are. Arguments that are no JSON are one text.
 * Gives the same text back if nothing changed.
 */
export function filterArguments(text: string, edits: AnswerEdits): string {
  if (edits.text === null) return text;
  if (!isJson(text)) return filterText(text, edits);
  let out = '';
  let done = 0;
  for (let at = text.indexOf('"'); at >= 0;) {
    const end = stringEnd(text, at);
    if (!isKey(text, end)) {
      const value = String(JSON.parse(text.slice(at, end)));
      const filtered = filterText(value, edits);
      if (filtered !== value) {
        out += text.slice(done, at) + JSON.stringify(filtered);
        done = end;
      }
    }
    at = text.indexOf('"', end);
  }
  return done === 0 ? text : out + text.slice(done);
}

/** Whether arguments are filtered at all. */
export function filtersArguments(edits: AnswerEdits): boolean {
  return edits.text !== null && edits.text('tool_arguments') !== null;
}

function filterText(text: string, edits: AnswerEdits): string {
  const filter = edits.text?.('tool_arguments') ?? null;
  return filter === null ? text : filter.push(text) + filter.finish();
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
