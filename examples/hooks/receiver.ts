/**
 * What every receiver of Postern's hooks needs, in plain Node: a bounded body, a checked signature, an
 * answer in JSON. Whoever has no valid signature gets a 401 and is told nothing. A decision that cannot
 * be had is a 503: then the hook's `fail_policy` decides, and nothing here allows by accident.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import http from 'node:http';

/** 64 MiB: above what Postern takes from its callers. */
const BODY_MAX_BYTES = 64 * 1024 * 1024;
/** A call that is older, or from a future that is further off, may be a replay. */
const SKEW_MAX_SEC = 300;

/** The payload as Postern sends it; see docs/hooks.md for all of its members. */
export interface HookPayload {
  readonly metadata: {
    readonly login_name: string;
    readonly stable_node_id: string;
    readonly tailnet_name: string;
    readonly model: string;
    readonly provider: string;
    readonly request_id: string;
    readonly session_id: string;
    /** Where the hook's `send` has `grants`. */
    readonly grants?: unknown;
  };
  readonly tool_call?: { readonly id: string | null; readonly name: string; readonly params: unknown };
  readonly [member: string]: unknown;
}

/** An answer to `pre_request` or to `tool_call`. */
export interface HookAnswer {
  readonly action: 'allow' | 'block' | 'deny' | 'ask';
  readonly message?: string;
}

export interface ReceiverOptions {
  /** As `postern` shows it for the hook. */
  readonly secret: string;
  /** `event` is `pre_request`, `tool_call`, `entire_request` or `tool_call_entire_request`. A rejection is a 503. */
  readonly decide: (event: string, payload: HookPayload) => Promise<HookAnswer>;
  /** Seconds since 1970; default the system's clock. */
  readonly nowSec?: () => number;
}

/** A server that is not listening yet. */
export function createReceiver(options: ReceiverOptions): http.Server {
  return http.createServer((req, res) => {
    answer(req, options).then(
      ({ status, body }) => {
        res.writeHead(status, { 'content-type': 'application/json' });
        res.end(JSON.stringify(body));
      },
      () => res.destroy(),
    );
  });
}

async function answer(
  req: http.IncomingMessage,
  { secret, decide, nowSec = () => Date.now() / 1000 }: ReceiverOptions,
): Promise<{ readonly status: number; readonly body: object }> {
  const body = await readBody(req);
  if (body === null) return { status: 413, body: { error: 'the body is too large' } };
  const signature = String(req.headers['x-postern-signature'] ?? '');
  if (!isSigned(signature, body, secret, nowSec())) return { status: 401, body: { error: 'not signed' } };
  try {
    const event = String(req.headers['x-postern-event'] ?? '');
    return { status: 200, body: await decide(event, JSON.parse(body.toString('utf8'))) };
  } catch {
    return { status: 503, body: { error: 'no decision' } };
  }
}

async function readBody(req: http.IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req) {
    bytes += chunk.length;
    if (bytes > BODY_MAX_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** `t=<seconds>,v1=<HMAC-SHA-256 of "<seconds>.<body>", in hex>`. */
export function isSigned(header: string, body: Buffer, secret: string, nowSec: number): boolean {
  const [, seconds = '', hex = ''] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(header) ?? [];
  if (hex === '' || Math.abs(nowSec - Number(seconds)) > SKEW_MAX_SEC) return false;
  const expected = createHmac('sha256', secret).update(`${seconds}.`).update(body).digest();
  return timingSafeEqual(expected, Buffer.from(hex, 'hex'));
}
