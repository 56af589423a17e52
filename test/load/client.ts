/** The callers of the load tests: many chat completions over kept connections, each with its own end. */
import { Agent, request, type IncomingMessage } from 'node:http';

export interface CallPlan {
  /** Letter and number; also the session label, so that its row can be found. */
  readonly id: string;
  readonly chunks: number;
  readonly gapMs: number;
  /** Text of one chunk. */
  readonly chunkBytes: number;
  readonly stream: boolean;
  /** The caller leaves after this many bytes of the answer's body; null: never. */
  readonly abortAfterBytes: number | null;
  /** Pause of a slow reader after each 64 KiB; 0 reads at once. */
  readonly readPauseMs: number;
  /** Further bytes of conversation in the body. */
  readonly padding?: string;
}

export interface CallEnd {
  readonly id: string;
  /** `whole`: the answer's own end came. `aborted`: as planned. `cut`: the connection broke. */
  readonly end: 'whole' | 'aborted' | 'cut';
  readonly status: number;
  /** Wall clock when the end was seen. */
  readonly at: number;
}

export interface Client {
  call(plan: CallPlan): Promise<CallEnd>;
  /** One whole exchange; rejects where the connection breaks. */
  send(path: string, body?: object): Promise<{ readonly status: number; readonly text: string }>;
  close(): void;
}

export function createClient(port: number, model: string): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: Infinity });
  const options = { host: '127.0.0.1', port, agent };
  return {
    call: (plan) =>
      new Promise((resolve) => {
        const body = bodyOf(plan, model);
        let status = 0;
        const finish = (end: CallEnd['end']): void => resolve({ id: plan.id, end, status, at: Date.now() });
        const req = request(
          {
            ...options,
            method: 'POST',
            path: '/v1/chat/completions',
            headers: {
              'content-type': 'application/json',
              'content-length': body.length,
              'x-postern-session': plan.id,
            },
          },
          (res) => {
            status = res.statusCode ?? 0;
            read(res, plan, finish, () => req.destroy());
          },
        );
        req.on('error', () => finish('cut'));
        req.end(body);
      }),
    send: (path, body) =>
      new Promise((resolve, reject) => {
        const bytes = body === undefined ? null : Buffer.from(JSON.stringify(body));
        const headers =
          bytes === null ? {} : { 'content-type': 'application/json', 'content-length': bytes.length };
        request({ ...options, path, method: bytes === null ? 'GET' : 'POST', headers }, (res) => {
          let text = '';
          res.setEncoding('utf8');
          res.on('data', (chunk: string) => {
            text += chunk;
          });
          res.on('end', () => resolve({ status: res.statusCode ?? 0, text }));
          res.on('error', reject);
        })
          .on('error', reject)
          .end(bytes ?? undefined);
      }),
    close: () => agent.destroy(),
  };
}

function bodyOf(plan: CallPlan, model: string): Buffer {
  const { id, chunks, gapMs, chunkBytes, stream, padding = '' } = plan;
  return Buffer.from(
    JSON.stringify({
      model,
      user: `${id} ${chunks} ${gapMs} ${chunkBytes}`,
      ...(stream ? { stream: true } : {}),
      messages: [{ role: 'user', content: `say ${chunks} words` + padding }],
    }),
  );
}

const READ_AT_ONCE_BYTES = 64 * 1024;

function read(
  res: IncomingMessage,
  plan: CallPlan,
  finish: (end: CallEnd['end']) => void,
  leave: () => void,
): void {
  let bytes = 0;
  let pauseAt = READ_AT_ONCE_BYTES;
  let tail = '';
  res.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 64))).slice(-64);
    if (plan.abortAfterBytes !== null && bytes >= plan.abortAfterBytes) {
      finish('aborted');
      leave();
      return;
    }
    if (plan.readPauseMs === 0 || bytes < pauseAt) return;
    pauseAt = bytes + READ_AT_ONCE_BYTES;
    res.pause();
    setTimeout(() => res.resume(), plan.readPauseMs);
  });
  res.on('end', () => finish(plan.stream && !tail.endsWith('data: [DONE]\n\n') ? 'cut' : 'whole'));
  res.on('error', () => finish('cut'));
  res.on('aborted', () => finish('cut'));
}
