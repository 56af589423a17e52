/** What the API asks about the people of a tailnet. Refusals carry their `coordination_…` codes. */
export interface TailnetUserView {
  readonly id: number;
  readonly login: string;
  readonly displayName: string;
  readonly role: 'owner' | 'admin' | 'member';
  readonly isSuspended: boolean;
  /** By which the person signed in; null: never. */
  readonly provider: string | null;
  /** As policies name them, with `group:`. */
  readonly groups: readonly string[];
  readonly devices: number;
  readonly createdAt: number;
}

export interface SignInRuleView {
  readonly provider: string;
  readonly domains: readonly string[];
  readonly emails: readonly string[];
  readonly groups: readonly string[];
  readonly policyGroups: Readonly<Record<string, string>>;
}

/** `tailnet` is a name or an id; `user` a login or an id. */
export interface TailnetUsersPort {
  list(tailnet: string): readonly TailnetUserView[];
  add(
    tailnet: string,
    user: Pick<TailnetUserView, 'login' | 'displayName' | 'role'>,
  ): Promise<TailnetUserView>;
  /** Who is suspended loses devices and keys at once. */
  change(
    tailnet: string,
    user: string,
    change: { readonly role?: TailnetUserView['role']; readonly isSuspended?: boolean },
  ): Promise<TailnetUserView>;
  /** With devices and keys. */
  remove(tailnet: string, user: string): Promise<void>;
  /** Ids of the operator's. */
  providers(): readonly string[];
  signIn(tailnet: string): readonly SignInRuleView[];
  setSignIn(tailnet: string, rules: readonly SignInRuleView[]): Promise<readonly SignInRuleView[]>;
}
