/**
 * Makes load from its own process, over raw sockets: an HTTP client library would cost more than the
 * gateway. Reads a job (JSON) from the first argument, prints a `LoadResult`.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { readFileSync } from 'node:fs';

export interface LoadJob {
  /** `closed`: as fast as answers come. `rate`: at fixed times whatever comes back. `streams`: one each, together. */
  readonly mode: 'closed' | 'rate' | 'streams';
  /** Of the whole request URL. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyFile: string;
  /** `streams`: sent first on every connection, so that what is new about it is paid before. */
  readonly warmBodyFile?: string;
  /** Connections; for `rate` the most that are opened. */
  readonly connections: number;
  readonly seconds?: number;
  readonly perSecond?: number;
  /** `streams`: time over which they are opened; default 1,000. */
  readonly spreadMs?: number;
  /** `closed`: ends after this many requests instead of after `seconds`. */
  readonly requests?: number;
}

export interface LoadResult {
  readonly done: number;
  readonly errors: number;
  readonly seconds: number;
  /** Microseconds from sending to the whole answer, or to the first event of a stream. */
  readonly latenciesUs: readonly number[];
  /** Streams: microseconds from the mock's stamp to its arrival here. */
  readonly lagsUs: readonly number[];
  readonly chunks: number;
  /** Streams: microseconds of the first request of each connection. */
  readonly newConnectionUs: readonly number[];
}

/** What has not come this long after the end is not waited for. */
const GIVE_UP_MS = 5000;

interface Exchange {
  readonly socket: Socket;
  busy: boolean;
  sentAt: bigint;
  head: string;
  left: number;
  ok: boolean;
  first: boolean;
  tail: string;
}

const job: LoadJob = JSON.parse(process.argv[2] ?? '{}');
const target = new URL(job.url);
const body = readFileSync(job.bodyFile);
const request = requestBytes(body);
const result = {
  done: 0,
  errors: 0,
  chunks: 0,
  latenciesUs: [] as number[],
  lagsUs: [] as number[],
  newConnectionUs: [] as number[],
};
const idle: Exchange[] = [];
let open = 0;
/** When the clock started; `rate` starts it again. */
let began = performance.now();
let onDone: (exchange: Exchange) => void = () => undefined;

function requestBytes(body: Buffer): Buffer {
  const headers = {
    host: target.host,
    'content-type': 'application/json',
    ...job.headers,
    'content-length': String(body.length),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([
    Buffer.from(`POST ${target.pathname}${target.search} HTTP/1.1\r\n${lines.join('')}\r\n`),
    body,
  ]);
}

function createExchange(): Exchange {
  open += 1;
  const socket = connect({ port: Number(target.port), host: target.hostname, noDelay: true });
  const exchange: Exchange = {
    socket,
    busy: false,
    sentAt: 0n,
    head: '',
    left: -1,
    ok: false,
    first: true,
    tail: '',
  };
  socket.on('data', (piece) => receive(exchange, Buffer.isBuffer(piece) ? piece : Buffer.from(piece)));
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    open -= 1;
    const at = idle.indexOf(exchange);
    if (at >= 0) idle.splice(at, 1);
    if (exchange.busy) fail(exchange);
  });
  return exchange;
}

function send(exchange: Exchange, bytes: Buffer = request): void {
  exchange.busy = true;
  exchange.left = -1;
  exchange.head = '';
  exchange.first = true;
  exchange.tail = '';
  exchange.sentAt = process.hrtime.bigint();
  exchange.socket.write(bytes);
}

function fail(exchange: Exchange): void {
  exchange.busy = false;
  result.errors += 1;
  onDone(exchange);
}

function receive(exchange: Exchange, piece: Buffer): void {
  let data = piece;
  if (exchange.left === -1) {
    exchange.head += data.toString('latin1');
    const end = exchange.head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = exchange.head.slice(0, end).toLowerCase();
    exchange.ok = / 200 /.test(head.slice(0, 16));
    const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
    // -2: the end is known by the last chunk.
    exchange.left = length === undefined ? -2 : Number(length);
    data = Buffer.from(exchange.head.slice(end + 4), 'latin1');
  }
  if (exchange.left === -2) {
    const text = exchange.tail + data.toString('latin1');
    if (job.mode === 'streams') readStamps(exchange, text);
    exchange.tail = text.slice(-64);
    if (exchange.tail.endsWith('0\r\n\r\n')) finish(exchange);
    return;
  }
  exchange.left -= data.length;
  if (exchange.left <= 0) finish(exchange);
}

