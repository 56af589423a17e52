/** Asks a person at the terminal, one question after another. */
import { createInterface } from 'node:readline';
import type { CliContext } from '../../context.ts';

export interface Questions {
  /** `stop` at the end of the input, too. */
  ask(question: string): Promise<'yes' | 'no' | 'stop'>;
  close(): void;
}

export function askAtTerminal(context: CliContext): Questions {
  const reader = createInterface({ input: context.stdin, terminal: false });
  const lines = reader[Symbol.asyncIterator]();
  return {
    async ask(question) {
      context.stderr.write(`${question} [y/N/q] `);
      const next = await lines.next();
      if (next.done === true) return 'stop';
      const answer = next.value.trim().toLowerCase();
      if (answer === 'q') return 'stop';
      return answer === 'y' || answer === 'yes' ? 'yes' : 'no';
    },
    close: () => reader.close(),
  };
}
