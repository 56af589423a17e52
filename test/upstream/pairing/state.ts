/** What a provider remembers between two requests, as far as its pairing rules look at it. */
import { isObject, type JsonObject } from '../json.ts';

/** A history that the provider would answer with 400, and its message in the provider's words. */
export interface Violation {
  readonly message: string;
}

/** An item of a Responses answer, and the reasoning that it came with. */
export interface IssuedItem {
  readonly item: JsonObject;
  /** The id of the reasoning item before it in the same answer, which it needs if it comes back with its own; null where there was none. */
  readonly reasoning: string | null;
}

/** The memory of one account at one provider. Filled by `rememberAnswer`. */
export interface PairingState {
  /** Responses: the whole history behind a stored response, its output included. */
  readonly responses: Map<string, readonly JsonObject[]>;
  /** Responses: the items of a conversation. */
  readonly conversations: Map<string, readonly JsonObject[]>;
  /** Responses: items of answers by `id`, whether stored or not. */
  readonly issued: Map<string, IssuedItem>;
  /** Responses: ids that a reference can name. */
  readonly stored: Set<string>;
  /** Responses: by the key of a reasoning item, the key of the item that followed it. */
  readonly followers: Map<string, string>;
  /** Anthropic and Bedrock: the thinking text under each signature. */
  readonly thinking: Map<string, string>;
  /** Gemini: what part each thought signature was issued with: `call:<name>` or `text`. */
  readonly thoughtSignatures: Map<string, string>;
  /** Gemini: whether the model checks signatures of function calls (Gemini 3 and later). Default true. */
  readonly needsThoughtSignatures: boolean;
}

export function createPairingState(
  options: { readonly needsThoughtSignatures?: boolean } = {},
): PairingState {
  return {
    responses: new Map(),
    conversations: new Map(),
    issued: new Map(),
    stored: new Set(),
    followers: new Map(),
    thinking: new Map(),
    thoughtSignatures: new Map(),
    needsThoughtSignatures: options.needsThoughtSignatures ?? true,
  };
}

export function violation(message: string): Violation {
  return { message };
}

/** The elements of a member that are objects; none where it is no array. */
export function objects(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
