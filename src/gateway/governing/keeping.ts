/** Where that is kept which must outlive a restart; written off the caller's path. */

export interface Keeping {
  /** Kept under this name, in place of what was. `value` is plain data. Never throws. */
  put(name: readonly string[], value: unknown): void;
  delete(name: readonly string[]): void;
}

/** For what may be forgotten with the process. */
export const KEEPS_NOTHING: Keeping = { put: () => undefined, delete: () => undefined };
