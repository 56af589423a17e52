/** Small value grammars of the document: addresses, header lines, durations, money. Pure, and total: a fault is a value. */
import type { BaseUrl } from './document.ts';

export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly fault: string };

export function fault(text: string): { readonly ok: false; readonly fault: string } {
  return { ok: false, fault: text };
}

const VERSION_SUFFIX = /\/v1(?:beta)?$/;
/** Azure's version of its API: a date, `preview`, `latest` or `v1`. */
const API_VERSION = /^api-version=[A-Za-z0-9.-]{1,40}$/;

/** A provider's base address. `strayVersion` says that a `/v1` at its end was dropped. */
export function parseBaseUrl(
  text: string,
): Parsed<{ readonly baseUrl: BaseUrl; readonly strayVersion: boolean }> {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    return fault('is no http or https address');
  if (url.username !== '' || url.password !== '') return fault('carries a user name or password');
  if (url.hash !== '') return fault('carries a fragment');
  const query = url.search.slice(1);
  if (query !== '' && !API_VERSION.test(query))
    return fault('carries a query; only "?api-version=…" may stand in it');
  const path = url.pathname.replace(/\/+$/, '');
  const pathPrefix = path.replace(VERSION_SUFFIX, '');
  return {
    ok: true,
    value: {
      baseUrl: {
        origin: url.origin,
        pathPrefix,
        href: url.origin + pathPrefix,
        ...(query === '' ? {} : { query }),
      },
      strayVersion: pathPrefix !== path,
    },
  };
}

const HEADER_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e]*?)[ \t]*$/;
/** Framing and routing, which are not a document's to set. */
const FRAMING = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'te',
  'trailer',
  'expect',
  'proxy-connection',
  'accept-encoding',
  'content-encoding',
  'content-type',
]);
/** Credentials, which belong into the vault. */
const CREDENTIALS = new Set([
  'authorization',
  'proxy-authorization',
  'x-api-key',
  'x-goog-api-key',
  'api-key',
  'cookie',
  'set-cookie',
]);

/** A `Name: value` entry of `add_headers`; the name comes out in lower case. */
export function parseHeaderLine(line: string): Parsed<readonly [name: string, value: string]> {
  const match = line.length <= 4096 ? HEADER_LINE.exec(line) : null;
  if (match === null) return fault('is not of the form "Name: value"');
  const name = (match[1] ?? '').toLowerCase();
  if (FRAMING.has(name)) return fault(`sets "${name}", which belongs to the connection`);
  if (CREDENTIALS.has(name)) return fault(`sets "${name}", which is a credential`);
  if (name.startsWith('x-postern-')) return fault(`sets "${name}", a name that is Postern's own`);
  return { ok: true, value: [name, match[2] ?? ''] };
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A Go duration (`5s`, `1m30s`, `720h`), with `d` for days; in milliseconds. "0" needs no unit. */
export function parseDuration(text: string): Parsed<number> {
  if (text === '0') return { ok: true, value: 0 };
  if (text.length > 32 || !/^(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+$/.test(text)) {
    return fault('is no duration such as "5s", "720h" or "30d"');
  }
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(ms|s|m|h|d)/g))
    total += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  return Number.isSafeInteger(Math.round(total))
    ? { ok: true, value: Math.round(total) }
    : fault('is too long');
}

/** Periods of a quota's rate; a month counts 30 days. */
const PERIOD_MS: Readonly<Record<string, number>> = {
  min: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
  month: 2_592_000_000,
};

/** `$10.00` in nano-dollars for `usd`; a whole count else. */
export function parseAmount(text: string, unit: string): Parsed<number> {
  if (unit !== 'usd') {
    return /^[0-9]{1,15}$/.test(text)
      ? { ok: true, value: Number(text) }
      : fault(`is no whole number of ${unit}`);
  }
  const match = /^\$([0-9]{1,7})(?:\.([0-9]{1,9}))?$/.exec(text);
  if (match === null) return fault('is no amount such as "$10.00" (at most $9,000,000)');
  const nano = Number(match[1]) * 1e9 + Number((match[2] ?? '').padEnd(9, '0'));
  return nano <= 9e15 ? { ok: true, value: nano } : fault('is more than $9,000,000');
}

/**
 * An amount as people read it: `$5.00` (two decimals, or as many as it takes: a token of a small model costs less
 * than a cent), `1,000 tokens`. Without a unit the number alone.
 */
export function amountText(amount: number, unit: string | null): string {
  if (unit !== 'usd') return countText(amount, unit);
  const [whole, nano] = [Math.floor(Math.abs(amount) / 1e9), Math.abs(amount) % 1e9];
  const decimals = String(nano)
    .padStart(9, '0')
    .replace(/0{1,7}$/, '');
  const [sign, digits] = [amount < 0 ? '-' : '', grouped(whole, false)];
  return `${sign}$${digits}.${decimals}`;
}

/** One of it, where a unit is a count of things. */
const SINGULAR: Readonly<Record<string, string>> = {
  tokens: 'token',
  requests: 'request',
  concurrency: 'concurrent request',
};

function countText(amount: number, unit: string | null): string {
  const count = grouped(Math.abs(amount), amount < 0);
  const word = SINGULAR[unit ?? ''];
  if (word === undefined) return unit === null ? count : `${count} ${unit}`;
  return Math.abs(amount) === 1 ? `${count} ${word}` : `${count} ${word}s`;
}

function grouped(count: number, isNegative: boolean): string {
  return `${isNegative ? '-' : ''}${String(count).replace(/\B(?=(?:[0-9]{3})+$)/g, ',')}`;
}

/** `$5.00/day`. */
export function parseRate(
  text: string,
  unit: string,
): Parsed<{ readonly amount: number; readonly periodMs: number }> {
  const [amountPart = '', period = '', ...rest] = text.split('/');
  const periodMs = Object.hasOwn(PERIOD_MS, period) ? PERIOD_MS[period] : undefined;
  if (rest.length > 0 || periodMs === undefined) {
    return fault(`is no rate such as "$5.00/day" (periods: ${Object.keys(PERIOD_MS).join(', ')})`);
  }
  const amount = parseAmount(amountPart, unit);
  return amount.ok ? { ok: true, value: { amount: amount.value, periodMs } } : amount;
}
