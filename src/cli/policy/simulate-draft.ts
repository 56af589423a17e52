/** `postern policy simulate`: a draft against recorded requests, by the server that has them. */
import { readDocumentFile } from '../config/read-document.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { listAt, numberAt, objectAt, textAt } from '../fields.ts';
import { parseMoment } from '../moments.ts';
import { formatCount, printable, printJson, printNote } from '../output.ts';
import { type CommonFlags, connect, type Session } from '../session.ts';
import { printProblems } from '../config/check.ts';
import { printSimulation } from './print-simulation.ts';

export interface SimulateFlags extends CommonFlags {
  readonly draft: string;
  readonly since: string;
  readonly until?: string;
  readonly requests: number;
}

/** So often progress is told. */
const WAIT_MS = 2_000;

export async function simulateDraft(session: Session, flags: SimulateFlags): Promise<void> {
  const { context } = session;
  const draft = await readDocumentFile(context, flags.draft);
  const { api } = connect(session, flags);
  const now = context.clock.now();
  let view = await api.post('/api/v1/simulate', {
    draft,
    since: parseMoment(flags.since, now, '--since'),
    until: flags.until === undefined ? undefined : parseMoment(flags.until, now, '--until'),
    requests: flags.requests,
    wait_ms: WAIT_MS,
  });
  while (textAt(view, 'state') === 'running') {
    const percent = Math.floor(100 * (numberAt(view, 'progress') ?? 0));
    printNote(context, `postern: ${formatCount(numberAt(view, 'rows'))} requests read, ${percent} %`);
    const id = encodeURIComponent(textAt(view, 'id') ?? '');
    view = await api.get(`/api/v1/simulate/${id}`, { wait_ms: WAIT_MS });
  }
  const report = objectAt(view, 'report');
  if (report === null)
    throw new CliFailure(
      `the simulation did not end: ${printable(textAt(view, 'error') ?? 'the server gave no report')}`,
      { exit: EXIT.failed, code: 'cli_failed' },
    );
  if (flags.json === true) return printJson(context, view);
  printProblems(session, flags.draft, listAt(view, 'problems'));
  for (const failure of listAt(view, 'test_failures'))
    printNote(
      context,
      `postern: ${printable(textAt(failure, 'path') ?? 'a test')} of the draft fails: see \`postern policy test\``,
    );
  printSimulation(context, report);
}
