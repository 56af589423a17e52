/**
 * `postern config import`: an Aperture document with its meaning kept. What differs is one default:
 * a quota without `reserve` reserves here and does not there, so `"reserve": "none"` is written into
 * each that says nothing. Everything else, comments included, stays as it is.
 */
import { printNote, printJson } from '../output.ts';
import type { CommonFlags, Session } from '../session.ts';
import { parseHujson } from '../../wire/hujson.ts';
import { printProblems } from './check.ts';
import { readDocumentFile } from './read-document.ts';

export async function importDocument(session: Session, file: string, flags: CommonFlags): Promise<void> {
  const text = await readDocumentFile(session.context, file);
  const { text: imported, quotas } = writeReserveNone(text);
  const { parseGatewayDocument } = await import('../../policy/index.ts');
  const { problems } = parseGatewayDocument(imported, { source: 'file' });
  if (flags.json === true) return printJson(session.context, { text: imported, quotas, problems });
  session.context.stdout.write(imported.endsWith('\n') ? imported : `${imported}\n`);
  for (const name of quotas)
    printNote(
      session.context,
      `quota ${name}: "reserve": "none" written, which is what it means in Aperture`,
    );
  const toStderr = { ...session, context: { ...session.context, stdout: session.context.stderr } };
  printProblems(toStderr, file, problems);
}

/** Throws `HujsonError`. The names are those of the quotas that were changed. */
export function writeReserveNone(text: string): {
  readonly text: string;
  readonly quotas: readonly string[];
} {
  const document = parseHujson(text);
  const quotas = membersOf(membersOf(document.value)['quotas']);
  const changed: { readonly name: string; readonly at: number; readonly empty: boolean }[] = [];
  for (const [name, quota] of Object.entries(quotas)) {
    const span = document.spanOf(['quotas', name]);
    if (span === null || !isMembers(quota) || 'reserve' in quota) continue;
    changed.push({ name, at: span.start + 1, empty: Object.keys(quota).length === 0 });
  }
  let result = text;
  // From the end, so that the places before stay right.
  for (const { at, empty } of [...changed].sort((a, b) => b.at - a.at)) {
    result = `${result.slice(0, at)} "reserve": "none"${empty ? '' : ','}${result.slice(at)}`;
  }
  return { text: result, quotas: changed.map((one) => one.name) };
}

function isMembers(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function membersOf(value: unknown): Record<string, unknown> {
  return isMembers(value) ? value : {};
}
