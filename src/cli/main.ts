/** The command `postern`. */
import { systemContext } from './context.ts';
import { runCli } from './run-cli.ts';

const controller = new AbortController();
// `serve`, `demo` and `run` handle signals themselves; the rest stop what they wait for.
const first = process.argv[2];
if (first !== 'serve' && first !== 'demo' && first !== 'run') {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      controller.abort();
      // A second one ends the process at once, by the system's own rule.
    });
  }
}
// `postern logs | head` closes the pipe: that is an end, not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});
const exitCode = await runCli(process.argv.slice(2), systemContext(controller.signal));
// Ended by hand: a start that failed half-way, or a terminal that is still read, would keep the process.
await Promise.all([drained(process.stdout), drained(process.stderr)]);
process.exit(exitCode);

/** Once everything written so far has left the process. */
function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}
