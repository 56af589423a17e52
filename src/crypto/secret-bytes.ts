import { inspect } from 'node:util';
import { REDACTED } from '../base/secret.ts';

/**
 * Secret bytes (a preshared key, a session's keys) that print as `[secret]`. It owns a copy. `wipe`
 * overwrites that copy; copies that the runtime made on the way are beyond reach.
 */
export class SecretBytes {
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes);
  }

  get byteLength(): number {
    return this.#bytes.byteLength;
  }

  /** The bytes themselves, not a copy: call it where they are used, and never alter them. */
  reveal(): Buffer {
    return this.#bytes;
  }

  /** Overwrites the bytes with zeros. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
