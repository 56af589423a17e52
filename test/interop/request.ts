/** HTTP requests from a machine of the bed: its own connection each time, from its own address. */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { IncomingHttpHeaders } from 'node:http';
import type { Machine } from './machines.ts';
import type { RequestEvent, RequestJob } from './request-process.ts';

const PROGRAM = fileURLToPath(new URL('./request-process.ts', import.meta.url));

export interface MachineRequest extends Omit<RequestJob, 'url' | 'body'> {
  readonly body?: unknown;
}

export interface MachineAnswer {
  /** 0 where there was none. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** `end`, or the code of the error that ended it. */
  readonly how: string;
  json(): Record<string, unknown>;
}

export interface MachineStream {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** What has come so far. */
  text(): string;
  /** Resolves when at least so many characters have come, or it has ended. */
  received(chars: number): Promise<void>;
  /** Resolves at its end with how it ended. */
  readonly ended: Promise<string>;
  /** The client goes away. */
  stop(): Promise<void>;
}

/** Resolves with the head of the answer, or at its failure with status 0. */
export async function openFrom(
  machine: Machine,
  url: string,
  { body, ...rest }: MachineRequest = {},
): Promise<MachineStream> {
  const job: RequestJob = { ...rest, url, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const words = [process.execPath, '--disable-warning=ExperimentalWarning', PROGRAM, JSON.stringify(job)];
  const program = machine.start(words);
  const state = { text: '', isOver: false };
  const waiting = new Set<() => void>();
  const wakeAll = (): void => {
    for (const wake of waiting) wake();
  };
  const head = Promise.withResolvers<{ status: number; headers: IncomingHttpHeaders }>();
  const ended = Promise.withResolvers<string>();
  const finish = (how: string): void => {
    state.isOver = true;
    head.resolve({ status: 0, headers: {} });
    ended.resolve(how);
    wakeAll();
  };
  const lines = createInterface({ input: program.output });
  lines.on('line', (line) => {
    const event: RequestEvent = JSON.parse(line);
    if (event.kind === 'head') head.resolve(event);
    else if (event.kind === 'end') finish(event.how);
    else {
      state.text += event.text;
      wakeAll();
    }
  });
  lines.on('close', () => finish('the client is gone'));
  const { status, headers } = await head.promise;
  return {
    status,
    headers,
    text: () => state.text,
    async received(chars) {
      while (state.text.length < chars && !state.isOver) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.add(resolve);
        await promise;
        waiting.delete(resolve);
      }
    },
    ended: ended.promise,
    stop: () => program.stop('SIGKILL'),
  };
}

/** A whole answer. */
export async function askFrom(
  machine: Machine,
  url: string,
  options: MachineRequest = {},
): Promise<MachineAnswer> {
  const stream = await openFrom(machine, url, options);
  const how = await stream.ended;
  return {
    status: stream.status,
    headers: stream.headers,
    text: stream.text(),
    how,
    json: () => JSON.parse(stream.text()) as Record<string, unknown>,
  };
}
