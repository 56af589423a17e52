/**
 * What an exchange used, in one shape for every format. Counts are integers >= 0.
 * `inputTokens` and `outputTokens` are totals; the rest are parts of them, as far as the provider
 * told. A field the provider did not report is absent, which is not the same as zero.
 */
export interface Usage {
  /** All input tokens: fresh, read from a cache and written to one. */
  readonly inputTokens?: number;
  /** Part of input: read from the provider's prompt cache. */
  readonly cacheReadTokens?: number;
  /** Part of input: written to the cache for 5 minutes (or for the provider's only term). */
  readonly cacheWriteTokens?: number;
  /** Part of input: written to the cache for 1 hour. */
  readonly cacheWrite1hTokens?: number;
  /** All output tokens, reasoning included. */
  readonly outputTokens?: number;
  /** Part of output: reasoning or thinking. */
  readonly reasoningTokens?: number;
  readonly inputAudioTokens?: number;
  readonly outputAudioTokens?: number;
  /** Length of audio input, rounded up, where the provider bills by time and not by tokens. */
  readonly inputAudioSeconds?: number;
  readonly inputImageTokens?: number;
  readonly outputImageTokens?: number;
  /** Server-side web searches, billed by count. */
  readonly webSearches?: number;
}
