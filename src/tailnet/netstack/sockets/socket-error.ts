/** Errors as node:net's sockets have them, so that programs written for those need not know the difference. */
import { constants } from 'node:os';
import type { TcpFailure } from '../tcp/block.ts';

export type SocketErrorCode = TcpFailure | 'EPIPE' | 'EADDRINUSE' | 'EMSGSIZE' | 'ENOTFOUND' | 'EMFILE';

/** What failed, for `message` and the fields of the same names. */
export interface SocketErrorFacts {
  /** As node:net says it: `connect`, `read`, `write`, `listen`, `send`. */
  readonly syscall: string;
  readonly address?: string;
  readonly port?: number;
}

/** An error of a socket: `code` and `errno` as on Linux (Node's own are negative). */
export class SocketError extends Error {
  readonly code: SocketErrorCode;
  readonly errno: number;
  readonly syscall: string;
  readonly address: string | undefined;
  readonly port: number | undefined;

  constructor(code: SocketErrorCode, facts: SocketErrorFacts) {
    const where = facts.address === undefined ? '' : ` ${facts.address}:${facts.port ?? 0}`;
    super(`${facts.syscall} ${code}${where}`);
    this.name = 'Error';
    this.code = code;
    this.errno = code === 'ENOTFOUND' ? -3008 : -(constants.errno[code] ?? 0);
    this.syscall = facts.syscall;
    this.address = facts.address;
    this.port = facts.port;
  }
}
