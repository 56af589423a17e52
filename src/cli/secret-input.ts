/** Reads a secret without showing it: from a pipe, or typed at a terminal with the echo off. */
import { Secret } from '../base/secret.ts';
import type { CliContext, TextSource } from './context.ts';
import { EXIT, CliFailure, usageFailure } from './failure.ts';

/** What the server takes: a service-account key with its certificate chain fits. */
const SECRET_MAX_CHARS = 32 * 1024;

/**
 * The secret in an environment variable, or from standard input. Never from an argument, which
 * every process of the machine can read. Fails with `cli_usage` if it is empty or too long.
 */
export async function readSecret(
  context: CliContext,
  options: { readonly what: string; readonly variable?: string | undefined },
): Promise<Secret> {
  const { what, variable } = options;
  if (variable !== undefined)
    return checked(context.env[variable] ?? '', `${what} in the environment variable ${variable}`);
  const stdin = context.stdin;
  const text = stdin.isTTY === true ? await typeSecret(context, what) : await readAll(stdin, what);
  return checked(text, `${what} on standard input`);
}

function checked(text: string, what: string): Secret {
  const value = text.trim();
  if (value === '') throw usageFailure(`the ${what} is empty`);
  if (value.length > SECRET_MAX_CHARS)
    throw usageFailure(`the ${what} is longer than ${SECRET_MAX_CHARS} characters`);
  return new Secret(value);
}

async function readAll(stdin: TextSource, what: string): Promise<string> {
  let text = '';
  stdin.setEncoding('utf8');
  for await (const chunk of stdin) {
    text += String(chunk);
    if (text.length > 2 * SECRET_MAX_CHARS)
      throw usageFailure(`the ${what} is longer than ${SECRET_MAX_CHARS} characters`);
  }
  return text;
}

/** Raw mode turns the echo off; Enter ends, Ctrl-C gives up, backspace works. */
function typeSecret(context: CliContext, what: string): Promise<string> {
  const stdin = context.stdin;
  context.stderr.write(`${what} (not shown): `);
  stdin.setRawMode?.(true);
  stdin.setEncoding('utf8');
  stdin.resume();
  return new Promise((resolve, reject) => {
    let typed = '';
    const finish = (settle: () => void): void => {
      stdin.off('data', onData);
      stdin.setRawMode?.(false);
      stdin.pause();
      context.stderr.write('\n');
      settle();
    };
    const onData = (chunk: string): void => {
      for (const character of chunk) {
        if (character === '\r' || character === '\n') return finish(() => resolve(typed));
        if (character === '\u0003' || character === '\u0004') {
          return finish(() => reject(new CliFailure('given up', { exit: EXIT.failed, code: 'cli_failed' })));
        }
        typed = character === '\u007f' || character === '\b' ? typed.slice(0, -1) : typed + character;
      }
    };
    stdin.on('data', onData);
  });
}
