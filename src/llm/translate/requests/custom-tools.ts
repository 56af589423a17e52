/**
 * OpenAI's custom tools, whose input is free text, as functions with one string: targets know no
 * other. A grammar cannot be enforced there; it is told to the model in the description.
 */
import { get, type JsonRecord } from '../../formats/findings.ts';
import type { Tool } from '../conversation.ts';
import type { Losses } from '../losses.ts';
import { stringOrNull } from './values.ts';

const SCHEMA: JsonRecord = {
  type: 'object',
  properties: { input: { type: 'string', description: 'The whole input of the tool, as plain text.' } },
  required: ['input'],
  additionalProperties: false,
};
const GRAMMAR_MAX_CHARS = 32_768;

/** `grammar` is `{ definition, syntax }` where the tool has one. Null without a name. */
export function customTool(
  tool: JsonRecord,
  grammar: unknown,
  namespace: string | null,
  losses: Losses,
): Tool | null {
  const name = stringOrNull(tool['name']);
  if (name === null) return null;
  const definition = stringOrNull(get(grammar, 'definition'));
  const described = stringOrNull(tool['description']);
  if (definition !== null) losses.add('tools.format');
  const rules =
    definition === null
      ? null
      : `The input must follow this grammar (${String(get(grammar, 'syntax'))}):\n${definition.slice(0, GRAMMAR_MAX_CHARS)}`;
  const description = [described, rules].filter((text) => text !== null).join('\n\n');
  return {
    name: { kind: 'custom', namespace, name },
    description: description === '' ? null : description,
    schema: SCHEMA,
    strict: null,
    cache: null,
  };
}
