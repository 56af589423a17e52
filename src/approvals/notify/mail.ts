/**
 * Mail by the operator's server (RFC 5321, RFC 3207, RFC 8314). The connection is made by the guarded
 * dialer, so that a mail server is under the same rules as every other address.
 */
import type { Socket } from 'node:net';
import { AppError } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import type { Notice } from './notice.ts';

/** The operator's settings `mail`. */
export interface MailSettings {
  readonly host: string;
  readonly port: number;
  /** `implicit`: TLS from the first byte; `starttls`: required before anything is said; `none`: this machine's own relay only. */
  readonly tls: 'implicit' | 'starttls' | 'none';
  readonly from: string;
  readonly user: string | null;
  readonly password: Secret | null;
}

export interface MailerOptions {
  readonly settings: MailSettings;
  /** A plain connection, by the guarded dialer. */
  readonly dial: (target: {
    readonly protocol: 'http:';
    readonly hostname: string;
    readonly port: number;
    readonly signal: AbortSignal;
  }) => Promise<Socket>;
  /** PEM of further authorities; null for the system's own. */
  readonly ca: readonly string[] | null;
}

export interface Mailer {
  /** Resolves once the server took the message. Rejects with `AppError<'mail_failed'>`, whose message holds no address. */
  send(to: readonly string[], notice: Notice, id: string): Promise<void>;
}

/** A mail server may be slow at its greeting (RFC 5321 section 4.5.3.2 knows minutes); a notice cannot wait for that. */
const PHASE_TIMEOUT_MS = 15_000;
const SEND_TIMEOUT_MS = 60_000;
const SUBJECT_MAX_CHARS = 200;

export function createMailer(options: MailerOptions): Mailer {
  const { settings } = options;
  return {
    async send(to, notice, id) {
      // Loaded with the first mail: most servers send none.
      const { createTransport } = await import('nodemailer');
      const signal = AbortSignal.timeout(SEND_TIMEOUT_MS);
      const transport = createTransport(transportOptions(options, signal));
      const message = {
        from: settings.from,
        to: [...to],
        subject: oneLine(notice.title).slice(0, SUBJECT_MAX_CHARS),
        text: mailText(notice),
        headers: { 'Auto-Submitted': 'auto-generated', 'X-Postern-Delivery': id },
        disableFileAccess: true,
        disableUrlAccess: true,
        signal,
      };
      try {
        await transport.sendMail(message);
      } catch (error) {
        throw new AppError('mail_failed', `the mail server did not take the message${codeOf(error)}`, {
          detail: error instanceof Error ? error.message : String(error),
          cause: error,
        });
      } finally {
        transport.close();
      }
    },
  };
}

function transportOptions({ settings, dial, ca }: MailerOptions, signal: AbortSignal) {
  const { host, port, tls, user, password } = settings;
  return {
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    ...(user === null ? {} : { auth: { user, pass: password?.reveal() ?? '' } }),
    tls: { minVersion: 'TLSv1.2' as const, ...(ca === null ? {} : { ca: [...ca] }) },
    connectionTimeout: PHASE_TIMEOUT_MS,
    greetingTimeout: PHASE_TIMEOUT_MS,
    socketTimeout: PHASE_TIMEOUT_MS,
    getSocket(_: object, callback: GaveSocket) {
      void giveSocket(() => dial({ protocol: 'http:', hostname: host, port, signal }), callback);
    },
  };
}

type GaveSocket = (error: Error | null, socket: { connection: Socket } | false) => void;

async function giveSocket(connect: () => Promise<Socket>, callback: GaveSocket): Promise<void> {
  let connection: Socket;
  try {
    connection = await connect();
  } catch (error) {
    callback(error instanceof Error ? error : new Error(String(error)), false);
    return;
  }
  callback(null, { connection });
}

function mailText({ lines, link }: Notice): string {
  const texts = [...lines.map(oneLine), ...(link === null ? [] : ['', `${link.text}: ${link.url}`])];
  return `${texts.join('\n')}\n`;
}

/** What strangers wrote makes no header and no line of its own. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const response =
    'responseCode' in error && typeof error.responseCode === 'number' ? ` ${error.responseCode}` : '';
  return code === '' ? '' : `: ${code}${response}`;
}
