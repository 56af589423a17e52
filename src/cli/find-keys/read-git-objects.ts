/**
 * The answers of `git cat-file --batch` (git-cat-file(1), "BATCH OUTPUT") cut into objects:
 *
 *     <object name> SP <type> SP <size> LF
 *     <size bytes> LF
 */

export interface GitObject {
  readonly name: string;
  readonly type: string;
  readonly content: Buffer;
}

/** A line of a header is far shorter; more means that this is not git. */
const HEADER_MAX_BYTES = 300;
const LINE_FEED = 0x0a;

/** Reads objects as they come; ends at the first thing that is no answer. */
export async function* readGitObjects(chunks: AsyncIterable<unknown>): AsyncGenerator<GitObject> {
  const parts: Buffer[] = [];
  let held = 0;
  let wanted = 0;
  let header: { name: string; type: string; size: number } | null = null;
  for await (const chunk of chunks) {
    if (!Buffer.isBuffer(chunk)) return;
    parts.push(chunk);
    held += chunk.length;
    // Joined only when there is enough, so that a large object is not copied for every chunk of it.
    if (held < wanted) continue;
    let bytes = parts.length === 1 ? chunk : Buffer.concat(parts, held);
    for (;;) {
      if (header === null) {
        const end = bytes.indexOf(LINE_FEED);
        if (end < 0) {
          if (bytes.length > HEADER_MAX_BYTES) return;
          wanted = 0;
          break;
        }
        const line = bytes.toString('latin1', 0, Math.min(end, HEADER_MAX_BYTES));
        bytes = bytes.subarray(end + 1);
        header = parseHeader(line);
        // `<name> missing` has no content.
        if (header === null) continue;
      }
      if (bytes.length < header.size + 1) {
        wanted = header.size + 1;
        break;
      }
      yield { name: header.name, type: header.type, content: bytes.subarray(0, header.size) };
      bytes = bytes.subarray(header.size + 1);
      header = null;
    }
    parts.length = 0;
    parts.push(bytes);
    held = bytes.length;
  }
}

function parseHeader(line: string): { name: string; type: string; size: number } | null {
  const match = /^([0-9a-f]{40,64}) ([a-z]{3,10}) (\d{1,12})$/.exec(line);
  return match === null ? null : { name: match[1] ?? '', type: match[2] ?? '', size: Number(match[3]) };
}

/** Lines (or other pieces) of a stream as text; a longer one than `maxBytes` ends the reading. */
export async function* readPieces(
  chunks: AsyncIterable<unknown>,
  separator: '\n' | '\0',
  maxBytes: number,
): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunks) {
    if (!Buffer.isBuffer(chunk)) return;
    // Byte by byte, so that no character is split; paths are decoded by whoever shows them.
    rest += chunk.toString('latin1');
    let from = 0;
    for (let end = rest.indexOf(separator); end >= 0; end = rest.indexOf(separator, from)) {
      yield rest.slice(from, end);
      from = end + 1;
    }
    rest = rest.slice(from);
    if (rest.length > maxBytes) return;
  }
  if (rest !== '') yield rest;
}
