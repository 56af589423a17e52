/** `postern config check`: problems of a document, each with its place and fix. */
import { EXIT } from '../failure.ts';
import { listAt, numberAt, textAt } from '../fields.ts';
import { paint, printable, printJson, printLine } from '../output.ts';
import { type CommonFlags, connect, type Session } from '../session.ts';
import type { GatewayDocument } from '../../policy/index.ts';
import { quotaWarnings } from './quota-faults.ts';
import { readDocumentFile } from './read-document.ts';

/** Exit code 1 for an error or a warning, which saving would refuse; notes are information. */
export async function checkDocument(
  session: Session,
  file: string | undefined,
  flags: CommonFlags,
): Promise<void> {
  const problems =
    file === undefined ? await problemsOfServer(session, flags) : await problemsOfFile(session, file);
  const refused = problems.some((problem) => textAt(problem, 'severity') !== 'note');
  session.end(refused ? EXIT.failed : EXIT.done);
  if (flags.json === true) return printJson(session.context, { ok: !refused, problems });
  printProblems(session, file ?? 'document', problems);
  if (!refused)
    printLine(session.context, problems.length === 0 ? 'no problems' : 'notes only: it can be saved');
}

/** Without a server: the same checks, run here. */
async function problemsOfFile(session: Session, file: string): Promise<readonly unknown[]> {
  const text = await readDocumentFile(session.context, file);
  const { findProviders } = await import('../../config/index.ts');
  const { compilePolicy, parseGatewayDocument, runPolicyTests } = await import('../../policy/index.ts');
  const found = findProviders(session.context.env);
  // Claims and --admin make admins that a document does not name.
  const parsed = parseGatewayDocument(text, { source: 'file', found, adminsElsewhere: true });
  if (parsed.problems.some((problem) => problem.severity === 'error')) return parsed.problems;
  const snapshot = compilePolicy({
    document: parsed.document,
    found,
    storedGrants: [],
    tailnet: 'local',
    version: 'check',
  });
  const failures = runPolicyTests(snapshot, parsed.document.tests);
  const failed = failures.map(({ path, model, expected, got, detail }) => ({
    severity: 'error',
    code: 'test_failed',
    path,
    message: `${model ?? 'role'}: expected ${expected}, got ${got}`,
    fix: detail,
  }));
  return [...parsed.problems, ...(await quotaNotes(parsed.document)), ...failed];
}

async function problemsOfServer(session: Session, flags: CommonFlags): Promise<readonly unknown[]> {
  const { api } = connect(session, flags);
  const text = textAt(await api.get('/api/v1/config'), 'text') ?? '';
  // None was saved yet, which is no mistake.
  if (text === '') return [];
  const problems = listAt(await api.post('/api/v1/config/validate', { text }), 'problems');
  const { parseGatewayDocument } = await import('../../policy/index.ts');
  const { document } = parseGatewayDocument(text, { source: 'file', adminsElsewhere: true });
  return [...problems, ...(await quotaNotes(document))];
}

/** Such a document can be saved. */
async function quotaNotes(document: GatewayDocument): Promise<readonly unknown[]> {
  return (await quotaWarnings(document)).map((warning) => ({
    ...warning,
    severity: 'note',
    code: 'weak_quota',
  }));
}

/** `file:line:column`, as compilers write it, so that editors can jump there. */
export function printProblems(session: Session, name: string, problems: readonly unknown[]): void {
  const { context } = session;
  for (const problem of problems) {
    const severity = textAt(problem, 'severity') ?? 'error';
    const style = severity === 'error' ? 'red' : severity === 'warning' ? 'yellow' : 'dim';
    const line = numberAt(problem, 'line') ?? 0;
    const place = line === 0 ? name : `${name}:${line}:${numberAt(problem, 'column') ?? 1}`;
    const path = textAt(problem, 'path') ?? '';
    const message = printable(textAt(problem, 'message') ?? '');
    printLine(
      context,
      `${place} ${paint(context, context.stdout, style, severity)} ${path === '' ? '' : `${printable(path)}: `}${message}`,
    );
    const fix = textAt(problem, 'fix');
    if (fix !== null && fix !== '') printLine(context, `    ${printable(fix)}`);
  }
}
