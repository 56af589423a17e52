/** Bounds of the recorder; each has a default with its reason. */
export interface RecorderLimits {
  /** Oldest age of a queued row before a write begins. Default 50 ms: short writes hold up nobody, and a kill loses at most 250 ms. */
  readonly flushMs: number;
  /** Rows that begin a write at once, and the most in one batch. Default 500: a kill loses at most 1,000. */
  readonly batchRows: number;
  /** Body bytes in one batch (a single larger exchange goes alone). Default 8 MiB: packing takes under 5 ms. */
  readonly batchBytes: number;
  /** Rows kept in memory. Default 20,000, about 30 MB; beyond it rows spill to the file, or are lost. */
  readonly queueRows: number;
  /** Body bytes kept in memory. Default 64 MiB; beyond it new bodies are dropped and counted. */
  readonly queueBytes: number;
  /** Pause after the first failed write; doubles with each further one. Default 100 ms. */
  readonly backoffMinMs: number;
  /** Default 10,000 ms. */
  readonly backoffMaxMs: number;
  /** Failed writes in a row after which rows move to the spill file. Default 5: about 3 s. */
  readonly spillAfterFailures: number;
  /** Size at which the spill file takes no more. Default 256 MiB: some 250,000 rows. */
  readonly spillFileBytes: number;
  /** Shortest time between two reports of losses. Default 60,000 ms. */
  readonly reportMs: number;
}

export const DEFAULT_RECORDER_LIMITS: RecorderLimits = {
  flushMs: 50,
  batchRows: 500,
  batchBytes: 8 * 1024 * 1024,
  queueRows: 20_000,
  queueBytes: 64 * 1024 * 1024,
  backoffMinMs: 100,
  backoffMaxMs: 10_000,
  spillAfterFailures: 5,
  spillFileBytes: 256 * 1024 * 1024,
  reportMs: 60_000,
};
