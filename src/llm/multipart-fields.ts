/**
 * Finds small text fields of a multipart/form-data body (RFC 7578, RFC 2046 section 5.1) by their
 * offsets, without copying the parts. For routing by the `model` field of file uploads.
 * Left out: nested multiparts, transfer encodings and everything else about the parts.
 *
 *     --BOUNDARY CRLF headers CRLF CRLF content CRLF --BOUNDARY … --BOUNDARY--
 */
import type { JsonSpan } from '../wire/json-scan.ts';

/** More parts than this are refused; a transcription has about ten. */
const PARTS_MAX = 256;
/** Headers of one part, in bytes. */
const PART_HEADERS_MAX = 8_192;
/** Content of a looked-for field, in bytes. */
const FIELD_MAX = 1_024;

/** The looked-for fields that are there, or what is wrong with the form. */
export type MultipartFields =
  | { readonly spans: ReadonlyMap<string, JsonSpan> }
  | { readonly malformed: string; readonly offset: number };

/** The boundary of a `multipart/form-data` type; null for any other media type or a doubtful boundary. */
export function boundaryOf(contentType: string | null): string | null {
  if (contentType === null || contentType.length > 1_024) return null;
  const semicolon = contentType.indexOf(';');
  if (semicolon < 0) return null;
  if (contentType.slice(0, semicolon).trim().toLowerCase() !== 'multipart/form-data') return null;
  const boundary = readParameters(contentType.slice(semicolon))?.get('boundary');
  return boundary !== undefined && /^[\w'()+,./:=? -]{1,70}$/.test(boundary) ? boundary : null;
}

/**
 * The spans of the fields `names`, each at most once and without a file name, and of the files
 * `fileNames`, each at most once and with one. A looked-for part that comes twice makes the form
 * malformed: parsers differ on which counts.
 */
export function readMultipartFields(
  body: Buffer,
  boundary: string,
  names: readonly string[],
  fileNames: readonly string[] = [],
): MultipartFields {
  const spans = new Map<string, JsonSpan>();
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  const opening = delimiter.subarray(2);
  // A preamble (RFC 2046 section 5.1.1) is for nobody: a server that reads another format would see it alone.
  if (!body.subarray(0, opening.length).equals(opening))
    return { malformed: 'it does not begin with its boundary', offset: 0 };
  let at = opening.length;
  for (let parts = 0; parts < PARTS_MAX; parts += 1) {
    if (body[at] === DASH && body[at + 1] === DASH) return { spans };
    const headersStart = lineEnd(body, at);
    if (headersStart < 0) return { malformed: 'a boundary is not followed by a line end', offset: at };
    const headersEnd = body.subarray(headersStart, headersStart + PART_HEADERS_MAX).indexOf('\r\n\r\n');
    if (headersEnd < 0) return { malformed: 'a part has no end of its headers', offset: headersStart };
    const start = headersStart + headersEnd + 4;
    const end = body.indexOf(delimiter, start);
    if (end < 0) return { malformed: 'a part has no closing boundary', offset: start };
    const part = readPartName(body.toString('utf8', headersStart, headersStart + headersEnd));
    if (part === null) return { malformed: 'a part has no clear name', offset: headersStart };
    const wanted = names.find((candidate) => candidate === part.name.toLowerCase());
    if (wanted !== undefined) {
      if (spans.has(wanted) || part.name !== wanted || part.isFile) {
        return { malformed: `it must have one text field "${wanted}"`, offset: headersStart };
      }
      if (end - start > FIELD_MAX) return { malformed: `the field "${wanted}" is too long`, offset: start };
      spans.set(wanted, { start, end });
    }
    const file = fileNames.find((candidate) => candidate === part.name.toLowerCase());
    if (file !== undefined) {
      if (spans.has(file) || part.name !== file || !part.isFile)
        return { malformed: `it must have one file "${file}"`, offset: headersStart };
      spans.set(file, { start, end });
    }
    at = end + delimiter.length;
  }
  return { malformed: `it has more than ${PARTS_MAX} parts`, offset: at };
}

const DASH = 0x2d;

/** The offset after the line end at `at`, white space before it allowed; -1 if there is none. */
function lineEnd(body: Buffer, at: number): number {
  let end = at;
  while (body[end] === 0x20 || body[end] === 0x09) end += 1;
  return body[end] === 0x0d && body[end + 1] === 0x0a ? end + 2 : -1;
}

/** Name and kind of a part, by its only Content-Disposition; null where it is missing or doubtful. */
function readPartName(headers: string): { readonly name: string; readonly isFile: boolean } | null {
  const lines = headers.split('\r\n').filter((line) => /^content-disposition\s*:/i.test(line));
  const [line] = lines;
  if (line === undefined || lines.length > 1 || /\r\n[ \t]/.test(headers)) return null;
  const value = /^[^:]*:\s*form-data\s*(;.*)$/i.exec(line)?.[1];
  const parameters = value === undefined ? null : readParameters(value);
  const name = parameters?.get('name');
  // Escapes, percent signs and extended names (RFC 8187) are undone by some servers and not by others.
  if (parameters === null || name === undefined || parameters.has('name*') || /[\\%]/.test(name)) return null;
  return { name, isFile: parameters.has('filename') || parameters.has('filename*') };
}

const PARAMETER = /\s*;\s*([!#$%&'*+.^_`|~\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))\s*/y;

/** Parameters (`; name=value; name="value"`), names in lower case; null if malformed or repeated. */
function readParameters(text: string): ReadonlyMap<string, string> | null {
  const parameters = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    PARAMETER.lastIndex = at;
    const found = PARAMETER.exec(text);
    const name = found?.[1]?.toLowerCase();
    if (found === null || name === undefined || parameters.has(name)) return null;
    parameters.set(name, found[2] ?? found[3] ?? '');
    at += found[0].length;
  }
  return parameters;
}
