import type { RequestBatch } from '../store/shapes.ts';

/** Where records go: the part of a store that the recorder needs. */
export interface RecordSink {
  /** Resolves when the batch is durable. Repeating a batch must be harmless. */
  appendRequests(batch: RequestBatch): Promise<void>;
}
