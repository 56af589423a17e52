/** RFC 9457 problem answers, told as what went wrong, why, and what to do. */
import type { Connection } from './connection.ts';
import { EXIT, CliFailure, type ExitCode } from './failure.ts';
import { isObject, listAt, objectAt, textAt } from './fields.ts';

export interface ProblemAnswer {
  readonly status: number;
  readonly text: string;
  readonly connection: Connection;
  readonly method: string;
  readonly path: string;
}

/** More would scroll the message itself away. */
const DETAILS_MAX = 20;

/** Fixes for codes whose answer does not bring its own. */
const FIXES: Readonly<Record<string, string>> = {
  presence_required: 'Run `postern login`, then the same command again',
  config_is_file: 'A --config file owns the document: edit that file, the server reloads it',
  precondition_failed:
    'The document changed meanwhile: run `postern config show` and apply your change to it again',
  not_claimed: 'Open the claim link that the server printed at its start, or run `postern admin reset`',
};

/** The failure for an answer that is not 2xx. Works with any text: a proxy's page has no code. */
export function problemFailure(answer: ProblemAnswer): CliFailure {
  const body = parse(answer.text);
  const code = textAt(body, 'code') ?? `http_${answer.status}`;
  const said = textAt(body, 'detail') ?? textAt(body, 'title') ?? textAt(objectAt(body, 'error'), 'message');
  const message = said ?? `${answer.method} ${answer.path} was answered with status ${answer.status}`;
  const details = [...listAt(body, 'problems'), ...listAt(body, 'errors')].flatMap((detail) => {
    const text = textAt(detail, 'message');
    const place = textAt(detail, 'path') ?? textAt(detail, 'field');
    // Notes did not stand in the way.
    return text === null || textAt(detail, 'severity') === 'note'
      ? []
      : [place === null || place === '' ? text : `${place}: ${text}`];
  });
  const url = textAt(body, 'presence_url');
  const fix = [
    textAt(body, 'fix') ?? FIXES[code] ?? fixForStatus(answer),
    ...(url === null ? [] : [`or open ${url}`]),
    ...details.slice(0, DETAILS_MAX),
  ].filter((line) => line !== null);
  const requestId = textAt(body, 'request_id');
  return new CliFailure(message, {
    exit: exitFor(answer.status, code),
    code,
    ...(fix.length === 0 ? {} : { fix: fix.join('\n') }),
    ...(requestId === null ? {} : { requestId }),
  });
}

function exitFor(status: number, code: string): ExitCode {
  if (code === 'presence_required') return EXIT.presence;
  if (status === 401 || status === 403) return EXIT.refused;
  return EXIT.failed;
}

function fixForStatus(answer: ProblemAnswer): string | null {
  if (answer.status === 401)
    return 'Put a valid Postern token in POSTERN_TOKEN, or unset it to be known by the network';
  if (answer.status === 404 && answer.connection.kind === 'http')
    return `Check that ${answer.connection.where} is Postern`;
  return null;
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
