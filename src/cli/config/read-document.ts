/** A document from a file or standard input. */
import { readFileSync, statSync } from 'node:fs';
import { describeError } from '../../base/errors.ts';
import type { CliContext } from '../context.ts';
import { usageFailure } from '../failure.ts';

/** The parser's own limit, 4 Mi characters, is below it. */
const DOCUMENT_MAX_BYTES = 16 * 1024 * 1024;

/** The text of a file, or of standard input for `-`. Fails with `cli_usage`. */
export async function readDocumentFile(context: CliContext, file: string): Promise<string> {
  if (file === '-') return readStdin(context);
  try {
    const { size } = statSync(file);
    if (size > DOCUMENT_MAX_BYTES)
      throw new Error(`it has ${size} bytes, at most ${DOCUMENT_MAX_BYTES} are read`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw usageFailure(`cannot read ${file}: ${describeError(error)}`);
  }
}

async function readStdin(context: CliContext): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of context.stdin) {
    const part = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    bytes += part.length;
    if (bytes > DOCUMENT_MAX_BYTES)
      throw usageFailure(`standard input has more than ${DOCUMENT_MAX_BYTES} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString('utf8');
}
