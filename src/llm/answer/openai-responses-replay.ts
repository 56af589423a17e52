/**
 * The rest of a stored Responses stream (`GET …/{id}?stream=true&starting_after=N`). The provider
 * could begin it in the middle of a call, of which then nobody could tell what it is; so the whole
 * replay is asked for and edited, and this leaves out what the caller has. The editor keeps the
 * numbers of the events.
 */
import { readSseEvent, SseSplitter } from '../../wire/sse.ts';
import { asIndex, parseEventJson } from './streams/event-json.ts';
import { EVENT_MAX_BYTES, NO_BYTES } from './streams/framing.ts';

/** Takes an edited replay, gives what comes after a number. */
export interface ReplayRest {
  push(chunk: Uint8Array): Buffer;
  finish(): Buffer;
}

/** `startingAfter`: the `sequence_number` of the last event that the caller has; a whole number from 0. */
export function createReplayRest(startingAfter: number): ReplayRest {
  const splitter = new SseSplitter({ eventMaxBytes: EVENT_MAX_BYTES });
  let out: Buffer[] = [];
  let isPast = false;
  const keep = (raw: Buffer): void => {
    isPast ||= isAfter(raw, startingAfter);
    if (isPast) out.push(Buffer.from(raw));
  };
  return {
    push(chunk) {
      splitter.push(chunk, { event: keep, oversized: (raw) => out.push(Buffer.from(raw)) });
      const sent = out.length === 0 ? NO_BYTES : Buffer.concat(out);
      out = [];
      return sent;
    },
    finish: () => splitter.finish(),
  };
}

/** Events without a number are kept only behind one that is past. */
function isAfter(raw: Buffer, startingAfter: number): boolean {
  const data = readSseEvent(raw)?.data ?? null;
  const number = data === null ? null : asIndex(parseEventJson(data)?.['sequence_number']);
  return number !== null && number > startingAfter;
}
