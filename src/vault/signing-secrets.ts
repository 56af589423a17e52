/** Secrets that sign notices (`notify` of a document): kept like keys, and sent nowhere. */

/** An origin that no name resolves to (RFC 2606 section 2): what is bound to it leaves in no request. */
export const SIGNING_SECRET_ORIGIN = 'https://notify.invalid';

/** The `provider` under which the vault keeps the secret that a document calls by this name. */
export function signingSecretProvider(name: string): string {
  return `notify:${name}`;
}
