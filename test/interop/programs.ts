/**
 * The programs that no one here wrote: the official tailscaled and tailscale, Headscale and wireguard-go, and a
 * shell around Tailscale's official API client, as `scripts/install-interop.sh` builds them at pinned versions,
 * outside the tree.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface Programs {
  readonly tailscaled: string;
  readonly tailscale: string;
  readonly headscale: string;
  readonly wireguardGo: string;
  /** test/interop/pinned/api-client. */
  readonly apiClient: string;
}

/** Absolute paths. @throws Error if one is missing: a missing tool is a failure, never a skip. */
export function findPrograms(env: Readonly<Record<string, string | undefined>> = process.env): Programs {
  const cache =
    env['POSTERN_INTEROP_CACHE'] ??
    join(env['XDG_CACHE_HOME'] ?? join(env['HOME'] ?? homedir(), '.cache'), 'postern-interop');
  const find = (name: string): string => {
    const path = join(cache, 'bin', name);
    if (!existsSync(path)) throw new Error(`${path} is missing: run scripts/install-interop.sh`);
    return path;
  };
  return {
    tailscaled: find('tailscaled'),
    tailscale: find('tailscale'),
    headscale: find('headscale'),
    wireguardGo: find('wireguard-go'),
    apiClient: find('api-client'),
  };
}
