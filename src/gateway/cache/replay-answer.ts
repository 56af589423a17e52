/** A kept answer on its way to a caller, as if its provider sent it now: a slow reader holds it back like any. */
import type { AnswerSource } from '../relay.ts';
import type { RawHeaders } from '../response-headers.ts';
import type { CachedAnswer } from './response-cache.ts';

/** Enough to be cheap, little enough that a slow reader holds no whole answer in its socket. */
const CHUNK_BYTES = 64 * 1024;

/** What takes an answer up: the relay. */
export interface AnswerSink {
  begin(source: AnswerSource): void;
  head(status: number, rawHeaders: RawHeaders): void;
  data(chunk: Buffer): void;
  end(): void;
}

/** Of the first answer's headers only the media type is told: limits and ids in the others are another caller's. */
export function replayAnswer({ body, contentType, ageSec }: CachedAnswer, sink: AnswerSink): void {
  const flow = { offset: 0, isPaused: false, isOver: false, isPumping: false };
  const pump = (): void => {
    if (flow.isPumping) return;
    flow.isPumping = true;
    while (!flow.isPaused && !flow.isOver) {
      if (flow.offset >= body.length) {
        flow.isOver = true;
        sink.end();
        break;
      }
      // A copy: whoever changes bytes on their way must not change what is kept for the next caller.
      const chunk = Buffer.from(body.subarray(flow.offset, flow.offset + CHUNK_BYTES));
      flow.offset += chunk.length;
      sink.data(chunk);
    }
    flow.isPumping = false;
  };
  sink.begin({
    pause: () => {
      flow.isPaused = true;
    },
    resume: () => {
      flow.isPaused = false;
      pump();
    },
    abort: () => {
      flow.isOver = true;
    },
  });
  const headers = ['content-length', String(body.length), 'age', String(ageSec)];
  if (contentType !== null) headers.push('content-type', contentType);
  sink.head(200, headers);
  pump();
}
