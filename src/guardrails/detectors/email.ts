/** Mail addresses (RFC 5321 section 4.1.2), as people write them: letters of ASCII, no quoted local parts. */
import { SCAN_STEP_CHARS, type Scan } from '../../llm/scan.ts';
import type { Detection } from '../detection.ts';

/** RFC 5321 section 4.5.3.1.1. */
const LOCAL_MAX = 64;
const DOMAIN = /(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])/y;
const LOCAL_SIGN = new Uint8Array(128);
for (const sign of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-')
  LOCAL_SIGN[sign.charCodeAt(0)] = 1;

/** Endings of files, as in `icon@2x.png`: none of them is a top-level domain. */
const FILE_ENDING = /\.(?:png|jpe?g|gif|svg|webp|ico|js|mjs|cjs|jsx|tsx?|css|json|html?|tgz|lock|snap)$/i;

/** Every mail address of a text. */
export function* scanEmails(text: string): Scan<readonly Detection[]> {
  const found: Detection[] = [];
  let done = 0;
  let pauseAt = SCAN_STEP_CHARS;
  for (let sign = text.indexOf('@'); sign >= 0; sign = text.indexOf('@', sign + 1)) {
    if (sign >= pauseAt) {
      yield;
      pauseAt = sign + SCAN_STEP_CHARS;
    }
    DOMAIN.lastIndex = sign + 1;
    const start = localStart(text, sign, done);
    if (start === sign || !DOMAIN.test(text)) continue;
    const end = DOMAIN.lastIndex;
    // `git@host:path` is an address of a repository.
    const isRepository = text.charAt(end) === ':' && text.slice(start, sign) === 'git';
    if (isRepository || FILE_ENDING.test(text.slice(sign, end))) continue;
    found.push({ start, end, kind: 'email', confidence: 'format' });
    done = end;
  }
  return found;
}

/** Where the local part begins; the place of the `@` if there is none. */
function localStart(text: string, sign: number, from: number): number {
  let start = sign;
  const limit = Math.max(from, sign - LOCAL_MAX);
  while (start > limit && isLocal(text.charCodeAt(start - 1))) start -= 1;
  // The letter of an escape in quoted text (`\nalice@…`) is no part of the address.
  if (start > 0 && text.charAt(start - 1) === '\\' && 'nrtbf'.includes(text.charAt(start))) start += 1;
  while (start < sign && '.-+%'.includes(text.charAt(start))) start += 1;
  return text.charAt(sign - 1) === '.' ? sign : start;
}

function isLocal(code: number): boolean {
  return code < 128 && LOCAL_SIGN[code] === 1;
}
