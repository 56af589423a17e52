import type { Meter, MeterResult } from '../meter.ts';

/**
 * For answers that hold no usage (sound, pictures, files, lists). They have no end of their own:
 * whether all bytes came is known from the HTTP framing alone, so `complete` is true.
 */
export class OpaqueMeter implements Meter {
  push(): void {
    // Nothing in these bytes is of interest.
  }

  finish(): MeterResult {
    return {
      usage: null,
      complete: true,
      error: null,
      outputChars: 0,
      model: null,
      responseId: null,
      stopReason: null,
      toolCalls: [],
    };
  }
}
