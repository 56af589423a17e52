/**
 * The public listener (DESIGN section 4): where devices outside every private network reach the
 * models, and nothing else, with a token over TLS. Off unless `publicUrl`, `lan` or a `listen`
 * address beyond loopback opens it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { OperatorSettings } from '../config/index.ts';
import type { ListenerLimits, TlsMaterial } from '../net/index.ts';
import type { ListenerUpgrades } from './control-upgrades.ts';
import { hostsAt, withoutPort } from './host-names.ts';
import { createListenerSet } from './listener-set.ts';
import type { OwnCertificate } from './tls/own-files.ts';
import { ensureSelfSigned, type SelfSigned } from './tls/self-signed.ts';

export interface PublicListener {
  readonly urls: readonly string[];
  /** As devices reach it; the system chose it where 0 was asked for. */
  readonly port: number;
  /** Null with files of the operator's own, or without TLS. */
  readonly selfSigned: SelfSigned | null;
  close(drainMs: number): Promise<void>;
}

export interface PublicListenerOptions {
  readonly settings: OperatorSettings;
  readonly port: number;
  /** Addresses of this machine that other devices reach, now. */
  readonly networkAddresses: () => readonly string[];
  readonly own: OwnCertificate | null;
  readonly onRequest: (req: IncomingMessage, res: ServerResponse) => void;
  /** Of devices that join Postern's own tailnets. */
  readonly upgrades: ListenerUpgrades;
  readonly limits: Partial<ListenerLimits>;
  /** The `Host` values that are right from now on. */
  readonly onHosts: (hosts: readonly string[]) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Interfaces come and go; nothing tells of it. */
const ADDRESSES_POLL_MS = 10_000;

/** Whether the settings ask for it. */
export function wantsPublicListener({ listen, lan, publicUrl }: OperatorSettings): boolean {
  return lan || publicUrl !== null || !listen.loopback;
}

/** Whether it speaks HTTP: only if the operator spelled it out, and gave no certificate. */
export function isPublicPlain({ tls, dangerouslyAllowPlainHttp }: OperatorSettings): boolean {
  return tls === null && dangerouslyAllowPlainHttp;
}

/** Rejects if none of its addresses can be opened. */
export async function openPublicListener(options: PublicListenerOptions): Promise<PublicListener> {
  const { settings, port, own, logger, clock } = options;
  const set = createListenerSet({
    name: 'public',
    onRequest: options.onRequest,
    upgrades: options.upgrades,
    limits: options.limits,
    logger,
  });
  const names = configuredNames(settings);
  const needsOne = own === null && !isPublicPlain(settings);
  const selfSigned = needsOne
    ? await ensureSelfSigned({
        stateDir: settings.stateDir,
        names: names.map(withoutPort),
        besides: ['localhost', ...publicAddresses(options)],
        clock,
      })
    : null;
  const tls = (): TlsMaterial | null => own?.current ?? selfSigned?.material ?? null;
  const apply = (): Promise<readonly Error[]> => {
    const addresses = publicAddresses(options);
    options.onHosts(hostsAt([...names, ...names.map(withoutPort), ...addresses], [port]));
    return set.want(addresses.map((host) => ({ host, port, tls: tls() })));
  };
  const [failure] = await apply();
  if (set.urls.length === 0) {
    if (failure !== undefined) throw failure;
    logger.warn('the public listener has no address yet: this machine is on no network');
  }
  own?.onChange(() => void apply());
  const timer = setInterval(() => void apply(), ADDRESSES_POLL_MS);
  timer.unref();
  return {
    urls: set.urls,
    get port() {
      return set.ports()[0] ?? port;
    },
    selfSigned,
    close(drainMs) {
      clearInterval(timer);
      return set.close(drainMs);
    },
  };
}

/** As `Host` shows them: of `publicUrl`, and `hosts`. */
function configuredNames({ publicUrl, hosts }: OperatorSettings): string[] {
  return [...(publicUrl === null ? [] : [new URL(publicUrl).host]), ...hosts];
}

/** The one that `listen` names, else all of the family that it stands for. */
export function publicAddresses({
  settings,
  networkAddresses,
}: Pick<PublicListenerOptions, 'settings' | 'networkAddresses'>): readonly string[] {
  const { host, loopback } = settings.listen;
  const all = [...new Set(networkAddresses())];
  if (loopback || host === '::') return all;
  return host === '0.0.0.0' ? all.filter((address) => !address.includes(':')) : [host];
}
