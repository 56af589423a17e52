/**
 * How many tokens an input can have at most. Providers count tokens by byte-level pairs, so a token
 * of text stands for at least one byte of it, and JSON writes each byte with one or more: the
 * body's length is never fewer than its text's tokens. What a provider adds is in the allowance;
 * what is not text is counted apart.
 */

export interface InputFacts {
  /** Length of the body as sent to the provider. */
  readonly bodyBytes: number;
  /** Images within the body. */
  readonly images: number;
  /** Tool declarations. */
  readonly tools: number;
}

/** For what providers put before a conversation: role markers, hidden system text of tool use (about 350 to 700 tokens). */
const ALLOWANCE_TOKENS = 1_024;
/** Instructions that a provider writes around each declaration, beyond its own bytes. */
const TOKENS_PER_TOOL = 64;
/**
 * A small file can be a large image. The largest count among providers for one image is some 5,000
 * tokens (high-resolution modes); its own bytes, counted too, are mostly more.
 */
const TOKENS_PER_IMAGE = 6_000;

/**
 * An upper bound of the input tokens of what is in the body. Documents (PDF), audio and video are
 * compressed beyond any such bound: the caller sets `unknownInput` for them, as for all that the
 * body only names.
 */
export function inputTokensCeiling({ bodyBytes, images, tools }: InputFacts): number {
  return bodyBytes + ALLOWANCE_TOKENS + tools * TOKENS_PER_TOOL + images * TOKENS_PER_IMAGE;
}
