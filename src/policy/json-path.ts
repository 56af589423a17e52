/**
 * Paths into a call's arguments: `$`, then `.name`, `["name"]`, `[0]` or `[*]`. A small part of
 * JSONPath (RFC 9535), without anything that searches: what a path costs is bounded by its steps and
 * the value's size.
 */
import type { JsonValue } from '../wire/hujson.ts';

/** A wildcard as a step; a member that is called `*` is written `["*"]` and cannot be meant otherwise. */
const ANY: unique symbol = Symbol('any');
export type JsonPathSteps = readonly (string | number | typeof ANY)[];

const STEPS_MAX = 16;
/** Values that one path may lead to; a longer list is cut, and the rule counts as holding where that is stricter. */
export const REACHED_MAX = 10_000;

const STEP = /^(?:\.([A-Za-z_][A-Za-z0-9_-]*)|\[(0|[1-9][0-9]{0,6})\]|\[(\*)\]|\["((?:[^"\\]|\\["\\])*)"\])/;

/** The steps, or in one line what is wrong. */
export function parseJsonPath(text: string): JsonPathSteps | string {
  if (!text.startsWith('$')) return 'does not begin with "$"';
  const steps: (string | number | typeof ANY)[] = [];
  let rest = text.slice(1);
  while (rest !== '') {
    const match = STEP.exec(rest);
    if (match === null) return `cannot be read from ${JSON.stringify(rest.slice(0, 40))} on`;
    const [whole, name, index, any, quoted] = match;
    if (name !== undefined) steps.push(name);
    else if (index !== undefined) steps.push(Number(index));
    else if (any !== undefined) steps.push(ANY);
    else steps.push((quoted ?? '').replace(/\\(["\\])/g, '$1'));
    if (steps.length > STEPS_MAX) return `has more than ${STEPS_MAX} steps`;
    rest = rest.slice(whole.length);
  }
  return steps;
}

/** Every value that the path leads to. */
export function reach(value: JsonValue, steps: JsonPathSteps): readonly JsonValue[] {
  let reached: JsonValue[] = [value];
  for (const step of steps) {
    const next: JsonValue[] = [];
    for (const one of reached) {
      if (step === ANY) next.push(...childrenOf(one).slice(0, REACHED_MAX));
      else {
        const child = childOf(one, step);
        if (child !== undefined) next.push(child);
      }
      if (next.length > REACHED_MAX) break;
    }
    if (next.length === 0) return next;
    reached = next;
  }
  return reached;
}

/** A copy with every value that the path leads to replaced; a missing last member is added. */
export function withValue(value: JsonValue, steps: JsonPathSteps, replacement: JsonValue): JsonValue {
  const [step, ...rest] = steps;
  if (step === undefined) return replacement;
  if (Array.isArray(value)) {
    return value.map((item, index) =>
      step === ANY || step === index ? withValue(item, rest, replacement) : item,
    );
  }
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(
    ([key, member]) =>
      [key, step === ANY || step === key ? withValue(member, rest, replacement) : member] as const,
  );
  if (typeof step === 'string' && rest.length === 0 && !Object.hasOwn(value, step)) {
    members.push([step, replacement]);
  }
  return Object.fromEntries(members);
}

function childrenOf(value: JsonValue): readonly JsonValue[] {
  if (Array.isArray(value)) return value;
  return typeof value === 'object' && value !== null ? Object.values(value) : [];
}

function childOf(value: JsonValue, step: string | number): JsonValue | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return typeof step === 'number' ? value[step] : undefined;
  return typeof step === 'string' && Object.hasOwn(value, step) ? value[step] : undefined;
}
