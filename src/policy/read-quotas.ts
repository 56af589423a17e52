import { type Cursor, quoteShort } from './cursor.ts';
import type { HookEntry, QuotaEntry } from './document.ts';
import type { ParseOptions } from './parse-options.ts';
import { AUTHORIZATIONS } from './read-provider.ts';
import { readSecret } from './read-secret.ts';
import { readTargets } from './read-targets.ts';
import { type Parsed, parseAmount, parseDuration, parseRate } from './values.ts';
import { isWebAddress } from './web-address.ts';

const QUOTA_KEYS = [
  'capacity',
  'rate',
  'on_exceed',
  'reserve',
  'unit',
  'window',
  'timezone',
  'warn_at',
  'parent',
  'overdraft',
  'unknown_input',
  'notify',
];
const UNITS = ['usd', 'tokens', 'requests', 'concurrency'] as const;
const WINDOWS = ['hour', 'day', 'week', 'month'] as const;
/** Parts of a bucket's name that stand for the caller. */
const TEMPLATES = ['user', 'node', 'group', 'agent', 'session', 'token', 'model', 'provider'];

/**
 * Reads one member of `quotas`; null if it cannot be used. A value that is no amount is an error of
 * the document, as in Aperture: a limit that silently falls away is none.
 */
export function readQuota(name: string, cursor: Cursor): QuotaEntry | null {
  if (cursor.members() === null) return null;
  cursor.onlyKnown(QUOTA_KEYS, 'quota');
  for (const [, template] of name.matchAll(/<([^>]*)>/g)) {
    if (!TEMPLATES.includes(template ?? '')) {
      cursor.error(
        'bad_bucket',
        `quota ${quoteShort(name)} has the unknown template <${(template ?? '').slice(0, 40)}>`,
        `known templates are ${TEMPLATES.map((t) => `<${t}>`).join(', ')}`,
      );
    }
  }
  const onExceed = cursor.at('on_exceed');
  if (onExceed.exists && onExceed.value !== 'reject')
    onExceed.error('bad_quota', `${onExceed.name} must be "reject"`, 'write "reject"');
  const unit = cursor.at('unit').oneOf(UNITS) ?? 'usd';
  const capacity = readAmountOf(cursor.at('capacity'), (text) => parseAmount(text, unit));
  const rate = cursor.at('rate').exists
    ? readAmountOf(cursor.at('rate'), (text) => parseRate(text, unit))
    : null;
  if (!cursor.at('capacity').exists)
    cursor
      .at('capacity')
      .error('bad_quota', `quota ${quoteShort(name)} has no capacity`, 'add "capacity": "$10.00"');
  const entry: QuotaEntry = {
    name,
    unit,
    capacity: capacity ?? 0,
    rate,
    reserve: cursor.at('reserve').oneOf(['bounded', 'worst', 'none'] as const) ?? 'bounded',
    window: cursor.at('window').oneOf(WINDOWS),
    timezone: readTimeZone(cursor.at('timezone')),
    warnAt: readFractions(cursor.at('warn_at')),
    parent: cursor.at('parent').string(),
    overdraft: cursor.at('overdraft').strings(),
    unknownInput: readUnknownInput(cursor.at('unknown_input'), unit),
    notify: readTargets(cursor.at('notify')),
  };
  return cursor.broken ? null : entry;
}

/** `deny`, or what is assumed for input that no one can count beforehand. */
function readUnknownInput(cursor: Cursor, unit: QuotaEntry['unit']): number | null {
  if (!cursor.exists || cursor.value === 'deny') return null;
  return readAmountOf(cursor, (text) => parseAmount(text, unit));
}

function readAmountOf<Value>(cursor: Cursor, parse: (text: string) => Parsed<Value>): Value | null {
  if (!cursor.exists) return null;
  const text = typeof cursor.value === 'number' ? String(cursor.value) : cursor.value;
  const parsed = typeof text === 'string' ? parse(text) : { ok: false as const, fault: 'must be a string' };
  if (parsed.ok) return parsed.value;
  cursor.error(
    'bad_quota',
    `${cursor.name} ${parsed.fault}`,
    'write for example "capacity": "$10.00", "rate": "$5.00/day"',
  );
  return null;
}

function readTimeZone(cursor: Cursor): string | null {
  const zone = cursor.string();
  if (zone === null) return null;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    cursor.error(
      'bad_quota',
      `${cursor.name} is no time zone: ${quoteShort(zone)}`,
      'write an IANA name such as "Europe/Berlin"',
    );
    return null;
  }
}

