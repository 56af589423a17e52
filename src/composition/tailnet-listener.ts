/**
 * The tailnet listener (DESIGN section 4): this host's tailnet addresses, on 80 and 443, opened when
 * tailscaled is up and following its addresses, names and certificate.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { OperatorSettings } from '../config/index.ts';
import { readCertificate } from '../crypto/index.ts';
import type { LocalApi, SelfNode } from '../doors/index.ts';
import type { ListenerLimits, TlsMaterial } from '../net/index.ts';
import { createListenerSet, type Place } from './listener-set.ts';
import { followTailnet } from './tailnet-self.ts';
import type { OwnCertificate } from './tls/own-files.ts';
import { keepTailnetCertificate, type TailnetCertificate } from './tls/tailnet-certificate.ts';

export interface TailnetListener {
  readonly urls: readonly string[];
  readonly self: SelfNode | null;
  close(drainMs: number): Promise<void>;
}

export interface TailnetListenerOptions {
  readonly api: LocalApi;
  readonly settings: OperatorSettings;
  readonly onRequest: (req: IncomingMessage, res: ServerResponse) => void;
  readonly limits: Partial<ListenerLimits>;
  /** Used where the process may not have port 80. */
  readonly loopbackPort: number;
  readonly own: OwnCertificate | null;
  /** The node's names or ports may have changed. */
  readonly onNames: (self: SelfNode, ports: readonly number[]) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Resolves after the first try; a daemon that is not up yet is asked until it is. */
export async function openTailnetListener(options: TailnetListenerOptions): Promise<TailnetListener> {
  const { api, own, logger, clock } = options;
  const set = createListenerSet({
    name: 'tailnet',
    onRequest: options.onRequest,
    limits: options.limits,
    logger,
  });
  let asked: TailnetCertificate | null = null;
  let self: SelfNode | null = null;
  let isUserspaceTold = false;

  const apply = async (): Promise<void> => {
    if (self === null) return;
    asked = keepAsking(self);
    await set.want(placesOf(self, certificateFor(self, own, asked?.current ?? null), options));
    options.onNames(self, set.ports());
  };

  /** The daemon is asked only for a name that the operator's own certificate lacks. */
  const keepAsking = ({ dnsName, certDomains }: SelfNode): TailnetCertificate | null => {
    const name =
      dnsName !== null && certDomains.includes(dnsName) && !coversName(own, dnsName) ? dnsName : null;
    if (asked?.name === name) return asked;
    asked?.close();
    if (name === null) return null;
    return keepTailnetCertificate({
      name,
      fetch: (wanted) => api.certificate(wanted),
      onChange: () => void apply(),
      clock,
      logger,
    });
  };

  own?.onChange(() => void apply());
  const following = await followTailnet({
    api,
    logger,
    onAnswer(answer) {
      self = answer;
      if (answer.userspace && !isUserspaceTold) {
        logger.info('tailscaled has no network device: peers reach this server on the port of `listen`', {
          port: options.loopbackPort,
        });
        isUserspaceTold = true;
      }
      return apply();
    },
  });
  return {
    urls: set.urls,
    get self() {
      return following.current;
    },
    async close(drainMs) {
      following.close();
      asked?.close();
      await set.close(drainMs);
    },
  };
}

function placesOf(self: SelfNode, tls: TlsMaterial | null, options: TailnetListenerOptions): Place[] {
  if (self.userspace) return [];
  const { httpPort, httpsPort } = options.settings.doors.tailscaled;
  return self.addresses.flatMap((host) => [
    { host, port: httpPort, tls: null, fallbackPort: options.loopbackPort },
    ...(tls === null ? [] : [{ host, port: httpsPort, tls }]),
  ]);
}

function certificateFor(
  self: SelfNode,
  own: OwnCertificate | null,
  asked: TlsMaterial | null,
): TlsMaterial | null {
  if (own === null) return asked;
  return coversName(own, self.dnsName) ? own.current : (asked ?? own.current);
}

function coversName(own: OwnCertificate | null, name: string | null): boolean {
  return own !== null && name !== null && readCertificate(own.current.cert)?.covers(name) === true;
}
