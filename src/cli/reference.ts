/** The page docs/reference/cli.md, from the commands' own definitions. */
import type { Command } from 'commander';
import { buildProgram } from './commands.ts';
import type { CliContext } from './context.ts';

/** Markdown with the help of every command, as `postern <command> --help` prints it. */
export async function renderCliReference(context: CliContext): Promise<string> {
  const program = await buildProgram({ context, end: () => undefined }, null);
  const sections = [
    '# Command line',
    '',
    'This page is written by `npm run openapi` from the definitions of the commands.',
    '',
    ...section(program, 'postern', 2),
  ];
  return `${sections.join('\n').trimEnd()}\n`;
}

function section(command: Command, name: string, level: number): readonly string[] {
  const own = ['#'.repeat(level) + ` ${name}`, '', '```text', helpOf(command), '```', ''];
  const nested = command.commands.flatMap((child) =>
    section(child, `${name} ${child.name()}`, Math.min(level + 1, 4)),
  );
  return [...own, ...nested];
}

/** With the texts around it (examples), which `helpInformation` leaves out. */
function helpOf(command: Command): string {
  let text = '';
  const before = command.configureOutput();
  command.configureOutput({ ...before, writeOut: (part) => (text += part) });
  command.outputHelp();
  command.configureOutput(before);
  return text.trimEnd();
}
