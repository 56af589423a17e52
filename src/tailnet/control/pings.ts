/** Questions to devices over their map streams (tailcfg.PingRequest): a sign of life, or a request to the client program. */
import type { Clock, UnixMs } from '../../base/clock.ts';
import { encodeBase32 } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import type { KeyHex } from '../protocol/index.ts';
import type { MapViewer } from './map-viewer.ts';

const PINGS_MAX = 1000;
const ID_BYTES = 10;
/** An answer is an HTTP message; what a client tells of itself is small. */
export const CLIENT_ANSWER_MAX_BYTES = 256 * 1024;

interface Waiting {
  readonly machineKey: KeyHex;
  readonly until: UnixMs;
  readonly settle: (answer: Buffer | null) => void;
}

export interface Asked {
  readonly viewer: MapViewer;
  /** Whose answer it must be. */
  readonly machineKey: KeyHex;
  readonly timeoutMs: number;
}

export class Pings {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #waiting = new Map<string, Waiting>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Milliseconds until the device answered; null if it did not. */
  async ping(asked: Asked): Promise<number | null> {
    const begun = this.#clock.monotonicMs();
    const answer = await this.#ask(asked, (id) => ({
      URL: `https://unused/machine/ping-response?id=${id}`,
      URLIsNoise: true,
    }));
    return answer === null ? null : this.#clock.monotonicMs() - begun;
  }

  /** The HTTP answer of the client program to an HTTP request, as bytes; null if none came. */
  request(asked: Asked, request: Buffer): Promise<Buffer | null> {
    return this.#ask(asked, (id) => ({
      URL: `https://unused/machine/c2n/${id}`,
      URLIsNoise: true,
      Types: 'c2n',
      Payload: request.toString('base64'),
    }));
  }

  /** True if somebody waited for this answer of this machine. */
  answer(id: string, machineKey: KeyHex, body: Buffer): boolean {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined || waiting.machineKey !== machineKey) return false;
    this.#waiting.delete(id);
    waiting.settle(body);
    return true;
  }

  pass(now: UnixMs): void {
    for (const [id, { until, settle }] of this.#waiting) {
      if (until > now) continue;
      this.#waiting.delete(id);
      settle(null);
    }
  }

  #ask({ viewer, machineKey, timeoutMs }: Asked, request: (id: string) => object): Promise<Buffer | null> {
    if (this.#waiting.size >= PINGS_MAX) return Promise.resolve(null);
    const id = encodeBase32(this.#random.bytes(ID_BYTES));
    return new Promise((settle) => {
      this.#waiting.set(id, { machineKey, until: this.#clock.now() + timeoutMs, settle });
      viewer.ping(JSON.stringify(request(id)));
    });
  }
}
