/** How the test model's answers leave: a status, a type, and bytes piece by piece. */
export interface EchoAnswer {
  readonly status: number;
  readonly contentType: string;
  /** Pulled one by one, so that a slow reader holds the answer back. */
  readonly chunks: Iterable<Buffer>;
}

export const EVENT_STREAM_TYPE = 'text/event-stream; charset=utf-8';

export function jsonAnswer(value: unknown): EchoAnswer {
  return {
    status: 200,
    contentType: 'application/json',
    chunks: [Buffer.from(JSON.stringify(value), 'utf8')],
  };
}
