/**
 * The text fields of a multipart/form-data body (RFC 7578): every part without a file name. Contents of
 * files (sound, images) are not read.
 */
import type { RequestTexts, TextPart } from './text-part.ts';

/** As `readMultipartFields`, which has read the same body. */
const PARTS_MAX = 256;
const PART_HEADERS_MAX = 8_192;
/** Fields that hold words of the API. */
const WORD_FIELDS =
  /name="(?:model|stream|response_format|size|quality|n|temperature|language|timestamp_granularities(?:\[\])?)"/;

/** The texts of a form; `form_malformed` where its parts cannot be told apart. */
export function formTexts(body: Buffer, boundary: string): RequestTexts | 'form_malformed' {
  const parts: TextPart[] = [];
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  if (body.indexOf(delimiter.subarray(2)) !== 0) return 'form_malformed';
  let at = delimiter.length - 2;
  for (let count = 0; count <= PARTS_MAX; count += 1) {
    if (body[at] === 0x2d && body[at + 1] === 0x2d) return { parts, depth: 0, messages: 0 };
    const window = body.subarray(at, at + PART_HEADERS_MAX);
    const headersEnd = window.indexOf('\r\n\r\n');
    if (headersEnd < 0) return 'form_malformed';
    const start = at + headersEnd + 4;
    const end = body.indexOf(delimiter, start);
    if (end < 0) return 'form_malformed';
    const headers = window.toString('latin1', 0, headersEnd);
    const isFile = /;\s{0,8}filename\*?\s{0,8}=/i.test(headers);
    if (!isFile && !WORD_FIELDS.test(headers)) parts.push(new FormText(body, start, end));
    at = end + delimiter.length;
  }
  return 'form_malformed';
}

class FormText implements TextPart {
  readonly direction = 'request';
  readonly role = 'user';
  readonly editable = true;
  readonly encoding = 'raw';
  readonly inner = null;
  readonly start: number;
  readonly end: number;
  readonly #body: Buffer;

  constructor(body: Buffer, start: number, end: number) {
    this.#body = body;
    this.start = start;
    this.end = end;
  }

  text(): string {
    return this.#body.toString('utf8', this.start, this.end);
  }
}
