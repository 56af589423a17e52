/**
 * What the coordination server keeps, each record as the JSON that it wrote: it holds all of them in memory
 * and the store is where they outlive the process. Only tailnet, kind and name mean anything here.
 */

export interface ControlRecordName {
  /** Empty for what belongs to the organization. */
  readonly tailnet: string;
  /** `tailnet`, `user`, `node`, `auth_key`, `counter`. */
  readonly kind: string;
  /** Unique in tailnet and kind. */
  readonly name: string;
}

export interface ControlRecordRow extends ControlRecordName {
  /** JSON. */
  readonly body: string;
}

/** The part of a store that keeps them. Methods reject with `AppError<'store_…'>`. */
export interface ControlRecordStore {
  listControlRecords(): Promise<readonly ControlRecordRow[]>;
  /** A record of the same name is replaced. One transaction, on the disk when it resolves: a device is told so. */
  writeControlRecords(
    puts: readonly ControlRecordRow[],
    deletes: readonly ControlRecordName[],
  ): Promise<void>;
}
