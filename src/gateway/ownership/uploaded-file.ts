/** A file on its way to a provider: `POST /v1/files`, a form with a file and, at OpenAI, its purpose. */
import { boundaryOf, readMultipartFields } from '../../llm/index.ts';
import { Refused } from '../reasons.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import { readBatchFile } from './batch-file.ts';
import type { BatchLines } from './batch-lines.ts';
import type { ObjectReference } from './object-references.ts';

export interface UploadedFile {
  /** What the lines of a batch's input ask for; null for every other file. */
  readonly models: readonly string[] | null;
  readonly references: readonly ObjectReference[];
  /** As `models`. */
  readonly lines: BatchLines | null;
}

const OTHER: UploadedFile = { models: null, references: [], lines: null };

/** Rejects with `body_invalid` for what is not one form with one file, and for a batch's input that cannot be read. */
export async function readUploadedFile({ match, body, contentType }: LlmRequest): Promise<UploadedFile> {
  const boundary = boundaryOf(contentType);
  if (boundary === null) throw new Refused('body_invalid', 'a file is uploaded as multipart/form-data');
  const form = readMultipartFields(body, boundary, ['purpose'], ['file']);
  if ('malformed' in form) throw new Refused('body_invalid', `the form is malformed: ${form.malformed}`);
  const file = form.spans.get('file');
  if (file === undefined) throw new Refused('body_invalid', 'the form has no "file"');
  const purpose = form.spans.get('purpose');
  const isBatch =
    match.dialect === 'openai' &&
    purpose !== undefined &&
    body.toString('utf8', purpose.start, purpose.end).trim().toLowerCase() === 'batch';
  return isBatch ? readBatchFile(body.subarray(file.start, file.end)) : OTHER;
}
