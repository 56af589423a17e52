/** Why the control server or a relay could not be used: the closed set of the network's client side. */
import { AppError, type AppErrorOptions } from '../../base/errors.ts';

export type ControlErrorCode =
  /** A URL or a key that the operator set is not one. */
  | 'control_invalid_setting'
  /** The server could not be reached, or the connection ended. */
  | 'control_unreachable'
  /** No answer in time, or silence past the watchdog. */
  | 'control_timed_out'
  /** What came is not the protocol: wrong upgrade, failed handshake, broken records, hostile sizes. */
  | 'control_protocol'
  /** An HTTP status that is not success; the message has the status and the start of the text. */
  | 'control_refused'
  /** 429; `detail` has nothing, see `RateLimited`. */
  | 'control_rate_limited'
  /** The login was refused: wrong, used or expired auth key, forbidden tags, a device that may not join. */
  | 'control_login_refused'
  /** The network has tailnet lock, which this node does not verify. */
  | 'control_tailnet_lock'
  /** We ended it. */
  | 'control_closed';

export function controlError(
  code: ControlErrorCode,
  message: string,
  options: AppErrorOptions = {},
): AppError<ControlErrorCode> {
  return new AppError(code, message, options);
}

/** True for every error of this module: the prefix of its codes is its own. */
export function isControlError(error: unknown): error is AppError<ControlErrorCode> {
  return error instanceof AppError && error.code.startsWith('control_');
}

/** 429 with the server's wish, bounded. */
export class RateLimited extends AppError<ControlErrorCode> {
  /** From 1 s to 1 h. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super('control_rate_limited', `the control server asks to wait ${Math.round(retryAfterMs / 1000)} s`);
    this.retryAfterMs = retryAfterMs;
  }
}

/** An HTTP answer that is not success. */
export class RefusedByControl extends AppError<ControlErrorCode> {
  readonly status: number;

  constructor(path: string, status: number, text: string) {
    const said = printable(text, 200);
    super(
      'control_refused',
      `the control server answered ${path} with ${status}${said === '' ? '' : `: ${said}`}`,
    );
    this.status = status;
  }
}

/** A stranger's text for a message: one line of printable characters, cut. */
export function printable(text: string, maxChars: number): string {
  return text
    .slice(0, maxChars)
    .replaceAll(/[^\x20-\x7e\u{a0}-\u{2027}\u{2030}-\u{ffff}]+/gu, ' ')
    .trim();
}