/** Every stamp that is whole now and was not whole before. */
function readStamps(exchange: Exchange, text: string): void {
  const now = process.hrtime.bigint();
  const from = exchange.tail.lastIndexOf(';') + 1;
  for (const found of text.slice(from).matchAll(/t=(\d{6,});/g)) {
    result.chunks += 1;
    result.lagsUs.push(Number(now - BigInt(found[1] ?? 0)) / 1000);
    if (exchange.first) result.latenciesUs.push(Number(now - exchange.sentAt) / 1000);
    exchange.first = false;
  }
}

function finish(exchange: Exchange): void {
  if (!exchange.ok) {
    exchange.socket.destroy();
    return;
  }
  exchange.busy = false;
  result.done += 1;
  if (job.mode !== 'streams')
    result.latenciesUs.push(Number(process.hrtime.bigint() - exchange.sentAt) / 1000);
  onDone(exchange);
}

function closedLoop(ended: () => void): void {
  const until = performance.now() + (job.seconds ?? 1) * 1000;
  const wanted = job.requests ?? Number.POSITIVE_INFINITY;
  let started = 0;
  let running = 0;
  const next = (exchange: Exchange): void => {
    const more = started < wanted && (job.requests !== undefined || performance.now() < until);
    if (more && result.errors < 1000) {
      started += 1;
      send(exchange.socket.destroyed ? createExchange() : exchange);
      return;
    }
    running -= 1;
    if (running === 0) ended();
  };
  onDone = next;
  for (let i = 0; i < job.connections; i += 1) {
    running += 1;
    next(createExchange());
  }
}

/** Connections that `rate` opens, and asks once, before its clock starts: else the first answers would pay for them. */
const WARM_CONNECTIONS = 64;

/** Open loop: what is due is sent, whether or not answers came; a slow target cannot slow the questions. */
function fixedRate(ended: () => void): void {
  const perSecond = job.perSecond ?? 1000;
  const total = Math.floor(perSecond * (job.seconds ?? 1));
  const startClock = (): void => {
    Object.assign(result, { done: 0, errors: 0, latenciesUs: [] });
    began = performance.now();
    onDone = (exchange) => {
      if (!exchange.socket.destroyed) idle.push(exchange);
      if (result.done + result.errors === total) ended();
    };
    let sent = 0;
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * perSecond));
      for (; sent < due; sent += 1) sendOnIdle();
      if (sent === total) clearInterval(timer);
      if (result.done + result.errors === total) ended();
    }, 1);
  };
  let warming = WARM_CONNECTIONS;
  onDone = (exchange) => {
    warming -= 1;
    if (!exchange.socket.destroyed) idle.push(exchange);
    if (warming === 0) startClock();
  };
  for (let i = 0; i < WARM_CONNECTIONS; i += 1) send(createExchange());
}

function sendOnIdle(): void {
  const exchange = idle.pop() ?? (open < job.connections ? createExchange() : null);
  if (exchange === null) result.errors += 1;
  else send(exchange);
}

function streams(ended: () => void): void {
  const warm = requestBytes(readFileSync(job.warmBodyFile ?? job.bodyFile));
  const opened: Exchange[] = [];
  let running = job.connections;
  const streamOn = (): void => {
    running = opened.length;
    result.done = 0;
    onDone = (exchange) => {
      running -= 1;
      exchange.socket.destroy();
      if (running === 0) ended();
    };
    if (running === 0) ended();
    opened.forEach((exchange, index) => spread(index, () => send(exchange)));
  };
  onDone = (exchange) => {
    running -= 1;
    if (!exchange.socket.destroyed) {
      opened.push(exchange);
      result.newConnectionUs.push(Number(process.hrtime.bigint() - exchange.sentAt) / 1000);
    }
    if (running > 0) return;
    // The bench begins to count when it reads this.
    process.stderr.write('warm\n', streamOn);
  };
  for (let i = 0; i < job.connections; i += 1) spread(i, () => send(createExchange(), warm));
}

/** Spread over some time, as callers are: all at once would measure the accept queue. */
function spread(index: number, act: () => void): void {
  setTimeout(act, (index * (job.spreadMs ?? 1000)) / job.connections);
}

let reported = false;
function report(): void {
  if (reported) return;
  reported = true;
  const seconds = (performance.now() - began) / 1000;
  process.stdout.write(JSON.stringify({ ...result, seconds }), () => process.exit(0));
}
setTimeout(report, (job.seconds ?? 1) * 1000 + GIVE_UP_MS);
if (job.mode === 'closed') closedLoop(report);
else if (job.mode === 'rate') fixedRate(report);
else streams(report);
