/** `postern policy test`: a document's problems, and its own tests that do not hold. */
import { printProblems } from '../config/check.ts';
import { readDocumentFile } from '../config/read-document.ts';
import { EXIT } from '../failure.ts';
import { listAt, textAt } from '../fields.ts';
import { paint, printable, printJson, printLine } from '../output.ts';
import { type CommonFlags, connect, type Session } from '../session.ts';

interface Tested {
  readonly problems: readonly unknown[];
  readonly failures: readonly unknown[];
  readonly tests: number;
}

/** Exit code 1 for a failing test, an error or a warning: each would refuse a save. */
export async function testDocument(
  session: Session,
  file: string | undefined,
  flags: CommonFlags,
): Promise<void> {
  const { problems, failures, tests } =
    file === undefined ? await testServer(session, flags) : await testFile(session, file);
  const isRefused = problems.some((problem) => textAt(problem, 'severity') !== 'note');
  const ok = !isRefused && failures.length === 0;
  session.end(ok ? EXIT.done : EXIT.failed);
  if (flags.json === true) return printJson(session.context, { ok, tests, failures, problems });
  printProblems(session, file ?? 'document', problems);
  for (const failure of failures) printFailedTest(session, failure);
  if (tests === 0)
    printLine(session.context, 'the document has no tests: add "tests" to say who must and must not');
  else {
    const failed = new Set(failures.map((failure) => textAt(failure, 'path'))).size;
    printLine(session.context, `${tests - failed} of ${tests} tests hold`);
  }
}

/** Without a server: providers of this environment, nobody's stored grants. */
async function testFile(session: Session, file: string): Promise<Tested> {
  const text = await readDocumentFile(session.context, file);
  const { findProviders } = await import('../../config/index.ts');
  const { compileDraft } = await import('../../gateway/simulate/index.ts');
  const { problems, testFailures, tests } = compileDraft(text, {
    tailnet: 'local',
    source: 'file',
    found: findProviders(session.context.env),
    storedGrants: [],
    // Claims and --admin make admins that a document does not name.
    adminsElsewhere: true,
  });
  return { problems, failures: testFailures, tests };
}

async function testServer(session: Session, flags: CommonFlags): Promise<Tested> {
  const { api } = connect(session, flags);
  const text = textAt(await api.get('/api/v1/config'), 'text') ?? '';
  if (text === '') return { problems: [], failures: [], tests: 0 };
  const answer = await api.post('/api/v1/config/validate', { text });
  const { parseGatewayDocument } = await import('../../policy/index.ts');
  const { document } = parseGatewayDocument(text, { source: 'api' });
  return {
    problems: listAt(answer, 'problems'),
    failures: listAt(answer, 'test_failures'),
    tests: document.tests.length,
  };
}

function printFailedTest({ context }: Session, failure: unknown): void {
  const part = (name: string): string => printable(textAt(failure, name) ?? '');
  const about = textAt(failure, 'model') === null ? '' : `${part('model')}: `;
  printLine(
    context,
    `${part('path')} ${paint(context, context.stdout, 'red', 'failed')} ${about}expected ${part('expected')}, got ${part('got')}`,
  );
  const detail = (textAt(failure, 'detail') ?? '').trimEnd();
  if (detail !== '')
    for (const line of detail.split('\n')) printLine(context, `    ${printable(line).trimEnd()}`);
}
