/**
 * A small value that fits a JSON schema, for requests that want JSON. It follows `type`, `enum`,
 * `const`, `properties`, `items`, `anyOf` and `required`; other rules are not looked at.
 */
import { asArray, asCount, asRecord, type JsonRecord } from '../formats/findings.ts';

const DEPTH_MAX = 12;
const MEMBERS_MAX = 128;

/** Strings are `label`, so that the value shows where it comes from. */
export function sampleJson(schema: JsonRecord, label: string): unknown {
  return Object.keys(schema).length === 0 ? { text: label } : sample(schema, label, { left: MEMBERS_MAX }, 0);
}

/** `budget` bounds the whole value, not only its depth. */
function sample(schema: unknown, label: string, budget: { left: number }, depth: number): unknown {
  const rules = asRecord(schema);
  budget.left -= 1;
  if (rules === null || depth > DEPTH_MAX || budget.left <= 0) return null;
  if (rules['const'] !== undefined) return rules['const'];
  const choices = asArray(rules['enum']);
  if (choices.length > 0) return choices[0];
  const alternatives = asArray(rules['anyOf'] ?? rules['oneOf']);
  if (alternatives.length > 0) return sample(alternatives[0], label, budget, depth + 1);
  const type: unknown = Array.isArray(rules['type']) ? (rules['type'] as unknown[])[0] : rules['type'];
  switch (typeof type === 'string' ? type.toLowerCase() : 'object') {
    case 'string':
      return label;
    case 'number':
    case 'integer':
      return asCount(rules['minimum']) ?? 0;
    case 'boolean':
      return false;
    case 'null':
      return null;
    case 'array':
      return asCount(rules['minItems']) === undefined || rules['minItems'] === 0
        ? []
        : [sample(rules['items'], label, budget, depth + 1)];
    default: {
      const members = Object.entries(asRecord(rules['properties']) ?? {});
      return Object.fromEntries(
        members.map(([key, inner]) => [key, sample(inner, label, budget, depth + 1)]),
      );
    }
  }
}
