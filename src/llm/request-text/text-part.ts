/** The texts of a request, as places in its bytes. */
import type { JsonSpan } from '../../wire/json-scan.ts';

/** Which way a text goes: said to the model, returned by a tool, or given to a tool in an earlier turn. */
export type TextDirection = 'request' | 'tool_results' | 'tool_arguments';

/** Whose text it is; `declaration` for descriptions and schemas of tools, `other` for what no role covers. */
export type TextRole = 'system' | 'developer' | 'user' | 'assistant' | 'tool' | 'declaration' | 'other';

/**
 * How the text is written at its place. `json`: a JSON string, quotes included. `number`: a JSON number
 * of the caller's own data, which can hold an account as well as a string can. `nested`: a string of
 * JSON inside a JSON string (arguments of OpenAI's calls). `raw`: bytes of a form field.
 */
export type TextEncoding = 'json' | 'number' | 'nested' | 'raw';

/** One text that goes to the provider. */
export interface TextPart extends JsonSpan {
  readonly direction: TextDirection;
  readonly role: TextRole;
  /** False where a signature covers it (thinking) or a change would break the request: look, never touch. */
  readonly editable: boolean;
  readonly encoding: TextEncoding;
  /** `nested`: the span of the inner string, quotes included, in characters of the decoded outer string. */
  readonly inner: JsonSpan | null;
  /** Decodes it anew at each call; invalid UTF-8 in a form field becomes U+FFFD. */
  text(): string;
}

/** All texts of a request, in the order of its bytes. */
export interface RequestTexts {
  readonly parts: readonly TextPart[];
  /** Levels of `{` and `[` of the body; 0 for a form. */
  readonly depth: number;
  /** Elements of the list of messages (`messages`, `input`, `contents`); 0 where the format has none. */
  readonly messages: number;
}

/** A new text for a part. */
export interface TextEdit {
  readonly part: TextPart;
  readonly text: string;
}
