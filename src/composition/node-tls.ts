/**
 * TLS over connections of a network stack of our own. The handshake is done here and not by a
 * `node:https` server, because the door has to know which connection of the network is inside.
 */
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import type { Logger } from '../base/log.ts';
import type { OwnCertificate } from './tls/own-files.ts';

export interface AcceptTls {
  /** Calls back with the encrypted stream once the handshake is done; a connection that fails it is closed. */
  accept(socket: Duplex, onSecured: (secured: tls.TLSSocket) => void): void;
}

/** 10 s: a handshake takes two round trips. */
const HANDSHAKE_MS = 10_000;
/** Handshakes at once; further connections are closed. */
const HANDSHAKES_MAX = 1_000;

export function createAcceptTls(options: {
  readonly certificate: OwnCertificate;
  readonly logger: Logger;
}): AcceptTls {
  const { certificate, logger } = options;
  const contextOfNow = (): tls.SecureContext =>
    tls.createSecureContext({ ...certificate.current, minVersion: 'TLSv1.2' });
  let secureContext = contextOfNow();
  certificate.onChange(() => {
    secureContext = contextOfNow();
  });
  let handshakes = 0;
  return {
    accept(socket, onSecured) {
      if (handshakes >= HANDSHAKES_MAX) {
        socket.destroy();
        return;
      }
      handshakes += 1;
      const secured = new tls.TLSSocket(socket, {
        isServer: true,
        secureContext,
        ALPNProtocols: ['http/1.1'],
      });
      const end = (): void => {
        handshakes -= 1;
        clearTimeout(timer);
        secured.off('close', end);
      };
      const timer = setTimeout(() => secured.destroy(), HANDSHAKE_MS);
      timer.unref();
      secured.once('close', end);
      secured.on('error', (error: Error) => {
        logger.debug('a TLS connection of the joined network failed', { error: error.message });
        socket.destroy();
      });
      secured.once('secure', () => {
        end();
        onSecured(secured);
      });
    },
  };
}
