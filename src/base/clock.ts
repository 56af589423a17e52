/** Milliseconds since 1970-01-01T00:00:00Z. */
export type UnixMs = number & { readonly __unit?: 'UnixMs' };

/** Where time comes from; tests pass their own. */
export interface Clock {
  /** Wall time. May jump. */
  now(): UnixMs;
  /** Milliseconds with a fraction from an arbitrary start; never jumps. For durations. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** RFC 3339 in UTC with milliseconds. */
export function toRfc3339(time: UnixMs): string {
  return new Date(time).toISOString();
}
