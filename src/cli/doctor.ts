/** `postern doctor`: what is wrong with this machine, the state folder or the server, and how to mend it. */
import type { Command } from 'commander';
import { checkMachine } from './doctor/check-machine.ts';
import { checkServer } from './doctor/check-server.ts';
import { checkSettings } from './doctor/check-settings.ts';
import { checkStateFolder } from './doctor/check-state-folder.ts';
import type { Finding } from './doctor/finding.ts';
import { resolveConnection } from './connection.ts';
import { EXIT } from './failure.ts';
import { paint, printable, printJson, printLine } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

const MARKS = { ok: 'ok', note: 'note', warning: 'warning', problem: 'PROBLEM' } as const;
const STYLES = { ok: 'green', note: 'dim', warning: 'yellow', problem: 'red' } as const;

export function setupDoctor(command: Command, session: Session): void {
  addCommonOptions(command).action((flags: CommonFlags) => doctor(session, flags));
  addExamples(command, [
    ['postern doctor', 'everything'],
    ['postern doctor --url https://ai.example.ts.net', 'a server elsewhere'],
  ]);
  command.addHelpText('after', '\nExit code 1 if there is a problem or a warning; notes are information.');
}

async function doctor(session: Session, flags: CommonFlags): Promise<void> {
  const { context } = session;
  const connection = resolveConnection(flags, context);
  const findings: readonly Finding[] = [
    ...checkMachine(context),
    // A server elsewhere keeps its own folder.
    ...(connection.kind === 'socket'
      ? [...checkStateFolder(connection.stateDir, context), ...checkSettings(connection.stateDir, context)]
      : []),
    ...(await checkServer(connect(session, flags).api)),
  ];
  const bad = findings.filter((finding) => finding.level === 'problem' || finding.level === 'warning');
  session.end(bad.length === 0 ? EXIT.done : EXIT.failed);
  if (flags.json === true) return printJson(context, { ok: bad.length === 0, findings });
  for (const finding of findings) {
    const mark = paint(context, context.stdout, STYLES[finding.level], MARKS[finding.level].padEnd(7));
    printLine(context, `${mark}  ${finding.check.padEnd(12)}  ${printable(finding.message)}`);
    if (finding.fix !== null) printLine(context, `${' '.repeat(23)}${printable(finding.fix)}`);
  }
  printLine(context, bad.length === 0 ? '\nnothing to mend' : `\n${bad.length} to mend`);
}
