/** The control server's address, as the operator wrote it. */
import { controlError } from './errors.ts';
import type { StreamTarget } from './ports.ts';

export interface ControlUrl {
  /** `https://control.example` or with a port. */
  readonly origin: string;
  /** Name and port, as in `Host`. */
  readonly host: string;
  /** Without a last slash; empty for none. The upgrade alone goes to the root of the host. */
  readonly basePath: string;
  readonly target: StreamTarget;
}

/**
 * `http:` is allowed: the protocol has its own encryption, and the server's key is all that TLS would
 * add at the first contact; so use it only where the way to the server is trusted.
 * @throws AppError<ControlErrorCode>
 */
export function parseControlUrl(text: string): ControlUrl {
  const url = URL.parse(text);
  const isPlain =
    url !== null && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url === null || !isPlain || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw controlError(
      'control_invalid_setting',
      'the control URL is not one: expected https://host[:port][/path] without user, query or fragment',
    );
  }
  const defaultPort = url.protocol === 'https:' ? 443 : 80;
  return {
    origin: url.origin,
    host: url.host,
    basePath: url.pathname.replace(/\/+$/, ''),
    target: {
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? defaultPort : Number(url.port),
    },
  };
}
