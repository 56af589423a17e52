/**
 * `allow_stored_inputs` of a provider: addresses in object storage (`gs://`, `s3://`) that requests
 * may name as input. The provider reads them with the rights of the key or cloud account that Postern
 * adds, not of the caller, so none may be named unless the document says so.
 */
import type { Cursor } from './cursor.ts';
import type { StoredInputs } from './document.ts';

/** `gs://bucket/` and deeper, ending in a slash, or one whole object. */
const ADDRESS = /^(?:gs|s3):\/\/[a-z0-9][a-z0-9._:-]{1,220}\/[\x21-\x7e]{0,1024}$/;

/** Reads `true`, `false` or a list of prefixes; what is absent or faulty allows nothing. */
export function readStoredInputs(cursor: Cursor): StoredInputs {
  if (!cursor.exists) return [];
  if (typeof cursor.value === 'boolean') return cursor.value ? 'any' : [];
  const prefixes: string[] = [];
  for (const item of cursor.items()) {
    const text = item.string();
    if (text === null) continue;
    if (ADDRESS.test(text) && !climbs(text)) prefixes.push(text);
    else
      item.fail(
        'bad_value',
        `${item.name} is no address in object storage`,
        'write "gs://bucket/" or "s3://bucket/folder/", with a slash at the end for all that lies below',
      );
  }
  return prefixes;
}

/** Whether a provider may be asked to read an address. */
export function mayReadStoredInput(allowed: StoredInputs, address: string): boolean {
  if (allowed === 'any') return true;
  if (climbs(address)) return false;
  return allowed.some((prefix) => (prefix.endsWith('/') ? address.startsWith(prefix) : address === prefix));
}

/** `.` and `..` are plain names in object storage, but not to every program that reads from it. */
function climbs(address: string): boolean {
  return /(?:\/|%2f)(?:\.|%2e){1,2}(?:\/|%2f|$)/i.test(address);
}
