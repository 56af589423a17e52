/** A real `postern` command beside the browser, read while it runs. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { waitUntil } from './browser.ts';

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const COMMAND_TIMEOUT_MS = 60_000;

export interface RunningCommand {
  /** What it has printed on either stream so far. */
  output(): string;
  /** Waits until it has printed something like this, and returns the match. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  /** Its exit code, once it ended. Killed after a minute. */
  ended(): Promise<number | null>;
}

/** Starts `postern` with these words against the server that has this state folder. */
export function startCommand(stateDir: string, words: readonly string[]): RunningCommand {
  const env = { PATH: process.env['PATH'] ?? '', HOME: stateDir, POSTERN_STATE_DIR: stateDir };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CLI, ...words], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: COMMAND_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => resolve(code));
  });
  return {
    output: () => output,
    async printed(pattern) {
      await waitUntil(() => pattern.test(output));
      const found = pattern.exec(output);
      if (found === null) throw new Error(`nothing like ${String(pattern)} in ${output}`);
      return found;
    },
    ended: () => ended,
  };
}
