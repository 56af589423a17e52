/**
 * What an approval is bound to: the tailnet, the requester's principal, device and token, the
 * subject, and the canonical arguments (the scheme of RFC 8785). These and nothing else: labels
 * (agent, session), the model and the rule are not part of it.
 */
import { canonicalJson, keyedHash } from '../crypto/index.ts';
import type { JsonValue } from '../wire/hujson.ts';
import type { ApprovalRow } from '../store/approval-shapes.ts';
import type { ApprovalQuestion, ApprovalSubject } from './approval.ts';

/**
 * Numbers that a parser may round, so that two texts become one value: 16 digits and more,
 * exponents, and minus zero. Such arguments are bound as they were written.
 */
const INEXACT_NUMBER = /[0-9][0-9.]{15}|[0-9][eE]|-0(?![.0-9])/;

/** The text that stands for the arguments: canonical where they are exact JSON, else as written. */
export function canonicalArguments(text: string, value: JsonValue | undefined): string {
  const asWritten = `text:${text}`;
  if (value === undefined || hasInexactNumber(text)) return asWritten;
  try {
    return `json:${canonicalJson(value)}`;
  } catch {
    // Nested deeper than is canonicalised.
    return asWritten;
  }
}

/** Whether JSON text has such a number outside its strings. */
function hasInexactNumber(text: string): boolean {
  let from = 0;
  while (from < text.length) {
    const quote = text.indexOf('"', from);
    const end = quote === -1 ? text.length : quote;
    if (INEXACT_NUMBER.test(text.slice(from, end))) return true;
    from = quote === -1 ? end : endOfString(text, quote);
  }
  return false;
}

/** The place behind a string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1) {
    let slashes = 0;
    while (text[end - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return end + 1;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

/** Hex; the same for the same question only. `key` has 32 bytes. */
export function bindingOf(key: Uint8Array, question: ApprovalQuestion): string {
  const { tailnet, requester, subject } = question;
  const { subject: name, amount } = subjectColumns(subject);
  // Each part is hashed with its length, and absent is told from empty.
  const parts = [
    tailnet,
    requester.principal,
    orAbsent(requester.deviceId),
    orAbsent(requester.tokenId),
    subject.kind,
    name,
    amount === null ? '' : String(amount),
    canonicalArguments(question.argumentsText, question.arguments),
  ];
  return Buffer.from(keyedHash(key, ...parts.map((part) => Buffer.from(part, 'utf8')))).toString('hex');
}

/** The subject as a row has it. */
export function subjectColumns(subject: ApprovalSubject): Pick<ApprovalRow, 'subject' | 'amount' | 'unit'> {
  switch (subject.kind) {
    case 'tool':
      return { subject: subject.tool, amount: null, unit: null };
    case 'model':
      return { subject: subject.model, amount: null, unit: null };
    case 'budget':
      return { subject: subject.bucket, amount: subject.amount, unit: subject.unit };
    case 'request':
    default:
      return { subject: '', amount: null, unit: null };
  }
}

function orAbsent(text: string | null): string {
  return text === null ? '' : `=${text}`;
}
