/**
 * How the fake upstream misbehaves. One table: a name, what it does, and what it sets. Several may be
 * joined. A request asks for them in its model name, `gpt-fake--slow--usage-missing`, or a test
 * scripts them for the next requests with `upstream.script('status-500', 'ok')`.
 */

export interface Behaviour {
  /** Answer with this status and the dialect's error envelope instead of an answer. */
  readonly status: number | null;
  /** Sent as `retry-after` with an error status. */
  readonly retryAfterSec: number | null;
  /** Wait before the status line. */
  readonly delayBeforeMs: number;
  /** Wait between two events of a stream. */
  readonly delayBetweenMs: number;
  /** Where the answer stops short; null is an answer that arrives whole. */
  readonly stop:
    | 'hang-before-headers'
    | 'hang-mid-stream'
    | 'truncate'
    | 'reset-before-headers'
    | 'reset-mid-stream'
    | null;
  /** Half of the stream, then the format's own error event, then a clean end of the transfer. */
  readonly errorInStream: boolean;
  /** How the bytes of an answer are cut into writes. */
  readonly chunking: 'event' | 'byte' | 'split-utf8' | 'coalesced';
  readonly usage: 'plain' | 'rich' | 'zero' | 'missing';
  /** Chat completions: the usage rides on the last chunk that has choices instead of one of its own. */
  readonly usageWithChoices: boolean;
  /** Times that the text is said; the plain answer says it once. */
  readonly repeat: number;
  readonly toolCall: boolean;
  /** Two calls in one answer: of the first two tools, or of the only one twice. */
  readonly parallel: boolean;
  /** What a provider ties to calls: signed thinking before them, thought signatures on them, reasoning items. */
  readonly signed: boolean;
  /** Fields, headers and event types that no specification knows. */
  readonly unknowns: boolean;
  /** Response headers that a gateway must not hand to a browser. */
  readonly hostileHeaders: boolean;
  /** A 307 to another origin. */
  readonly redirect: boolean;
  /** The answer is compressed although nobody asked for it. */
  readonly gzip: boolean;
  /** A 200 whose body is not what its media type says. */
  readonly garbage: boolean;
}

export const WELL_BEHAVED: Behaviour = {
  status: null,
  retryAfterSec: null,
  delayBeforeMs: 0,
  delayBetweenMs: 0,
  stop: null,
  errorInStream: false,
  chunking: 'event',
  usage: 'plain',
  usageWithChoices: false,
  repeat: 1,
  toolCall: false,
  parallel: false,
  signed: false,
  unknowns: false,
  hostileHeaders: false,
  redirect: false,
  gzip: false,
  garbage: false,
};

interface BehaviourRow {
  readonly does: string;
  readonly sets: Partial<Behaviour>;
}

/** Every behaviour by name. */
export const BEHAVIOURS = {
  ok: { does: 'answers at once, one write an event', sets: {} },
  slow: {
    does: '60 ms before the status line, 20 ms between events',
    sets: { delayBeforeMs: 60, delayBetweenMs: 20 },
  },
  'hang-before-headers': { does: 'never sends a status line', sets: { stop: 'hang-before-headers' } },
  'hang-mid-stream': { does: 'half of the answer, then silence', sets: { stop: 'hang-mid-stream' } },
  truncated: { does: 'half of the answer, then a clean end of the transfer', sets: { stop: 'truncate' } },
  'reset-before-headers': {
    does: 'closes the connection instead of answering',
    sets: { stop: 'reset-before-headers' },
  },
  'reset-mid-stream': { does: 'half of the answer, then a TCP reset', sets: { stop: 'reset-mid-stream' } },
  'error-in-stream': {
    does: "half of the stream, then the format's error event",
    sets: { errorInStream: true },
  },
  'status-400': { does: 'invalid request', sets: { status: 400 } },
  'status-401': { does: 'the provider rejects the key', sets: { status: 401 } },
  'status-403': { does: 'the provider forbids it', sets: { status: 403 } },
  'status-404': { does: 'the provider does not know the model', sets: { status: 404 } },
  'status-413': { does: 'too large for the provider', sets: { status: 413 } },
  'status-429': { does: 'rate limited, retry-after: 7', sets: { status: 429, retryAfterSec: 7 } },
  'status-500': { does: 'the provider failed', sets: { status: 500 } },
  'status-503': { does: 'the provider is down, retry-after: 2', sets: { status: 503, retryAfterSec: 2 } },
  'status-529': { does: "Anthropic's overloaded", sets: { status: 529 } },
  'bytes-1': { does: 'one byte a write', sets: { chunking: 'byte' } },
  'split-utf8': {
    does: 'every write ends inside a character where it can',
    sets: { chunking: 'split-utf8' },
  },
  coalesced: { does: 'all events in one write', sets: { chunking: 'coalesced' } },
  huge: { does: 'about 8 MiB of text', sets: { repeat: 131_072 } },
  long: { does: 'about 64 KiB of text', sets: { repeat: 1024 } },
  'usage-missing': { does: 'no usage at all', sets: { usage: 'missing' } },
  'usage-zero': { does: 'usage with explicit zeros', sets: { usage: 'zero' } },
  'usage-rich': { does: 'cached, cache-write, reasoning, audio and image tokens', sets: { usage: 'rich' } },
  'usage-with-choices': {
    does: 'usage on the last chunk that has choices',
    sets: { usageWithChoices: true },
  },
  'tool-call': { does: 'calls the first tool that the request offers', sets: { toolCall: true } },
  'tool-calls-parallel': {
    does: 'calls the first two tools that the request offers, or the only one twice',
    sets: { toolCall: true, parallel: true },
  },
  signed: { does: 'thinks before it calls, with signatures', sets: { signed: true } },
  unknowns: { does: 'unknown fields, headers and events', sets: { unknowns: true } },
  'hostile-headers': { does: 'set-cookie, CORS, refresh, clear-site-data …', sets: { hostileHeaders: true } },
  redirect: { does: 'a 307 to http://127.0.0.1:9/', sets: { redirect: true } },
  gzip: { does: 'a compressed answer that nobody asked for', sets: { gzip: true } },
  garbage: { does: 'a 200 whose body is neither JSON nor events', sets: { garbage: true } },
} as const satisfies Record<string, BehaviourRow>;

export type BehaviourName = keyof typeof BEHAVIOURS;

/** What stands between a model's name and its behaviours, and between two of them. */
const SEPARATOR = '--';

/** A model id that asks for these behaviours: `modelThat('gpt-fake', 'slow', 'usage-zero')`. */
export function modelThat(base: string, ...names: readonly BehaviourName[]): string {
  return [base, ...names].join(SEPARATOR);
}

/** The behaviours that a model's name asks for. Throws on a name that the table does not have. */
export function behaviourOfModel(model: string): Behaviour {
  return combine(model.split(SEPARATOR).slice(1));
}

/** Joins behaviours, later ones over earlier. Throws on a name that the table does not have. */
export function combine(names: readonly string[]): Behaviour {
  let joined = WELL_BEHAVED;
  for (const name of names) {
    if (!isBehaviourName(name)) {
      throw new Error(`fake upstream: no behaviour '${name}'; known: ${Object.keys(BEHAVIOURS).join(', ')}`);
    }
    joined = { ...joined, ...BEHAVIOURS[name].sets };
  }
  return joined;
}

function isBehaviourName(name: string): name is BehaviourName {
  return Object.hasOwn(BEHAVIOURS, name);
}
