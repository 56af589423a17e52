/**
 * The way out where the embedder brings none: the system's resolver, TCP, and TLS with a verified
 * certificate. A relay whose certificate the network pins is checked by that pin and nothing else.
 * No address is refused: an operator who wants that passes a guarded dialer.
 */
import net from 'node:net';
import tls from 'node:tls';
import { constantTimeEqual, sha256 } from '../../../crypto/index.ts';
import { controlError, type StreamDialer, type StreamTarget } from '../../protocol/index.ts';

/** For connecting and the handshake together. */
const CONNECT_MS = 15_000;

/** @throws AppError<ControlErrorCode> `control_unreachable`, from `dial` */
export function createSystemDialer(): StreamDialer {
  return {
    async dial(target) {
      const deadline = AbortSignal.timeout(CONNECT_MS);
      const signal = target.signal === undefined ? deadline : AbortSignal.any([target.signal, deadline]);
      const socket = open(target);
      try {
        await ready(socket, target.protocol === 'https:' ? 'secureConnect' : 'connect', signal);
        checkPin(socket, target);
      } catch (cause) {
        socket.on('error', () => undefined);
        socket.destroy();
        throw controlError('control_unreachable', `cannot connect to ${target.hostname}:${target.port}`, {
          cause,
        });
      }
      return socket;
    },
  };
}

function open({ protocol, hostname, port, address, ...certificate }: StreamTarget): net.Socket {
  const to = { host: address ?? hostname, port, noDelay: true, keepAlive: true };
  if (protocol === 'http:') return net.connect(to);
  const name = certificate.certificateName ?? hostname;
  return tls.connect({
    ...to,
    minVersion: 'TLSv1.2',
    /* An address is no server name (RFC 6066 section 3); its certificate is checked all the same. */
    ...(net.isIP(name) === 0 ? { servername: name } : {}),
    checkServerIdentity: (_host, found) => tls.checkServerIdentity(name, found),
    rejectUnauthorized: certificate.certificateSha256 === undefined,
  });
}

function checkPin(socket: net.Socket, { protocol, certificateSha256 }: StreamTarget): void {
  if (certificateSha256 === undefined || protocol !== 'https:') return;
  const found = socket instanceof tls.TLSSocket ? socket.getPeerX509Certificate() : undefined;
  const pin = Buffer.from(certificateSha256, 'hex');
  if (found === undefined || !constantTimeEqual(sha256(found.raw), pin)) {
    throw controlError('control_unreachable', 'the relay has another certificate than the network says');
  }
}

function ready(socket: net.Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      socket.removeListener('error', settle);
      socket.removeListener(event, onReady);
      if (error === undefined) resolve();
      else
        reject(error instanceof Error ? error : new Error('the connection was given up', { cause: error }));
    };
    const onReady = (): void => settle(undefined);
    const onAbort = (): void => settle(signal.reason);
    socket.once('error', settle);
    socket.once(event, onReady);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
