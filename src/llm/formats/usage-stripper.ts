/**
 * Takes `stream_options.include_usage` back out of a Chat Completions stream, for callers that
 * did not ask for it: the chunk that holds nothing but usage is dropped, and `"usage":null` is cut
 * from the others. Every other byte stays as it came. (OpenAI API reference, `stream_options`:
 * "all other chunks will also include a usage field, but with a null value".)
 */
import { JsonScanError, scanJsonDocument, scanJsonArray, type JsonMember } from '../../wire/json-scan.ts';
import { readSseEvent, SseSplitter, type SseSink } from '../../wire/sse.ts';
import { keyNeedle } from './byte-search.ts';

/** Larger events pass as they are; a chunk of a chat stream is far below. */
const EVENT_MAX_BYTES = 1 << 20;
const USAGE = keyNeedle('usage');
const EMPTY = Buffer.alloc(0);
const NULL_USAGE = Buffer.from(',"usage":null');
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SPACE = 0x20;
/** Members of plain words and numbers, and the end. */
const PLAIN_END = /^(?:,"\w+":(?:"\w*"|\d+|null))*\}$/;
/** Longer ends are scanned. */
const PLAIN_END_MAX_BYTES = 256;

/** Rewrites one stream. */
export interface UsageStripper {
  /** The bytes to send on for this chunk; may be empty. Unfinished events wait for their rest. */
  push(chunk: Uint8Array): Buffer;
  /** What is left at the end of the stream. */
  finish(): Buffer;
}

export function createUsageStripper(): UsageStripper {
  const splitter = new SseSplitter({ eventMaxBytes: EVENT_MAX_BYTES });
  let out: Buffer[] = [];
  const sink: SseSink = {
    event: (raw) => {
      if (raw.includes(USAGE)) stripEvent(raw, out);
      else append(out, raw);
    },
    oversized: (raw) => append(out, raw),
  };
  return {
    push(chunk) {
      splitter.push(chunk, sink);
      if (out.length === 0) return EMPTY;
      const sent = out.length === 1 ? (out[0] ?? EMPTY) : Buffer.concat(out);
      out = [];
      return sent;
    },
    finish: () => splitter.finish(),
  };
}

/** Adds a piece; one that follows the last piece in memory is joined to it without a copy. */
function append(out: Buffer[], raw: Buffer): void {
  const last = out.at(-1);
  if (last !== undefined && last.buffer === raw.buffer && last.byteOffset + last.length === raw.byteOffset) {
    out[out.length - 1] = Buffer.from(raw.buffer, last.byteOffset, last.length + raw.length);
  } else {
    out.push(raw);
  }
}

function stripEvent(raw: Buffer, out: Buffer[]): void {
  const event = readSseEvent(raw);
  const comma = event === null ? -1 : trailingNullAt(event.data);
  const from = event === null || comma < 0 ? -1 : offsetWithin(raw, event.data);
  if (from >= 0) {
    append(out, raw.subarray(0, from + comma));
    append(out, raw.subarray(from + comma + NULL_USAGE.length));
    return;
  }
  const members = event === null ? null : scanChunk(event.data);
  const index = members?.findIndex(({ key }) => key === 'usage') ?? -1;
  const usage = members?.[index];
  if (event === null || members === null || usage === undefined) {
    append(out, raw);
    return;
  }
  const { data } = event;
  if (data[usage.valueStart] === 0x7b) {
    if (!hasNoChoices(data, members)) append(out, raw);
    return;
  }
  const isNull = data[usage.valueStart] === 0x6e;
  // Data in several lines is a copy: no provider sends it so, and it passes as it is.
  const dataAt = offsetWithin(raw, data);
  if (!isNull || dataAt < 0) {
    append(out, raw);
    return;
  }
  const { start, end } = cutSpan(members, index, usage);
  append(out, raw.subarray(0, dataAt + start));
  append(out, raw.subarray(dataAt + end));
}

/**
 * Where `,"usage":null` stands in an event as providers write it: as the last member, or with few plain ones
 * behind it (OpenAI's `obfuscation`). -1 where only a scan can tell. What runs from there to the end without
 * opening anything is closed by the outermost brace, so the member is the outermost object's; a quoted key
 * with its colon cannot come from inside a string. Text that is no JSON further ahead is not noticed.
 */
function trailingNullAt(data: Buffer): number {
  const at = data.lastIndexOf(NULL_USAGE);
  // With white space before the comma, or the key a second time, the scan decides.
  if (at < 2 || data[0] !== OPEN_BRACE || (data[at - 1] ?? 0) <= SPACE || data.indexOf(USAGE) !== at + 1)
    return -1;
  const end = at + NULL_USAGE.length;
  if (data.length - end === 1) return data[end] === CLOSE_BRACE ? at : -1;
  if (data.length - end > PLAIN_END_MAX_BYTES) return -1;
  return PLAIN_END.test(data.toString('latin1', end)) ? at : -1;
}

/** Where `part` lies in the memory of `whole`; -1 if it is a copy. Pooled buffers share one `buffer`. */
function offsetWithin(whole: Buffer, part: Buffer): number {
  const offset = part.byteOffset - whole.byteOffset;
  return part.buffer === whole.buffer && offset >= 0 && offset + part.length <= whole.length ? offset : -1;
}

/** The member with the comma that would be left over. */
function cutSpan(
  members: readonly JsonMember[],
  index: number,
  member: JsonMember,
): { start: number; end: number } {
  const before = members[index - 1];
  if (before !== undefined) return { start: before.valueEnd, end: member.valueEnd };
  const after = members[index + 1];
  return { start: member.memberStart, end: after === undefined ? member.valueEnd : after.memberStart };
}

function hasNoChoices(data: Buffer, members: readonly JsonMember[]): boolean {
  const choices = members.find(({ key }) => key === 'choices');
  return (
    choices !== undefined &&
    data[choices.valueStart] === 0x5b &&
    scanJsonArray(data, choices.valueStart).length === 0
  );
}

function scanChunk(data: Buffer): JsonMember[] | null {
  try {
    return scanJsonDocument(data);
  } catch (error) {
    if (error instanceof JsonScanError) return null;
    throw error;
  }
}
