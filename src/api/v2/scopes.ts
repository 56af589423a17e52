/** What an access token may do, by Tailscale's names: `devices:core` includes `devices:core:read`, `all` everything. */
export const SCOPES = [
  'all',
  'account_settings',
  'auth_keys',
  'devices:core',
  'devices:routes',
  'dns',
  'feature_settings',
  'logs:configuration',
  'networking_settings',
  'oauth_keys',
  'policy_file',
  'tailnets',
  'users',
  'webhooks',
] as const;

export type Scope = (typeof SCOPES)[number];
/** What a route asks for. */
export type NeededScope = Scope | `${Scope}:read`;

/** As the older names of some scopes were. */
const ALIASES: Readonly<Record<string, string>> = {
  devices: 'devices:core',
  acl: 'policy_file',
  'acl:read': 'policy_file:read',
  routes: 'devices:routes',
};

/** Those of a space- or comma-separated text or a list; null if one is none of ours. */
export function readScopes(given: string | readonly string[]): readonly string[] | null {
  const words = typeof given === 'string' ? given.split(/[\s,]+/).filter((word) => word !== '') : given;
  const scopes = words.map((word) => ALIASES[word] ?? word);
  return scopes.every(isScope) ? [...new Set(scopes)] : null;
}

function isScope(text: string): boolean {
  return (SCOPES as readonly string[]).includes(text.replace(/:read$/, ''));
}

export function covers(scopes: readonly string[], needed: NeededScope): boolean {
  const base = needed.replace(/:read$/, '');
  if (scopes.includes('all') || scopes.includes(needed) || scopes.includes(base)) return true;
  return needed.endsWith(':read') && scopes.includes('all:read');
}

/** Whether nothing is asked for beyond what is held. */
export function isWithin(asked: readonly string[], held: readonly string[]): boolean {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `readScopes` made them
  return asked.every((scope) => covers(held, scope as NeededScope));
}
