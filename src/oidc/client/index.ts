/** Sign-in by OpenID providers. */
export type { SignInErrorCode } from './errors.ts';
export { RelyingParty } from './relying-party.ts';
export type { RelyingPartyOptions, SignInChecks, VouchedPerson } from './relying-party.ts';
