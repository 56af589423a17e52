/**
 * One line that tells what a call is about, for lists, events and messages that leave Postern. It is
 * short, and what looks like a secret is taken out: values under telling names, tokens of known
 * services, long strings of mixed characters, passwords in addresses. A heuristic, which may hide too
 * much and cannot find everything: the arguments themselves are shown to approvers only.
 */
import type { ApprovalQuestion } from './approval.ts';

const PREVIEW_MAX_CHARS = 200;
/** Read of the arguments; what is behind it is not shown anyway. */
const READ_MAX_CHARS = 2_000;
const HIDDEN = '[…]';

const RULES: readonly (readonly [pattern: RegExp, put: string])[] = [
  [/-----BEGIN[^-]{0,40}-----[\s\S]*/g, HIDDEN],
  [
    /((?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|authorization|cookie)\\?["']?\s*[:=]\s*\\?["']?)(?:(?:bearer|basic)\s+)?[^\s"',;&}\\]+/gi,
    `$1${HIDDEN}`,
  ],
  [/\b(?:bearer|basic)\s+[\w.~+/=-]{8,}/gi, HIDDEN],
  [/(\w{2,20}:\/\/)[^\s/@:]{1,100}:[^\s/@]{1,200}@/g, `$1${HIDDEN}@`],
  [
    /\b(?:sk|pk|rk|pst|ghp|gho|ghu|ghs|glpat|hf|npm|pypi|xox[a-z]|whsec|AKIA|ASIA|AIza|eyJ)[-_A-Za-z0-9.]{8,}/g,
    HIDDEN,
  ],
];
const LONG_WORD = /[A-Za-z0-9+_=-]{24,}/g;

/** At most 200 characters, printable, without line ends. `redact` runs before the built-in rules. */
export function previewOf(question: ApprovalQuestion, redact: (text: string) => string): string {
  const { subject, argumentsText, context } = question;
  if (subject.kind === 'model' || subject.kind === 'budget')
    return shorten(hide(context.excerpt ?? '', redact));
  return shorten(hide(argumentsText, redact));
}

/** Text without what looks like a secret. */
export function hide(text: string, redact: (text: string) => string): string {
  let shown = redact(text.slice(0, READ_MAX_CHARS));
  for (const [pattern, put] of RULES) shown = shown.replace(pattern, put);
  return shown.replace(LONG_WORD, (word) => (/[0-9]/.test(word) && /[A-Za-z]/.test(word) ? HIDDEN : word));
}

function shorten(text: string): string {
  const line = text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return line.length <= PREVIEW_MAX_CHARS ? line : `${line.slice(0, PREVIEW_MAX_CHARS - 1).trimEnd()}…`;
}
