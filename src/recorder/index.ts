/** Takes what happened off the hot path and gives it to the store in batches. */
export { createRecorder } from './recorder.ts';
export type { Recorder, RecorderLimits, RecorderOptions, RecorderStats } from './recorder.ts';
export type { RecordSink } from './ports.ts';
