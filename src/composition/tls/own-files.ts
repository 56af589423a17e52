/** The operator's certificate from files, read again when they change (a renewal by certbot and the like). */
import { readFile } from 'node:fs/promises';
import tls from 'node:tls';
import { AppError, describeError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { readCertificate } from '../../crypto/index.ts';
import type { TlsMaterial } from '../../net/index.ts';

export interface OwnCertificate {
  readonly current: TlsMaterial;
  /** Called with a new certificate, after `current` is it. */
  onChange(listener: () => void): void;
  /** Reads the files again now; a pair that does not fit together leaves the former one in use. */
  reload(): Promise<void>;
  close(): void;
}

export interface OwnFilesOptions {
  readonly certFile: string;
  readonly keyFile: string;
  readonly logger: Logger;
}

/** A renewal is days early; a minute is soon enough. */
const POLL_MS = 60_000;

/** @throws AppError<'tls_files_invalid'> */
export async function openOwnCertificate({
  certFile,
  keyFile,
  logger,
}: OwnFilesOptions): Promise<OwnCertificate> {
  const listeners: (() => void)[] = [];
  let current = await readPair(certFile, keyFile);
  let lastFault = '';
  const reload = async (): Promise<void> => {
    try {
      const next = await readPair(certFile, keyFile);
      lastFault = '';
      if (next.cert === current.cert && next.key === current.key) return;
      current = next;
      logger.info('a new certificate is in use', { file: certFile });
      for (const listener of listeners) listener();
    } catch (error) {
      const fault = describeError(error);
      if (fault !== lastFault)
        logger.error('the new certificate is not taken; the former one stays in use', { error: fault });
      lastFault = fault;
    }
  };
  const timer = setInterval(() => void reload(), POLL_MS);
  timer.unref();
  return {
    get current() {
      return current;
    },
    onChange: (listener) => void listeners.push(listener),
    reload,
    close: () => clearInterval(timer),
  };
}

async function readPair(certFile: string, keyFile: string): Promise<TlsMaterial> {
  const [cert, key] = await Promise.all([readPem(certFile), readPem(keyFile)]);
  if (readCertificate(cert) === null) throw invalid(`tls.certFile ${certFile} holds no certificate (PEM)`);
  try {
    tls.createSecureContext({ cert, key });
  } catch (error) {
    throw invalid(
      `tls.keyFile ${keyFile} is not the key (PEM, without passphrase) of tls.certFile ${certFile}`,
      error,
    );
  }
  return { cert, key };
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw invalid(`${path} cannot be read: ${describeError(error)}`, error);
  }
}

function invalid(message: string, cause?: unknown): AppError<'tls_files_invalid'> {
  return new AppError('tls_files_invalid', message, cause === undefined ? {} : { cause });
}
