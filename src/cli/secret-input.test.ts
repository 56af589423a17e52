import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { type CliContext, silentTerminal } from './context.ts';
import { readSecret } from './secret-input.ts';

const WHAT = { what: 'key for openai' };

function contextWith(overrides: Partial<CliContext>): CliContext {
  return { ...silentTerminal(), env: {}, ...overrides };
}

/** A terminal on which somebody types; remembers what was shown and whether the echo is back. */
function terminal(typed: string): {
  readonly context: CliContext;
  readonly shown: () => string;
  readonly raw: () => readonly boolean[];
} {
  let shown = '';
  const raw: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => raw.push(on) });
  stdin.write(typed);
  const stderr = { write: (text: string) => (shown += text) };
  return { context: contextWith({ stdin, stderr }), shown: () => shown, raw: () => raw };
}

describe('a secret is read without being shown', () => {
  test('typed at a terminal: backspace works, the echo is off and comes back', async () => {
    const { context, shown, raw } = terminal('sk-abX\u007fc\r');
    assert.equal((await readSecret(context, WHAT)).reveal(), 'sk-abc');
    assert.doesNotMatch(shown(), /sk-/);
    assert.deepEqual(raw(), [true, false]);
  });

  test('Ctrl-C at a terminal gives up, and the echo comes back', async () => {
    const { context, raw } = terminal('sk\u0003');
    await assert.rejects(readSecret(context, WHAT), /given up/);
    assert.deepEqual(raw(), [true, false]);
  });

  test('from a pipe, without the line end', async () => {
    const context = contextWith({ stdin: Readable.from(['sk-', 'abc\n']) });
    assert.equal((await readSecret(context, WHAT)).reveal(), 'sk-abc');
  });

  test('from a named variable', async () => {
    const context = contextWith({ env: { KEY: 'sk-abc' } });
    assert.equal((await readSecret(context, { ...WHAT, variable: 'KEY' })).reveal(), 'sk-abc');
    await assert.rejects(readSecret(context, { ...WHAT, variable: 'OTHER' }), /variable OTHER is empty/);
  });

  test('an empty one and an endless one are refused', async () => {
    await assert.rejects(readSecret(contextWith({ stdin: Readable.from(['\n']) }), WHAT), /is empty/);
    const endless = Readable.from(
      (function* () {
        for (;;) yield 'x'.repeat(10_000);
      })(),
    );
    await assert.rejects(readSecret(contextWith({ stdin: endless }), WHAT), /longer than 32768/);
  });
});
