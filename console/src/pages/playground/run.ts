/**
 * One request of the playground: sent to the API as any program would send it, read as it comes, and
 * ended by the stop button. It keeps what it shows within bounds.
 */
import { messageOf } from '../../api/problem.ts';
import { EventReader } from './event-stream.ts';
import { type FormatSpec, type Piece, refusalText } from './formats.ts';

/** Characters of the answer that are shown, and of the raw answer. */
const SHOWN_MAX = 2_000_000;
const RAW_MAX = 256_000;

export interface Part {
  readonly kind: 'text' | 'thinking' | 'tool';
  /** Of a tool. */
  readonly name: string;
  readonly text: string;
}

export interface Run {
  readonly state: 'sending' | 'streaming' | 'done' | 'stopped' | 'refused' | 'failed';
  readonly parts: readonly Part[];
  readonly stopReason: string | null;
  /** In the words of the server; null unless refused or failed. */
  readonly message: string | null;
  /** `x-postern-reason` of a refusal. */
  readonly reason: string | null;
  readonly status: number | null;
  readonly requestId: string | null;
  /** Of `x-postern-warning` and `x-postern-translation-loss`. */
  readonly warnings: readonly string[];
  readonly cache: string | null;
  readonly raw: string;
  readonly startedMs: number;
  readonly firstMs: number | null;
  readonly endedMs: number | null;
}

export interface Sending {
  readonly format: FormatSpec;
  readonly path: string;
  /** JSON. */
  readonly body: string;
}

/** Before anything is sent. */
export function newRun(): Run {
  return {
    state: 'sending',
    parts: [],
    stopReason: null,
    message: null,
    reason: null,
    status: null,
    requestId: null,
    warnings: [],
    cache: null,
    raw: '',
    startedMs: performance.now(),
    firstMs: null,
    endedMs: null,
  };
}

/** Sends it; `show` is told of every change. Never rejects: what fails is a state. */
export async function perform(
  { format, path, body }: Sending,
  signal: AbortSignal,
  show: (run: Run) => void,
): Promise<Run> {
  let run = newRun();
  const change = (next: Partial<Run>): void => {
    run = { ...run, ...next };
    show(run);
  };
  const end = (next: Partial<Run>): Run => {
    change({ ...next, endedMs: performance.now() });
    return run;
  };
  try {
    const answer = await fetch(`/api/v1/playground${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...format.headers },
      body,
      signal,
      credentials: 'same-origin',
      redirect: 'error',
    });
    change({ ...headersOf(answer), state: 'streaming' });
    if (!answer.ok) return end(refusalOf(await answer.text(), answer.status));
    const isStream = (answer.headers.get('content-type') ?? '').startsWith('text/event-stream');
    const take = (text: string, pieces: readonly Piece[]): void => {
      const firstMs = run.firstMs ?? (pieces.length > 0 ? performance.now() : null);
      change({ ...taken(run, pieces), raw: (run.raw + text).slice(0, RAW_MAX), firstMs });
    };
    if (isStream) await readStream(answer, format, take);
    else {
      const text = await answer.text();
      take(text, format.ofAnswer(parsed(text)));
    }
    return end({ state: run.message === null ? 'done' : 'failed' });
  } catch (error) {
    if (signal.aborted) return end({ state: 'stopped' });
    return end({ state: 'failed', message: run.message ?? `The answer broke off: ${messageOf(error)}` });
  }
}

async function readStream(
  answer: Response,
  format: FormatSpec,
  take: (text: string, pieces: readonly Piece[]) => void,
): Promise<void> {
  const reader = answer.body?.getReader();
  if (reader === undefined) return;
  const decoder = new TextDecoder();
  const events = new EventReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const text = decoder.decode(value, { stream: true });
    take(
      text,
      events.push(text).flatMap((data) => format.ofEvent(parsed(data))),
    );
  }
}

function headersOf({ headers, status }: Response): Partial<Run> {
  const loss = headers.get('x-postern-translation-loss');
  return {
    status,
    requestId: headers.get('x-postern-request-id'),
    reason: headers.get('x-postern-reason'),
    cache: headers.get('x-postern-cache'),
    warnings: [
      ...(headers.get('x-postern-warning')?.split(/,\s*/) ?? []),
      ...(loss === null ? [] : [`lost in translation: ${loss}`]),
    ],
  };
}

function refusalOf(text: string, status: number): Partial<Run> {
  return {
    state: 'refused',
    raw: text.slice(0, RAW_MAX),
    message: refusalText(parsed(text)) ?? `The server answered ${status} without saying why.`,
  };
}

/** The run with these pieces added; neighbours of one kind become one part. */
function taken(run: Run, pieces: readonly Piece[]): Partial<Run> {
  const parts = [...run.parts];
  let { stopReason, message } = run;
  let shown = parts.reduce((sum, { text }) => sum + text.length, 0);
  for (const piece of pieces) {
    if (piece.kind === 'stop') stopReason = piece.reason;
    else if (piece.kind === 'fault') message = piece.message;
    else {
      const text = piece.text.slice(0, Math.max(0, SHOWN_MAX - shown));
      shown += text.length;
      const last = parts.at(-1);
      const goesOn = last?.kind === piece.kind && !(piece.kind === 'tool' && piece.name !== null);
      if (last !== undefined && goesOn) parts[parts.length - 1] = { ...last, text: last.text + text };
      else parts.push({ kind: piece.kind, name: piece.kind === 'tool' ? (piece.name ?? '') : '', text });
    }
  }
  return { parts, stopReason, message };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
