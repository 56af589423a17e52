/** What one answer of the fake says, before a format writes it down. */
import type { Behaviour } from './behaviours.ts';

/** Counts as the fake reports them; every format maps them to its own names. */
export interface FakeUsage {
  /** All input, cached and written included. */
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite5m: number;
  readonly cacheWrite1h: number;
  /** All output, reasoning included. */
  readonly output: number;
  readonly reasoning: number;
  readonly inputAudio: number;
  readonly outputAudio: number;
  readonly inputImage: number;
}

const NOTHING: FakeUsage = {
  input: 0,
  cacheRead: 0,
  cacheWrite5m: 0,
  cacheWrite1h: 0,
  output: 0,
  reasoning: 0,
  inputAudio: 0,
  outputAudio: 0,
  inputImage: 0,
};

/** The figures of each usage behaviour; tests compare records with these. */
export const USAGE: Readonly<Record<Exclude<Behaviour['usage'], 'missing'>, FakeUsage>> = {
  plain: { ...NOTHING, input: 11, output: 7 },
  zero: NOTHING,
  rich: {
    input: 1000,
    cacheRead: 600,
    cacheWrite5m: 100,
    cacheWrite1h: 50,
    output: 200,
    reasoning: 80,
    inputAudio: 30,
    outputAudio: 20,
    inputImage: 40,
  },
};

/** The pieces of the plain answer; several hold characters of two, three and four bytes. */
export const PIECES: readonly string[] = [
  'Hello ',
  'from the ',
  'fake upstream',
  ': é, ',
  '漢字, ',
  '👋',
  '.',
];

/** The plain answer in one piece. */
export const ANSWER_TEXT = PIECES.join('');

/** A tool call that the fake makes up; the arguments are JSON text. */
export interface FakeToolCall {
  readonly name: string;
  readonly arguments: string;
}

export interface Answer {
  /** A number unlike that of any other answer of this fake, for ids. */
  readonly serial: number;
  readonly model: string;
  readonly pieces: readonly string[];
  readonly usage: FakeUsage | null;
  /** Asked for instead of the text, where there are any. */
  readonly toolCalls: readonly FakeToolCall[];
  /** What the calls are tied to; see `Behaviour.signed`. */
  readonly signed: boolean;
  readonly unknowns: boolean;
  /** Chat completions only; see `Behaviour.usageWithChoices`. */
  readonly usageWithChoices: boolean;
  /** Chat completions only: the caller asked for the usage chunk. */
  readonly includeUsage: boolean;
}

/** Seconds since 1970 in every answer of the fake: constant, so that bytes can be compared. */
export const CREATED_SEC = 1_790_000_000;

export interface AnswerInput {
  readonly serial: number;
  readonly model: string;
  readonly behaviour: Behaviour;
  /** Names of the tools that the request offers. */
  readonly offeredTools: readonly string[];
  /** What a test wants to be called; null leaves it to the behaviour. */
  readonly calls: readonly FakeToolCall[] | null;
  readonly includeUsage: boolean;
  /** Said instead of the plain answer. */
  readonly text: string | null;
}

export function composeAnswer(input: AnswerInput): Answer {
  const { behaviour } = input;
  const once = input.text === null ? PIECES : [input.text];
  const pieces =
    behaviour.repeat === 1 ? once : Array.from({ length: behaviour.repeat }, () => once.join(' '));
  return {
    serial: input.serial,
    model: input.model,
    pieces,
    usage: behaviour.usage === 'missing' ? null : USAGE[behaviour.usage],
    toolCalls: input.calls ?? callsOf(behaviour, input.offeredTools),
    signed: behaviour.signed,
    unknowns: behaviour.unknowns,
    usageWithChoices: behaviour.usageWithChoices,
    includeUsage: input.includeUsage,
  };
}

function callsOf(behaviour: Behaviour, offered: readonly string[]): readonly FakeToolCall[] {
  const [first, second] = offered;
  if (!behaviour.toolCall || first === undefined) return [];
  const one = { name: first, arguments: '{"path":"README.md"}' };
  return behaviour.parallel ? [one, { name: second ?? first, arguments: '{"path":"LICENSE"}' }] : [one];
}

/** The signature that an answer's thinking or first call bears. */
export function signatureOf(answer: Answer): string {
  return Buffer.from(`signed by the fake, ${answer.serial}`).toString('base64');
}

/** One answer in one wire format, whole and as a stream. */
export interface FormatWriter {
  whole(answer: Answer): unknown;
  /** Each item is one write: complete events with their blank line. */
  stream(answer: Answer): string[];
  /** The event by which this format says in mid-stream that it failed. */
  readonly streamError: string;
}

/** An SSE event with only data. */
export function dataEvent(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/** What a named event carries: its name as `type`, and whatever the format puts beside it. */
export type NamedEvent = Readonly<Record<string, unknown>> & { readonly type: string };

/** An SSE event with a name, which Anthropic and Responses repeat as `type` inside. */
export function namedEvent(value: NamedEvent): string {
  return `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
}

/** An id with the answer's number in it, and which of several it is. */
export function serialId(prefix: string, serial: number, index = 0): string {
  return `${prefix}${String(serial).padStart(8, '0')}${index === 0 ? '' : `_${index}`}`;
}
