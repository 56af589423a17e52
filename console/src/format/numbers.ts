/** Amounts for people: short where they are read, exact where they are pointed at. Null is a dash. */

const DASH = '–';

/** Dollars of integer nano-dollars: `$1,204.50`, `$0.0042`; never `$0.00` for what cost something. */
export function money(nanoUsd: number | null | undefined): string {
  if (nanoUsd === null || nanoUsd === undefined) return DASH;
  const usd = nanoUsd / 1e9;
  const size = Math.abs(usd);
  if (size === 0) return '$0';
  const sign = usd < 0 ? '−' : '';
  if (size < 0.01) return `${sign}$${size.toFixed(Math.min(9, 1 - Math.floor(Math.log10(size))))}`;
  if (size >= 100_000) return `${sign}$${compact(size)}`;
  return `${sign}$${size.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** Every digit: `$0.004213000`. */
export function exactMoney(nanoUsd: number | null | undefined): string {
  if (nanoUsd === null || nanoUsd === undefined) return 'no known price';
  const whole = Math.trunc(Math.abs(nanoUsd) / 1e9);
  const rest = String(Math.abs(nanoUsd) % 1e9).padStart(9, '0');
  return `${nanoUsd < 0 ? '−' : ''}$${whole.toLocaleString('en-US')}.${rest}`;
}

/** Tokens, requests and other counts: `812`, `12,304`, `1.3M`. */
export function amount(value: number | null | undefined): string {
  if (value === null || value === undefined) return DASH;
  return Math.abs(value) >= 1_000_000 ? compact(value) : value.toLocaleString('en-US');
}

/** All digits, grouped. */
export function exactAmount(value: number | null | undefined): string {
  return value === null || value === undefined ? 'unknown' : value.toLocaleString('en-US');
}

/** A share of 0 to 1: `34 %`, `0.4 %`. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return DASH;
  const value = share * 100;
  return `${Math.abs(value) >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)} %`;
}

/** Binary sizes: `512 B`, `12.4 KiB`. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return DASH;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit] ?? ''}`;
}

/** An amount in the unit of a budget; `usd` in nano-dollars. */
export function inUnit(value: number, unit: string): string {
  return unit === 'usd' ? money(value) : amount(value);
}

/** `1 request`, `2 requests`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${amount(value)} ${value === 1 ? one : many}`;
}

function compact(value: number): string {
  return value.toLocaleString('en-US', { notation: 'compact', maximumFractionDigits: 1 });
}
