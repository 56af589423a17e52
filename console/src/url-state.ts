/**
 * State of a page in its address, so that a link, a reload and the back button restore it. Each
 * member has a codec; a member that is as by default is not in the address, and what a stranger's
 * link holds that no codec reads counts as the default.
 *
 *     const [filter, setFilter] = useUrlState({ model: textParam(), range: rangeParam('7d') });
 *     setFilter({ model: 'gpt-5', cursor: null });
 */
import { useCallback, useMemo } from 'react';
import { useSearchParams } from 'react-router';
import { RANGES, type Range } from './time-range.ts';

/** How one member is written; `read` answers undefined for text that means nothing. */
export interface Param<Value> {
  readonly fallback: Value;
  readonly read: (text: string) => Value | undefined;
  readonly write: (value: Value) => string;
}

interface AnyParam {
  readonly fallback: unknown;
  readonly read: (text: string) => unknown;
  readonly write: (value: never) => string;
}
type Shape = Readonly<Record<string, AnyParam>>;
type ValuesOf<Params> = { readonly [Name in keyof Params]: Params[Name] extends Param<infer V> ? V : never };

/** 2,000 characters: what no filter needs is no filter. */
const TEXT_MAX = 2_000;

/** Any text; null by default. */
export function textParam(): Param<string | null> {
  return {
    fallback: null,
    read: (text) => (text === '' || text.length > TEXT_MAX ? undefined : text),
    write: (value) => value ?? '',
  };
}

/** One of a closed list. */
export function choiceParam<const Value extends string>(
  values: readonly Value[],
  fallback: NoInfer<Value>,
): Param<Value> {
  return { fallback, read: (text) => values.find((value) => value === text), write: (value) => value };
}

/** One of a closed list, or null for any. */
export function optionalChoiceParam<const Value extends string>(
  values: readonly Value[],
): Param<Value | null> {
  return {
    fallback: null,
    read: (text) => values.find((value) => value === text),
    write: (value) => value ?? '',
  };
}

/** A whole number of at least 0. */
export function countParam(fallback: number): Param<number> {
  return { fallback, read: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined), write: String };
}

/** On or off. */
export function flagParam(fallback = false): Param<boolean> {
  return {
    fallback,
    read: (text) => (text === '1' ? true : text === '0' ? false : undefined),
    write: (value) => (value ? '1' : '0'),
  };
}

/** A span of time: a preset, or `FROM~TO` in RFC 3339. */
export function rangeParam(fallback: Range['preset'] & string): Param<Range> {
  return {
    fallback: { preset: fallback, from: null, to: null },
    read(text) {
      const preset = RANGES.find(({ id }) => id === text)?.id;
      if (preset !== undefined) return { preset, from: null, to: null };
      const [from = '', to = ''] = text.split('~');
      const isTime = (value: string): boolean => !Number.isNaN(Date.parse(value));
      if (!isTime(from) || (to !== '' && !isTime(to))) return undefined;
      return {
        preset: null,
        from: new Date(from).toISOString(),
        to: to === '' ? null : new Date(to).toISOString(),
      };
    },
    write: (range) => range.preset ?? `${range.from ?? ''}~${range.to ?? ''}`,
  };
}

/**
 * The state, and a function that changes some members. A change is a new entry of the browser's
 * history unless `replace` is set, as for what is typed letter by letter.
 */
export function useUrlState<const Params extends Shape>(
  params: Params,
): readonly [
  ValuesOf<Params>,
  (change: Partial<ValuesOf<Params>>, how?: { readonly replace?: boolean }) => void,
] {
  const [search, setSearch] = useSearchParams();
  const text = search.toString();
  // oxlint-disable-next-line react-hooks/exhaustive-deps -- the shape is written once beside the component
  const values = useMemo(() => valuesOf(params, new URLSearchParams(text)), [text]);
  const change = useCallback(
    (partial: Partial<ValuesOf<Params>>, how: { readonly replace?: boolean } = {}) => {
      setSearch((before) => written(params, before, partial), { replace: how.replace ?? false });
    },
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- as above
    [setSearch],
  );
  return [values, change];
}

function valuesOf<Params extends Shape>(params: Params, search: URLSearchParams): ValuesOf<Params> {
  const entries = Object.entries(params).map(([name, param]) => {
    const text = search.get(name);
    return [name, (text === null ? undefined : param.read(text)) ?? param.fallback];
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- made member by member from the same shape
  return Object.fromEntries(entries) as ValuesOf<Params>;
}

function written(params: Shape, before: URLSearchParams, change: object): URLSearchParams {
  const after = new URLSearchParams(before);
  for (const [name, value] of Object.entries(change)) {
    const param = params[name];
    if (param === undefined || value === undefined) continue;
    const text = writtenValue(param, value);
    if (text === '' || text === writtenValue(param, param.fallback)) after.delete(name);
    else after.set(name, text);
  }
  return after;
}

/** The types of the hook have checked that the value is this member's. */
function writtenValue({ write }: AnyParam, value: unknown): string {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as said
  return write(value as never);
}
