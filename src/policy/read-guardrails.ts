/** `guardrails` and `approvals`: elements whose absence would open something, so a fault in one is an error. */
import type { Cursor } from './cursor.ts';
import type { ApprovalEntry, Direction, GuardrailEntry } from './governance.ts';
import { readTargets } from './read-targets.ts';
import { readMessage, readPattern, readSources } from './read-tools.ts';
import { parseDuration } from './values.ts';

const GUARDRAIL_KEYS = [
  'src',
  'models',
  'on',
  'detect',
  'patterns',
  'action',
  'message',
  'limits',
  'comment',
];
const DIRECTIONS: readonly Direction[] = ['request', 'answer', 'tool_arguments', 'tool_results'];
/** Built-in detectors (`guardrails/`). */
export const DETECTORS = ['secrets', 'email', 'phone', 'card', 'iban', 'national_id', 'injection'] as const;
const LIMIT_KEYS = ['max_body_bytes', 'max_depth', 'max_tools', 'max_messages', 'max_output_tokens'];
const PATTERNS_MAX = 100;

/** One member of `guardrails`. */
export function readGuardrail(name: string, at: Cursor): GuardrailEntry | null {
  if (at.members() === null) return unreadable(at);
  at.onlyKnown(GUARDRAIL_KEYS, 'guardrail');
  const detect = at
    .at('detect')
    .items()
    .map((item) => item.oneOf(DETECTORS))
    .filter((one) => one !== null);
  const patterns = readPatterns(at.at('patterns'));
  const limits = readLimits(at.at('limits'));
  const hasLimits = Object.values(limits).some((limit) => limit !== null);
  const on = at.at('on').exists
    ? at
        .at('on')
        .items()
        .map((item) => item.oneOf(DIRECTIONS))
        .filter((one) => one !== null)
    : DIRECTIONS;
  const action = at.at('action').oneOf(['allow', 'flag', 'block', 'redact'] as const);
  if (action === null && detect.length + patterns.length > 0 && !at.broken)
    at.fail('missing_field', `${at.name} has no action`, 'add "action": "flag", "block" or "redact"');
  if (detect.length + patterns.length === 0 && !hasLimits && !at.broken)
    at.fail('missing_field', `${at.name} looks for nothing`, 'add "detect", "patterns" or "limits"');
  if (action === 'redact' && detect.includes('injection'))
    at.fail(
      'bad_value',
      `${at.name}: "injection" finds ways of speaking, which cannot be redacted`,
      'use "flag" or "block"',
    );
  const entry: GuardrailEntry = {
    name,
    path: at.name,
    src: at.at('src').exists ? readSources(at.at('src')) : [],
    models: at.at('models').exists ? at.at('models').strings() : null,
    on,
    detect,
    patterns,
    action: action ?? 'block',
    message: readMessage(at.at('message')),
    limits,
  };
  return at.broken ? unreadable(at) : entry;
}

function readPatterns(cursor: Cursor): GuardrailEntry['patterns'] {
  const items = cursor.items();
  if (items.length > PATTERNS_MAX)
    cursor.fail('bad_value', `${cursor.name} has more than ${PATTERNS_MAX} patterns`, 'join some with "|"');
  return items.flatMap((item) => {
    item.onlyKnown(['name', 'pattern'], 'pattern');
    const name = item.at('name').string();
    const pattern = readPattern(item.at('pattern'));
    if (name === null || !/^[a-z][a-z0-9_]{0,39}$/.test(name))
      item.fail(
        'bad_value',
        `${item.name} needs a name of small letters, digits and "_"`,
        'add "name": "ticket"',
      );
    if (!item.at('pattern').exists)
      item.fail('missing_field', `${item.name} has no pattern`, 'add "pattern": "ACME-[0-9]+"');
    return name === null || pattern === null ? [] : [{ name, pattern }];
  });
}

