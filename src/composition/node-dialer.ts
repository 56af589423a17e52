/**
 * The way from the node to its control server and relays. The control server is the operator's own
 * choice and is dialled wherever it is. Relays come out of the network's map: on the control server's
 * host they may be at a private address, too; elsewhere they pass the guard of all other outbound
 * connections (DESIGN section 6).
 */
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { AppError } from '../base/errors.ts';
import type { OperatorSettings } from '../config/index.ts';
import { constantTimeEqual, sha256 } from '../crypto/index.ts';
import { createDialer, type DialErrorCode, type Dialer } from '../net/index.ts';
import type { TailnetNodeOptions } from '../tailnet/node/index.ts';
import { parseCidr } from '../wire/ip.ts';

type NodeDialer = NonNullable<TailnetNodeOptions['dialer']>;
type Target = Parameters<NodeDialer['dial']>[0];

export interface NodeDialerOptions {
  readonly settings: Pick<OperatorSettings, 'allowUpstream' | 'caFiles' | 'timeouts'>;
  /** Origin that the operator allowed. */
  readonly loginServer: string;
  readonly ownAddresses: () => readonly string[];
}

const EVERYWHERE = ['0.0.0.0/0', '::/0'];
/** RFC 1918, RFC 6598 and RFC 4193. Not loopback: that would be this machine's own services. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'];

/** A relay that the network gives another certificate name is dialled by its own name, which fails closed. */
export function createNodeDialer(options: NodeDialerOptions): NodeDialer {
  const { settings, ownAddresses } = options;
  const dialerFor = (allow: readonly string[]): Dialer =>
    createDialer({
      allow: allow.flatMap((text) => parseCidr(text) ?? []),
      exact: [],
      ownAddresses,
      caFiles: settings.caFiles,
      connectMs: settings.timeouts.connectMs,
    });
  const guarded = dialerFor(settings.allowUpstream);
  const beside = dialerFor([...settings.allowUpstream, ...PRIVATE]);
  const trusted = dialerFor(EVERYWHERE);
  const control = new URL(options.loginServer);
  const controlPort = control.port === '' ? (control.protocol === 'https:' ? 443 : 80) : Number(control.port);
  const controlName = bare(control.hostname);
  const dialerOf = ({ hostname, port }: Target): Dialer => {
    if (bare(hostname).toLowerCase() !== controlName) return guarded;
    return port === controlPort ? trusted : beside;
  };
  return {
    async dial(target) {
      const { protocol, hostname, port, signal, certificateSha256: pin } = target;
      const to = { hostname, port, ...(signal === undefined ? {} : { signal }) };
      if (protocol === 'http:' || pin === undefined) return dialerOf(target).dial({ ...to, protocol });
      const socket = await dialerOf(target).dial({ ...to, protocol: 'http:' });
      return securePinned(socket, {
        pin,
        where: `${hostname}:${port}`,
        timeoutMs: settings.timeouts.connectMs,
      });
    },
  };
}

/** TLS with the one certificate that the network's map names, whoever signed it. */
function securePinned(
  socket: Socket,
  { pin, where, timeoutMs }: { readonly pin: string; readonly where: string; readonly timeoutMs: number },
): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const secured = tls.connect({ socket, minVersion: 'TLSv1.2', rejectUnauthorized: false });
    const fail = (cause: unknown): void => {
      clearTimeout(timer);
      secured.destroy();
      const message = `no TLS connection to the relay ${where} with the certificate that the network names`;
      reject(new AppError<DialErrorCode>('tls_failed', message, { cause }));
    };
    const timer = setTimeout(() => fail(new Error('no answer in time')), timeoutMs);
    secured.on('error', fail);
    secured.once('secureConnect', () => {
      const found = secured.getPeerX509Certificate();
      if (found === undefined || !constantTimeEqual(sha256(found.raw), Buffer.from(pin, 'hex')))
        return fail(new Error('another certificate'));
      clearTimeout(timer);
      secured.off('error', fail);
      /* Until its owner listens, an error must not be an uncaught one; `close` follows. */
      secured.on('error', () => undefined);
      resolve(secured);
    });
  });
}

function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}
