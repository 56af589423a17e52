/** Who may join which tailnet by signing in: only whom a rule of that tailnet names. Pure. */
import { coordinationError } from './errors.ts';
import type { SignInRule, UserRecord } from './records.ts';
import type { SignInPerson } from './sign-in-ports.ts';
import type { Tailnet } from './tailnet.ts';

export interface SignInFacts {
  readonly provider: string;
  readonly person: SignInPerson;
}

export type Admission =
  | { readonly type: 'refused' }
  /** `user` null: the first sign-in makes one. */
  | {
      readonly type: 'admitted';
      readonly user: UserRecord | null;
      readonly login: string;
      readonly groups: readonly string[];
    };

const REFUSED: Admission = { type: 'refused' };
const RULES_MAX = 50;
const ENTRIES_MAX = 500;
const TEXT_MAX_CHARS = 200;
const DOMAIN = /^[a-z0-9](?:[a-z0-9.-]{0,188}[a-z0-9])?$/;
const EMAIL = /^[^\s@\p{C}]{1,64}@[^\s@\p{C}]{1,190}$/u;
const GROUP = /^[a-zA-Z][a-zA-Z0-9._-]{0,62}$/;

/** Why a stranger was refused is not told: it would say who is here. */
export function admit(tailnet: Tailnet, { provider, person }: SignInFacts): Admission {
  const { kind, signIn = [] } = tailnet.record;
  if (kind === 'machines') return REFUSED;
  const rules = signIn.filter((rule) => rule.provider === provider && matches(rule, person));
  if (rules.length === 0) return REFUSED;
  const known = tailnet
    .users()
    .find(({ identity }) => identity?.provider === provider && identity.subject === person.subject);
  const user = known ?? tailnet.users().find(({ login }) => login.toLowerCase() === person.email) ?? null;
  /* A login that another account signed in with stays that account's. */
  if (user !== known && user?.identity !== undefined) return REFUSED;
  if (user?.isSuspended === true) return REFUSED;
  const login = user?.login ?? person.email;
  if (login === null) return REFUSED;
  const groups = new Set<string>();
  for (const { policyGroups } of rules)
    for (const name of person.groups) {
      const mapped = Object.hasOwn(policyGroups, name) ? policyGroups[name] : undefined;
      if (mapped !== undefined) groups.add(mapped);
    }
  return { type: 'admitted', user, login, groups: [...groups].sort() };
}

function matches({ domains, emails, groups }: SignInRule, { email, groups: has }: SignInPerson): boolean {
  const domain = email?.split('@')[1];
  return (
    (email !== null && emails.includes(email)) ||
    (domain !== undefined && domains.includes(domain)) ||
    groups.some((name) => has.includes(name))
  );
}

/** With addresses in lower case. Throws `coordination_invalid` or `coordination_limit`. */
export function checkSignInRules(
  rules: readonly SignInRule[],
  providers: readonly string[],
): readonly SignInRule[] {
  if (rules.length > RULES_MAX)
    throw coordinationError('coordination_limit', `a tailnet has at most ${RULES_MAX} sign-in rules`);
  return rules.map((rule) => checkRule(rule, providers));
}

function checkRule(rule: SignInRule, providers: readonly string[]): SignInRule {
  const { provider, groups, policyGroups } = rule;
  const domains = rule.domains.map((domain) => domain.toLowerCase());
  const emails = rule.emails.map((email) => email.toLowerCase());
  if (!providers.includes(provider))
    throw invalid(
      `there is no sign-in provider "${provider.slice(0, 100)}": the operator names them in signIn.providers`,
    );
  const wrongDomain = domains.find((domain) => !DOMAIN.test(domain));
  if (wrongDomain !== undefined)
    throw invalid(`a domain is like example.com, got "${wrongDomain.slice(0, 100)}"`);
  const wrongEmail = emails.find((email) => !EMAIL.test(email));
  if (wrongEmail !== undefined)
    throw invalid(`a mail address is like alice@example.com, got "${wrongEmail.slice(0, 100)}"`);
  const names = [...groups, ...Object.keys(policyGroups)];
  if (names.some((name) => name === '' || name.length > TEXT_MAX_CHARS))
    throw invalid(`a provider's group has 1 to ${TEXT_MAX_CHARS} characters`);
  const wrongGroup = Object.values(policyGroups).find((name) => !GROUP.test(name));
  if (wrongGroup !== undefined)
    throw invalid(
      `a policy's group has letters, digits, dots, hyphens and underscores, without "group:", got "${wrongGroup.slice(0, 100)}"`,
    );
  if (domains.length + emails.length + groups.length === 0)
    throw invalid('a sign-in rule names domains, emails or groups: without one it admits nobody');
  if (domains.length + emails.length + names.length > ENTRIES_MAX)
    throw coordinationError('coordination_limit', `a sign-in rule has at most ${ENTRIES_MAX} entries`);
  return { provider, domains, emails, groups, policyGroups };
}

function invalid(message: string): Error {
  return coordinationError('coordination_invalid', message);
}
