/**
 * Names of tools and ids of calls, made to fit the target's rules and found again in its answers.
 * What fits stays; else characters are replaced and a short hash of the whole keeps names apart.
 */
import { functionNamed, type ToolName } from './conversation.ts';

/** What a format takes for a name: characters beyond these are replaced. */
export interface NameRule {
  /** Matches one character that is not allowed. */
  readonly refused: RegExp;
  readonly maxChars: number;
}

/** Names of tools: Anthropic 128, OpenAI 64 characters of `[A-Za-z0-9_-]`; Gemini takes 64 of those. */
export const ANTHROPIC_NAMES: NameRule = { refused: /[^\w-]/g, maxChars: 128 };
export const SHORT_NAMES: NameRule = { refused: /[^\w-]/g, maxChars: 64 };

/** Ids of calls: Anthropic demands `[A-Za-z0-9_-]+`, Chat Completions has refused more than 40 characters. */
export const ANTHROPIC_IDS: NameRule = { refused: /[^\w-]/g, maxChars: 128 };
export const CHAT_IDS: NameRule = { refused: /[^\x21-\x7e]/g, maxChars: 40 };
export const RESPONSES_IDS: NameRule = { refused: /[^\x21-\x7e]/g, maxChars: 64 };

/** The text itself where it fits the rule, else one that does; equal texts give equal ones. */
export function fitName(text: string, rule: NameRule): string {
  const plain = text.replace(rule.refused, '_');
  if (plain === text && text !== '' && text.length <= rule.maxChars) return text;
  const mark = `_${hash(text)}`;
  return plain.slice(0, rule.maxChars - mark.length) + mark;
}

/** FNV-1a, 32 bits, as hexadecimal: tells names apart and protects nothing. */
function hash(text: string): string {
  let value = 0x81_1c_9d_c5;
  for (let i = 0; i < text.length; i += 1) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01_00_01_93);
  }
  return (value >>> 0).toString(16).padStart(8, '0');
}

/** The tools of one request under the names that the target sees. */
export class ToolNames {
  readonly #rule: NameRule;
  readonly #byWire = new Map<string, ToolName>();
  readonly #wireByKey = new Map<string, string>();

  constructor(rule: NameRule) {
    this.#rule = rule;
  }

  /** The tool's name for the target; the same one at every call. */
  wire(tool: ToolName): string {
    const key = JSON.stringify([tool.kind, tool.namespace, tool.name]);
    const known = this.#wireByKey.get(key);
    if (known !== undefined) return known;
    const full = tool.namespace === null ? tool.name : `${tool.namespace}__${tool.name}`;
    let wire = fitName(full, this.#rule);
    for (let n = 2; this.#byWire.has(wire); n += 1) wire = fitName(`${full}_${n}`, this.#rule);
    this.#byWire.set(wire, tool);
    this.#wireByKey.set(key, wire);
    return wire;
  }

  /** The caller's tool behind a name in an answer; a name that nobody declared is a function of that name. */
  find(wire: string): ToolName {
    return this.#byWire.get(wire) ?? functionNamed(wire);
  }
}
