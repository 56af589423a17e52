/** How backups are named, so that a search knows its own. */

/** In the name of every backup that `--adopt` leaves beside a file. */
export const BACKUP_MARK = '.postern-backup-';
