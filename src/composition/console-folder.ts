/** Where the built console lies: beside the built server in a package, below console/ in a clone. */
import { fileURLToPath } from 'node:url';

/** `POSTERN_CONSOLE_DIR` names another build, as for somebody who works on the console. */
export function consoleFolder(
  env: Readonly<Record<string, string | undefined>>,
  module: string = import.meta.url,
): string {
  const named = env['POSTERN_CONSOLE_DIR'];
  if (named !== undefined && named !== '') return named;
  const isSource = module.endsWith('.ts');
  return fileURLToPath(new URL(isSource ? '../../console/dist' : '../console', module));
}
