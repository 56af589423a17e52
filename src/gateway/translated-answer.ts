/**
 * A provider's answer in another format on its way to the relay: metered by the provider's own bytes,
 * translated, then handed on as if the provider spoke the caller's format.
 */
import { createMeter, type Format, type Meter, type MeterResult } from '../llm/index.ts';
import type { AnswerTranscoder, AnswerTranslation } from '../llm/translate/index.ts';
import type { AnswerSink } from './cache/index.ts';
import { Refused } from './reasons.ts';
import type { AnswerSource, Relay } from './relay.ts';
import { mediaOf, type RawHeaders } from './response-headers.ts';

/** Bytes of an answer that is translated whole. */
const WHOLE_MAX_BYTES = 32 * 1024 * 1024;
const EMPTY: MeterResult = {
  usage: null,
  complete: false,
  error: null,
  outputChars: 0,
  model: null,
  responseId: null,
  stopReason: null,
  toolCalls: [],
};

export interface TranslatedAnswerOptions {
  readonly translation: AnswerTranslation;
  /** The provider's. */
  readonly format: Format;
  readonly streamed: boolean;
}

/** Takes one answer; `meter` is for the relay, which sees translated bytes and must not count those. */
export class TranslatedAnswer implements AnswerSink {
  readonly meter: Meter;
  readonly #options: TranslatedAnswerOptions;
  #relay: Relay | null = null;
  #provider: Meter | null = null;
  #result: MeterResult | null = null;
  #transcoder: AnswerTranscoder | null = null;
  #status = 0;
  #headers: RawHeaders = [];
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(options: TranslatedAnswerOptions) {
    this.#options = options;
    const outputChars = (): number => this.#provider?.outputChars ?? 0;
    this.meter = {
      push: () => {},
      finish: () => this.#finishMeter(),
      get outputChars() {
        return outputChars();
      },
    };
  }

  /** Where it goes; before anything else. */
  into(relay: Relay): void {
    this.#relay = relay;
  }

  begin(source: AnswerSource): void {
    this.#relay?.begin(source);
  }

  head(status: number, rawHeaders: RawHeaders): void {
    const { contentType, contentEncoding } = mediaOf(rawHeaders);
    if (contentEncoding !== null && contentEncoding !== 'identity')
      return this.#fail('the provider compressed it');
    const { translation, format, streamed } = this.#options;
    this.#status = status;
    this.#headers = withoutFraming(rawHeaders);
    this.#provider = createMeter(format, { streamed, contentType });
    if (!streamed || status >= 300) return;
    this.#transcoder = translation.createTranscoder();
    this.#relay?.head(status, [...this.#headers, 'content-type', translation.streamContentType]);
  }

  data(chunk: Buffer): void {
    this.#provider?.push(chunk);
    if (this.#transcoder !== null) return this.#pass(this.#transcoder.push(chunk));
    this.#bytes += chunk.length;
    if (this.#bytes <= WHOLE_MAX_BYTES) this.#chunks.push(chunk);
    else this.#fail(`it has more than ${WHOLE_MAX_BYTES} bytes`);
  }

  end(): void {
    if (this.#transcoder === null) return this.#endWhole();
    const { complete, error } = this.#finishMeter();
    // What broke off is told once, by the relay.
    if (complete || error !== null || this.#transcoder.fault !== null) this.#pass(this.#transcoder.finish());
    this.#relay?.end();
  }

  #endWhole(): void {
    const body = Buffer.concat(this.#chunks);
    this.#chunks = [];
    const answer = this.#options.translation.whole(this.#status, body);
    const head = [
      ...this.#headers,
      'content-type',
      answer.contentType,
      'content-length',
      String(answer.body.length),
    ];
    this.#relay?.head(answer.status, head);
    this.#pass(answer.body);
    this.#relay?.end();
  }

  #pass(bytes: Buffer): void {
    if (bytes.length > 0) this.#relay?.data(bytes);
  }

  #finishMeter(): MeterResult {
    this.#result ??= this.#provider?.finish() ?? EMPTY;
    const fault = this.#transcoder?.fault ?? null;
    if (fault === null || this.#result.error !== null) return this.#result;
    // The caller was told already.
    return { ...this.#result, error: { code: 'answer_not_translatable', message: fault } };
  }

  #fail(why: string): void {
    const refused = new Refused(
      'answer_not_translatable',
      `the answer of the provider cannot be translated: ${why}`,
    );
    this.#relay?.fail(refused, 'gateway_error');
  }
}

const FRAMING: ReadonlySet<string> = new Set(['content-type', 'content-length', 'content-encoding']);

function withoutFraming(rawHeaders: RawHeaders): RawHeaders {
  const kept: (Buffer | string)[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (!FRAMING.has(String(name).toLowerCase())) kept.push(name, rawHeaders[i + 1] ?? '');
  }
  return kept;
}
