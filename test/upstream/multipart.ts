/** A small strict reader of multipart/form-data (RFC 7578) for what the fake needs. */
import { FakeError } from './envelopes.ts';

export interface FormPart {
  readonly name: string;
  readonly filename: string | null;
  readonly content: Buffer;
}

/** The parts of a form. Throws `FakeError` 400 where the framing is not exact. */
export function parseForm(contentType: string | null, body: Buffer): FormPart[] {
  const boundary = /^multipart\/form-data;.*boundary="?([^";]+)"?/i.exec(contentType ?? '')?.[1];
  if (boundary === undefined) throw new FakeError(400, 'expected multipart/form-data with a boundary');
  const opening = Buffer.from(`--${boundary}`);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  if (!body.subarray(0, opening.length).equals(opening))
    throw new FakeError(400, 'the form does not begin with its boundary');
  const parts: FormPart[] = [];
  let at = opening.length;
  while (body.subarray(at, at + 2).toString('latin1') === '\r\n') {
    const headersEnd = body.indexOf('\r\n\r\n', at);
    const end = body.indexOf(delimiter, headersEnd);
    if (headersEnd < 0 || end < 0) throw new FakeError(400, 'a part of the form does not end');
    parts.push(
      readPart(body.subarray(at + 2, headersEnd).toString('utf8'), body.subarray(headersEnd + 4, end)),
    );
    at = end + delimiter.length;
  }
  if (body.subarray(at, at + 2).toString('latin1') !== '--')
    throw new FakeError(400, 'the form does not end');
  return parts;
}

function readPart(headers: string, content: Buffer): FormPart {
  const disposition = /^content-disposition:\s*form-data;(.*)$/im.exec(headers)?.[1];
  const name = /\bname="([^"]*)"/.exec(disposition ?? '')?.[1];
  if (name === undefined) throw new FakeError(400, 'a part of the form has no name');
  return { name, filename: /\bfilename="([^"]*)"/.exec(disposition ?? '')?.[1] ?? null, content };
}

/** The text of one field; null where the form has none of that name. */
export function formField(parts: readonly FormPart[], name: string): string | null {
  const part = parts.find((candidate) => candidate.name === name);
  return part === undefined ? null : part.content.toString('utf8');
}
