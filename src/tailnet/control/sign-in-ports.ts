/** What sign-in pages need of others. */

/** Whom a provider vouches for. Texts are not ours. */
export interface SignInPerson {
  readonly subject: string;
  /** Lower case; null unless verified. */
  readonly email: string | null;
  readonly name: string;
  readonly groups: readonly string[];
}

/** One provider of the operator's settings; `src/oidc/client` satisfies it. */
export interface SignInProvider {
  /** As rules name it. */
  readonly id: string;
  /** On the button. */
  readonly title: string;
  /** Throws AppError with words for the person. */
  begin(redirectUri: string): Promise<{
    readonly url: string;
    /** Comes back with the browser; unguessable. */
    readonly state: string;
    finish(callback: URL): Promise<SignInPerson>;
  }>;
}
