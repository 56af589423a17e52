/**
 * The upstream of the load tests, a process of its own: chat completions whose plan stands in the request's
 * `user` member (`ID CHUNKS GAP_MS BYTES`), and a list of what it really sent for each id on `GET /sent`.
 * Reports 100 + ID % 50 input tokens, and one output token a chunk. `/v1/responses` makes an object
 * that is kept under `resp_ID`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** What the upstream did for one request. */
export interface Sent {
  readonly id: string;
  readonly chunks: number;
  /** The whole answer, with its usage, went out. */
  readonly whole: boolean;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

interface Plan {
  readonly id: string;
  readonly chunks: number;
  readonly gapMs: number;
  readonly text: string;
}

const sent: Sent[] = [];
/** A plan stands near the start of the body, wherever the body ends. */
const PLAN = /"user":"(\w+) (\d+) (\d+) (\d+)"/;

const server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
  if (req.url === '/sent') return void res.end(JSON.stringify(sent));
  if (req.method === 'GET') return sendResponse(res, req.url?.split('/resp_')[1] ?? '');
  let start = '';
  req.on('data', (chunk: Buffer) => {
    if (start.length < 4096) start += chunk.toString('latin1', 0, 4096);
  });
  req.on('end', () => answer(req, res, start));
  return undefined;
});

function answer(req: IncomingMessage, res: ServerResponse, start: string): void {
  const [, id = '', chunks = '1', gapMs = '0', bytes = '8'] = PLAN.exec(start) ?? [];
  const plan: Plan = { id, chunks: Number(chunks), gapMs: Number(gapMs), text: 'w'.repeat(Number(bytes)) };
  if (req.url?.endsWith('/responses') === true) sendResponse(res, id);
  else if (start.includes('"stream":true')) stream(res, plan);
  else {
    note(plan, plan.chunks, true);
    res.setHeader('content-type', 'application/json');
    res.end(
      JSON.stringify({
        id,
        object: 'chat.completion',
        choices: [{ index: 0, message: { role: 'assistant', content: plan.text }, finish_reason: 'stop' }],
        usage: usageOf(plan),
      }),
    );
  }
}

function sendResponse(res: ServerResponse, id: string): void {
  const usage = { input_tokens: inputTokens(id), output_tokens: 1, total_tokens: inputTokens(id) + 1 };
  const output = [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'kept' }] }];
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ id: `resp_${id}`, object: 'response', status: 'completed', output, usage }));
}

function usageOf({ id, chunks }: Plan): object {
  const input = inputTokens(id);
  return { prompt_tokens: input, completion_tokens: chunks, total_tokens: input + chunks };
}

function inputTokens(id: string): number {
  return 100 + (Number(id.slice(1)) % 50);
}

function note({ id }: Plan, chunks: number, whole: boolean): void {
  sent.push({ id, chunks, whole, inputTokens: inputTokens(id), outputTokens: chunks });
}

function stream(res: ServerResponse, plan: Plan): void {
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  const event = `data: {"id":"${plan.id}","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"${plan.text}"},"finish_reason":null}]}\n\n`;
  let count = 0;
  let timer: NodeJS.Timeout | null = null;
  const finish = (): void => {
    note(plan, count, true);
    res.end(
      `data: {"id":"${plan.id}","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n` +
        `data: {"id":"${plan.id}","object":"chat.completion.chunk","choices":[],"usage":${JSON.stringify(usageOf(plan))}}\n\ndata: [DONE]\n\n`,
    );
  };
  const next = (): void => {
    if (count === plan.chunks) {
      if (timer !== null) clearInterval(timer);
      return finish();
    }
    count += 1;
    const takesMore = res.write(event);
    if (timer !== null) return undefined;
    // Without a gap: as fast as the reader takes it.
    if (takesMore) setImmediate(next);
    else res.once('drain', next);
    return undefined;
  };
  if (plan.gapMs > 0) timer = setInterval(next, plan.gapMs);
  res.on('close', () => {
    if (timer !== null) clearInterval(timer);
    res.removeAllListeners('drain');
    if (!res.writableFinished) note(plan, count, false);
  });
  next();
}

server.listen({ port: 0, host: '127.0.0.1', backlog: 8192 }, () => {
  process.stdout.write(`${JSON.stringify(server.address())}\n`);
});
// Ends with the test that started it, also when that is killed.
process.stdin.resume().on('end', () => process.exit(0));