function readLimits(cursor: Cursor): GuardrailEntry['limits'] {
  cursor.onlyKnown(LIMIT_KEYS, 'list of limits');
  const limit = (key: string): number | null => {
    const value = cursor.at(key).number();
    if (value !== null && (!Number.isSafeInteger(value) || value < 0))
      cursor
        .at(key)
        .fail('bad_value', `${cursor.at(key).name} must be a whole number, not negative`, 'write 100');
    return value;
  };
  return {
    maxBodyBytes: limit('max_body_bytes'),
    maxDepth: limit('max_depth'),
    maxTools: limit('max_tools'),
    maxMessages: limit('max_messages'),
    maxOutputTokens: limit('max_output_tokens'),
  };
}

function unreadable(at: Cursor): null {
  at.error(
    'bad_guardrail',
    `${at.name} cannot be read, and leaving it out would open what it closes`,
    'mend it, or remove it with every reference to it',
  );
  return null;
}

const APPROVAL_KEYS = [
  'approvers',
  'quorum',
  'self_approve',
  'hold',
  'hold_for',
  'pending_for',
  'scopes',
  'max_duration',
  'allow_edit',
  'notify',
  'comment',
];
const SCOPES = ['once', 'session', 'time'] as const;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** A caller's client and every proxy between give up sooner or later. */
const HOLD_MAX_MS = HOUR_MS;
const QUORUM_MAX = 10;

/** The entry that `ask` means where the document has none of that name. */
export const DEFAULT_APPROVAL: ApprovalEntry = {
  name: 'default',
  approvers: [],
  quorum: 1,
  selfApprove: false,
  hold: true,
  holdMs: 5 * MINUTE_MS,
  pendingMs: 24 * HOUR_MS,
  scopes: ['once', 'session', 'time'],
  maxDurationMs: 8 * HOUR_MS,
  allowEdit: true,
  notify: [],
};

/** One member of `approvals`. */
export function readApproval(name: string, at: Cursor): ApprovalEntry | null {
  if (at.members() === null) return unreadable(at);
  at.onlyKnown(APPROVAL_KEYS, 'approval');
  const { holdMs, pendingMs, maxDurationMs, scopes } = DEFAULT_APPROVAL;
  const quorum = at.at('quorum').number() ?? 1;
  if (!Number.isInteger(quorum) || quorum < 1 || quorum > QUORUM_MAX)
    at.fail('bad_value', `${at.at('quorum').name} must be a whole number from 1 to ${QUORUM_MAX}`, 'write 2');
  const entry: ApprovalEntry = {
    name,
    approvers: at.at('approvers').exists ? readSources(at.at('approvers')) : [],
    quorum,
    selfApprove: at.at('self_approve').boolean() ?? false,
    hold: at.at('hold').boolean() ?? true,
    holdMs: readDuration(at.at('hold_for'), holdMs, HOLD_MAX_MS),
    pendingMs: readDuration(at.at('pending_for'), pendingMs, 30 * 24 * HOUR_MS),
    scopes: at.at('scopes').exists
      ? at
          .at('scopes')
          .items()
          .map((item) => item.oneOf(SCOPES))
          .filter((one) => one !== null)
      : scopes,
    maxDurationMs: readDuration(at.at('max_duration'), maxDurationMs, 30 * 24 * HOUR_MS),
    allowEdit: at.at('allow_edit').boolean() ?? true,
    notify: readTargets(at.at('notify')),
  };
  return at.broken ? unreadable(at) : entry;
}

/** A duration from one second to `mostMs`. */
export function readDuration(at: Cursor, byDefault: number, mostMs: number): number {
  const text = at.string();
  if (text === null) return byDefault;
  const parsed = parseDuration(text);
  if (!parsed.ok) at.fail('bad_value', `${at.name} ${parsed.fault}`, 'write "5m"');
  else if (parsed.value < 1000 || parsed.value > mostMs)
    at.fail('bad_value', `${at.name} must be from 1s to ${mostMs / 1000}s`, 'write "5m"');
  else return parsed.value;
  return byDefault;
}
