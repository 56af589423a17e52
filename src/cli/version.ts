/** `postern version`. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { textAt } from './fields.ts';
import { printJson, printLine } from './output.ts';
import { addExamples, type Session } from './session.ts';

export function setupVersion(command: Command, session: Session): void {
  command
    .option('--json', 'print one JSON object, for programs')
    .action((flags: { readonly json?: boolean }) => {
      const version = packageVersion();
      if (flags.json === true) {
        printJson(session.context, {
          version,
          node: process.version,
          platform: `${process.platform}-${process.arch}`,
        });
        return;
      }
      printLine(
        session.context,
        `postern ${version} (Node.js ${process.version}, ${process.platform}-${process.arch})`,
      );
    });
  addExamples(command, [['postern version --json', 'for bug reports and scripts']]);
}

/** The version of this package; both `src/cli` and `dist/cli` lie two folders below its description. */
export function packageVersion(): string {
  const description: unknown = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  return textAt(description, 'version') ?? 'unknown';
}