function readFractions(cursor: Cursor): readonly number[] {
  const items = Array.isArray(cursor.value) || !cursor.exists ? cursor.items() : [cursor];
  const fractions: number[] = [];
  for (const item of items) {
    const value = item.number();
    if (value === null) continue;
    if (value > 0 && value <= 1) fractions.push(value);
    else item.fail('bad_value', `${item.name} must be above 0 and at most 1`, 'write 0.8 for 80 %');
  }
  return fractions;
}

const HOOK_KEYS = [
  'url',
  'apikey',
  'authorization',
  'timeout',
  'fail_policy',
  'preference',
  'disabled',
  'mode',
  'payload',
  'values',
  'sign_with',
  'max_concurrent',
  'max_response_bytes',
  'break_after',
];
/** Aperture's default. */
const HOOK_TIMEOUT_MS = 5000;
/** More than one process can usefully keep open to one program. */
const HOOK_CONCURRENT_MAX = 4_096;
const HOOK_CONCURRENT = 64;
/** 64 MiB: above every body that a provider takes. */
const HOOK_RESPONSE_BYTES_MAX = 64 * 1024 * 1024;
const HOOK_BREAK_AFTER = 5;
const HOOK_BREAK_AFTER_MAX = 1_000;

/** Reads one member of `hooks`; null if it cannot be used. */
export function readHook(id: string, cursor: Cursor, source: ParseOptions['source']): HookEntry | null {
  if (cursor.members() === null) return null;
  cursor.onlyKnown(HOOK_KEYS, 'hook');
  const url = cursor.at('url').string();
  if (url === null || url === '') {
    cursor
      .at('url')
      .fail('missing_field', `hook ${quoteShort(id)} has no url`, 'add the http or https address to call');
  } else if (!isWebAddress(url)) {
    cursor
      .at('url')
      .fail('bad_url', `${cursor.at('url').name} is no http or https address`, 'write "https://…"');
  }
  const timeoutText = cursor.at('timeout').string();
  const timeout = timeoutText === null ? null : parseDuration(timeoutText);
  if (timeout !== null && !timeout.ok)
    cursor.at('timeout').fail('bad_value', `${cursor.at('timeout').name} ${timeout.fault}`, 'write "5s"');
  const failPolicy = cursor.at('fail_policy').oneOf(['fail_open', 'fail_closed'] as const);
  const entry: HookEntry = {
    id,
    url: url ?? '',
    apiKey: readSecret(cursor.at('apikey'), source),
    authorization: cursor.at('authorization').oneOf(AUTHORIZATIONS) ?? 'bearer',
    timeoutMs: timeout?.ok === true ? timeout.value : HOOK_TIMEOUT_MS,
    failPolicy: failPolicy ?? 'fail_open',
    toolCallFailPolicy: failPolicy ?? 'fail_closed',
    preference: cursor.at('preference').number() ?? 0,
    disabled: cursor.at('disabled').boolean() ?? false,
    mode: cursor.at('mode').oneOf(['enforce', 'monitor'] as const) ?? 'enforce',
    payload: cursor.at('payload').oneOf(['full', 'delta'] as const) ?? 'full',
    values: cursor.at('values').oneOf(['redacted', 'original'] as const) ?? 'redacted',
    signWith: readSigningSecret(cursor.at('sign_with'), source),
    maxConcurrent: readCount(cursor.at('max_concurrent'), HOOK_CONCURRENT_MAX) ?? HOOK_CONCURRENT,
    maxResponseBytes: readCount(cursor.at('max_response_bytes'), HOOK_RESPONSE_BYTES_MAX),
    breakAfter: readCount(cursor.at('break_after'), HOOK_BREAK_AFTER_MAX) ?? HOOK_BREAK_AFTER,
  };
  return cursor.broken ? null : entry;
}

/** A secret has no place in a document: `derived`, the vault, or the operator's environment and files. */
function readSigningSecret(cursor: Cursor, source: ParseOptions['source']): HookEntry['signWith'] {
  if (!cursor.exists || cursor.value === 'derived') return 'derived';
  const isReference = typeof cursor.value === 'string' && /^(?:env|file|vault):/.test(cursor.value);
  const found = isReference ? readSecret(cursor, source) : null;
  if (!isReference)
    cursor.fail(
      'bad_value',
      `${cursor.name} must be "derived" or say where the secret is kept`,
      'write "derived", "vault:", "env:NAME" or "file:PATH"',
    );
  return found ?? 'derived';
}

function readCount(cursor: Cursor, most: number): number | null {
  const value = cursor.number();
  if (value === null || (Number.isSafeInteger(value) && value >= 1 && value <= most)) return value;
  cursor.fail('bad_value', `${cursor.name} must be a whole number from 1 to ${most}`, 'write 64');
  return null;
}
