/**
 * Ways of speaking that try to turn a model against its instructions. Heuristics: they show that
 * somebody tries, not that nobody does, and a text about such attempts has them as well. Every
 * quantifier is bounded.
 */
import { SCAN_STEP_CHARS, type Scan } from '../../llm/scan.ts';
import type { Detection } from '../detection.ts';

const OBJECT =
  '(?:instruction|prompt|rule|guideline|direction|command|constraint|polic(?:y|ies)|message|safeguard)';
const PATTERNS: readonly (readonly [kind: string, pattern: RegExp])[] = [
  [
    'instruction_override',
    new RegExp(
      String.raw`\b(?:ignore|disregard|forget|override|bypass|do not follow|stop following)[ \t]{1,3}(?:(?:all|any|every|each|of|the|your|these|those|my|our|previous|prior|above|earlier|preceding|former|existing|initial|original|system|safety|developer|other)[ \t]{1,3}){1,6}${OBJECT}`,
      'gi',
    ),
  ],
  [
    'prompt_extraction',
    /\b(?:reveal|print|show|repeat|output|leak|display|recite|dump)\b[^.\n]{0,40}\b(?:system prompt|hidden (?:prompt|instructions)|initial (?:prompt|instructions)|developer (?:message|prompt)|instructions above)/gi,
  ],
  [
    'role_change',
    /\b(?:you are now (?:in |a |an )?(?:developer mode|dan\b|jailbroken|unrestricted|unfiltered)|do anything now|(?:enable|enter|activate) (?:developer|jailbreak|god|debug) mode|pretend (?:that )?you (?:have no|are not bound by) (?:rules|restrictions|limits))/gi,
  ],
  [
    'concealment',
    /\b(?:(?:do not|don't|never) (?:tell|inform|alert|notify|mention (?:this |it )?to|let) the user\b|without (?:telling|informing|notifying|asking|alerting) the user\b)/gi,
  ],
  [
    'forged_markup',
    /<\|(?:im_start|im_end|system|start_header_id|eot_id|endoftext|begin_of_text)\|>|<<SYS>>|\[\/?INST\]|(?:^|\n)#{1,3} ?(?:system|new) (?:prompt|instructions?)\b/gi,
  ],
  [
    'exfiltration',
    /\b(?:send|post|upload|forward|exfiltrate|transmit)\b[^.\n]{0,60}\b(?:secret|credential|password|token|api[ _-]?key|env(?:ironment)? variable|\.env|conversation|history)[^\n]{0,60}\bhttps?:\/\//gi,
  ],
  [
    'hidden_text',
    /[\u{e0020}-\u{e007e}]{4,64}|[\u200b-\u200d\u2060\u2062-\u2064]{8,64}|[\u202a-\u202e\u2066-\u2069]{3,64}/gu,
  ],
];

/** What every pattern needs somewhere: most texts have none. */
const MAY_HAVE =
  /ignor|disreg|forget|overrid|bypass|not follow|stop follow|prompt|instructions|you are now|anything now|mode|pretend|the user|<\||<<SYS|INST\]|https?:\/\/|[\u200b-\u2069]|\udb40/i;
/** A text full of them is no worse than one with a hundred. */
const FOUND_MAX = 100;

/** Longer than any match of a pattern, with what it looks at around it. */
const REACH = 512;

/** Every way of speaking of that kind, in no order. */
export function* scanInjections(text: string): Scan<readonly Detection[]> {
  const found: Detection[] = [];
  if (!(yield* scanMayHave(text))) return found;
  for (const [kind, pattern] of PATTERNS) {
    for (let at = 0; at < text.length && found.length < FOUND_MAX;) {
      const stretch = stretchAt(text, at);
      const match = firstIn(text, pattern, stretch);
      if (match === null) {
        at = stretch.ownEnd;
        yield;
      } else {
        found.push({ ...match, kind, confidence: 'heuristic' });
        at = match.end;
      }
    }
  }
  return found;
}

function* scanMayHave(text: string): Scan<boolean> {
  for (let at = 0; at < text.length; yield) {
    const { ownEnd, end } = stretchAt(text, at);
    if (MAY_HAVE.test(text.slice(at, end))) return true;
    at = ownEnd;
  }
  return false;
}

/** A part of a text in which matches are looked for that begin before `ownEnd`. */
interface Stretch {
  readonly start: number;
  readonly ownEnd: number;
  readonly end: number;
}

function stretchAt(text: string, start: number): Stretch {
  const ownEnd = start + SCAN_STEP_CHARS;
  if (ownEnd + REACH >= text.length) return { start, ownEnd: text.length, end: text.length };
  return { start, ownEnd: isPairAt(text, ownEnd) ? ownEnd + 1 : ownEnd, end: ownEnd + REACH };
}

/** Whether a place lies within a character of two units. */
function isPairAt(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc_00) === 0xdc_00 && (text.charCodeAt(at - 1) & 0xfc_00) === 0xd8_00;
}

/** As the pattern would find it in the whole text: the unit before the stretch is looked back at. */
function firstIn(
  text: string,
  pattern: RegExp,
  { start, ownEnd, end }: Stretch,
): { readonly start: number; readonly end: number } | null {
  const from = Math.max(0, start - 1);
  pattern.lastIndex = start - from;
  const match = pattern.exec(text.slice(from, end));
  if (match === null || from + match.index >= ownEnd) return null;
  return { start: from + match.index, end: from + match.index + match[0].length };
}
