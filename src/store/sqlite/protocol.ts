/** Messages between the store and its database threads. Both ends are ours. */
import type { UnixMs } from '../../base/clock.ts';
import type { ConnectionRole } from './database.ts';
import type { StoreKeys } from './methods.ts';

/** What a thread is started with. */
export interface WorkerStart extends StoreKeys {
  readonly file: string;
  readonly role: ConnectionRole;
  /** Time to note for migrations. */
  readonly now: UnixMs;
}

/** A call; `close` ends the thread. */
export interface WorkerRequest {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** The answer to the call of the same id; id 0 tells that the thread is ready, or cannot be. */
export type WorkerResponse =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | {
      readonly id: number;
      readonly ok: false;
      readonly code: string;
      readonly message: string;
      readonly detail: string | undefined;
    };

export const READY_ID = 0;
export const CLOSE_METHOD = 'close';
