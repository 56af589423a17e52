/** Why a sign-in by a provider did not come to its end. */
import { AppError } from '../../base/errors.ts';

export type SignInErrorCode =
  /** The provider cannot be reached, or what it says of itself is wrong. */
  | 'sign_in_provider_unavailable'
  /** Its answer is not one to what was asked, or does not hold: state, nonce, issuer, audience, time, signature. */
  | 'sign_in_refused';

/** What the cause was is for the log. */
export function signInError(code: SignInErrorCode, cause: unknown): AppError<SignInErrorCode> {
  return new AppError(
    code,
    code === 'sign_in_refused'
      ? 'the provider did not confirm who you are; begin again at the device'
      : 'the sign-in provider does not answer as it should; try again later',
    { cause },
  );
}
