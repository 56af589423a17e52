/** Callers for tests, as doors would give them. */
import type { Caller, TokenRights } from '../identity/caller.ts';

export function tailnetCaller(login: string, more: Partial<Caller> = {}): Caller {
  return {
    principal: `tailscale:userid:${login}`,
    tailnet: 'test',
    door: 'tailscaled',
    via: null,
    device: {
      stableId: `n-${login}`,
      name: `${login}-laptop`,
      addresses: ['100.64.0.1'],
      tags: [],
      shared: false,
    },
    user: { id: login, login, displayName: null },
    groups: [],
    capabilities: new Map(),
    token: null,
    ...more,
  };
}

export function taggedCaller(...tags: readonly string[]): Caller {
  return tailnetCaller('device', {
    principal: 'tailscale:nodeid:n1',
    device: { stableId: 'n1', name: 'ci', addresses: ['100.64.0.2'], tags, shared: false },
    user: null,
  });
}

export function localCaller(uid = 1000, login = 'alice'): Caller {
  return tailnetCaller(login, { principal: `local:${uid}`, door: 'local', device: null });
}

/** The owner's caller, by a token of theirs. */
export function byToken(owner: Caller, rights: Partial<TokenRights>): Caller {
  const token: TokenRights = { id: 'tok_1', scopes: ['use'], models: null, expiresAt: null, ...rights };
  return { ...owner, door: 'token', via: owner.door, token };
}
