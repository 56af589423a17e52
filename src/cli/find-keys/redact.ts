/** How a key is shown: enough to tell it from another, never enough to use it. */
import { findKeys } from '../../llm/key-formats.ts';

const SHOWN_FIRST = 6;
const SHOWN_LAST = 2;
/** Below this, eight characters would be too much of it. */
const SHORT_KEY = 24;
const SHORT_SHOWN_FIRST = 2;

/** `sk-ant…4f`: the first 6 and last 2 characters; of a key below 24 characters the first 2. */
export function redactKey(key: string): string {
  if (key.startsWith('-----BEGIN')) return '-----B…';
  return key.length < SHORT_KEY
    ? `${key.slice(0, SHORT_SHOWN_FIRST)}…`
    : `${key.slice(0, SHOWN_FIRST)}…${key.slice(-SHOWN_LAST)}`;
}

/** A text with every key in it redacted, for paths, names and other programs' messages. */
export function redactText(text: string): string {
  let out = '';
  let from = 0;
  for (const { start, end } of findKeys(text)) {
    out += text.slice(from, start) + redactKey(text.slice(start, end));
    from = end;
  }
  return out + text.slice(from);
}
