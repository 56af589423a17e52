/**
 * The tailnet's certificate of this node: asked of tailscaled, and asked again well before its end.
 * The daemon renews it when it is asked in the last third of its life, and tells the new one from
 * then on; so the question is repeated often enough to fall into that time.
 */
import type { Clock } from '../../base/clock.ts';
import { describeError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { readCertificate } from '../../crypto/index.ts';
import type { TlsMaterial } from '../../net/index.ts';

export interface TailnetCertificate {
  readonly name: string;
  /** Null until the first answer. */
  readonly current: TlsMaterial | null;
  close(): void;
}

export interface TailnetCertificateOptions {
  readonly name: string;
  /** May take minutes; rejects. */
  readonly fetch: (name: string) => Promise<TlsMaterial>;
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** An authority allows few failed orders an hour. */
const RETRY_FIRST_MS = 30_000;
const RETRY_MAX_MS = 60 * 60 * 1000;
const ASK_AGAIN_LEAST_MS = 1000;

export function keepTailnetCertificate(options: TailnetCertificateOptions): TailnetCertificate {
  const { name, clock, logger } = options;
  let current: TlsMaterial | null = null;
  let failures = 0;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  const ask = async (): Promise<void> => {
    let againMs: number;
    try {
      const next = await options.fetch(name);
      failures = 0;
      againMs = askAgainMs(next, clock.now());
      if (!closed && next.cert !== current?.cert) {
        current = next;
        options.onChange();
      }
    } catch (error) {
      againMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures);
      failures += 1;
      logger.warn(
        `no certificate for ${name} from tailscaled; HTTPS on the tailnet waits for it, or uses the former one`,
        {
          error: describeError(error),
          again_in_ms: againMs,
        },
      );
    }
    if (closed) return;
    timer = setTimeout(() => void ask(), againMs);
    timer.unref();
  };
  void ask();
  return {
    name,
    get current() {
      return current;
    },
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}

/** A sixth of what is left, so that several questions fall into the last third; at least daily. */
function askAgainMs({ cert }: TlsMaterial, now: number): number {
  const leftMs = (readCertificate(cert)?.notAfter ?? now) - now;
  return Math.min(DAY_MS, Math.max(ASK_AGAIN_LEAST_MS, leftMs / 6));
}
