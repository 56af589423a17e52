/** A request as the fake cloud received it, and what every provider of the cloud insists on. */

export interface Received {
  readonly method: string;
  /** As on the wire, without the query. */
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** One byte a write. */
  readonly inBytes?: boolean;
}

/** A rule that a request broke; becomes the answer. */
export class Violation extends Error {
  readonly status: number;

  constructor(status: number, why: string) {
    super(why);
    this.name = 'Violation';
    this.status = status;
  }
}

export function insist(condition: boolean, status: number, why: string): asserts condition {
  if (!condition) throw new Violation(status, why);
}

/** The only value of a header; '' if absent. Repeated is a violation. */
export function header(received: Received, name: string): string {
  const values: string[] = [];
  for (let i = 0; i + 1 < received.rawHeaders.length; i += 2) {
    if (received.rawHeaders[i]?.toLowerCase() === name) values.push(received.rawHeaders[i + 1] ?? '');
  }
  insist(values.length <= 1, 400, `header ${name} is repeated`);
  return values[0] ?? '';
}

const CREDENTIALS = ['authorization', 'x-api-key', 'x-goog-api-key', 'api-key'];

/** What no provider may ever see, and what the framing must be. */
export function checkCommon(received: Received): void {
  for (let i = 0; i < received.rawHeaders.length; i += 2) {
    const name = (received.rawHeaders[i] ?? '').toLowerCase();
    insist(!name.startsWith('x-postern-'), 400, `header ${name} went upstream`);
    insist(name !== 'cookie' && name !== 'transfer-encoding', 400, `header ${name} went upstream`);
  }
  const credentials = CREDENTIALS.filter((name) => header(received, name) !== '');
  insist(credentials.length <= 1, 400, `several credentials: ${credentials.join(', ')}`);
  insist(!/(?:^|&)(?:key|access_token)=/.test(received.query), 400, 'a credential in the query');
  insist(header(received, 'accept-encoding') === 'identity', 400, 'accept-encoding is not identity');
  const length = header(received, 'content-length');
  insist(length === '' || Number(length) === received.body.length, 400, 'content-length is wrong');
}

export function jsonAnswer(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: Buffer.from(JSON.stringify(value)),
  };
}

/** The body's fields; a violation if it is not a JSON object. */
export function jsonBody(received: Received): Record<string, unknown> {
  insist(header(received, 'content-type').startsWith('application/json'), 415, 'content-type is not JSON');
  let value: unknown;
  try {
    value = JSON.parse(received.body.toString('utf8'));
  } catch {
    throw new Violation(400, 'the body is not JSON');
  }
  insist(isFields(value), 400, 'the body is not an object');
  return value;
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
