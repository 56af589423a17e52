/** Words about tailnets, and what names must look like before the server is asked. */
import type { TailnetDevice, TailnetKey } from './network-queries.ts';

/** One label of a host name (RFC 1035 section 2.3.4). */
export const LABEL_MAX = 63;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const TAG = /^tag:[a-zA-Z][a-zA-Z0-9-]{0,62}$/;
const DAY_MS = 86_400_000;

/** Why this is no name; null for one, and for none yet. */
export function labelProblem(text: string): string | null {
  return text === '' || LABEL.test(text)
    ? null
    : 'Lower-case letters, digits and hyphens within, such as “staging”.';
}

/** Tags that somebody typed, with `tag:` or without, by spaces or commas. */
export function readTags(text: string): {
  readonly tags: readonly string[];
  readonly problem: string | null;
} {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  const tags = [...new Set(words.map((word) => (word.startsWith('tag:') ? word : `tag:${word}`)))];
  const bad = tags.find((tag) => !TAG.test(tag));
  return {
    tags,
    problem: bad === undefined ? null : `“${bad}” is no tag: a letter, then letters, digits and hyphens.`,
  };
}

export type DeviceStanding = 'waiting' | 'expired' | 'online' | 'away';

/** The one word that matters most about a device. */
export function standingOf(device: TailnetDevice, nowMs = Date.now()): DeviceStanding {
  if (!device.authorized) return 'waiting';
  if (device.key_expires_at !== null && Date.parse(device.key_expires_at) <= nowMs) return 'expired';
  return device.online ? 'online' : 'away';
}

/** Routes that a device offers and nobody approved. */
export function openRoutes({
  offered_routes: offered,
  approved_routes: approved,
}: TailnetDevice): readonly string[] {
  return offered.filter((route) => !approved.includes(route));
}

export type KeyStanding = 'usable' | 'used' | 'revoked' | 'expired';

export function keyStandingOf(key: TailnetKey, nowMs = Date.now()): KeyStanding {
  if (key.revoked_at !== null) return 'revoked';
  if (!key.reusable && key.used_at !== null) return 'used';
  return Date.parse(key.expires_at) <= nowMs ? 'expired' : 'usable';
}

/** What is typed on the device. The server's address is of this Postern, the key was just made. */
export function joinCommand(server: string, key: string): string {
  return `tailscale up --login-server ${server} --auth-key ${key}`;
}

/** How long a key can be used, in seconds; the server takes at most 90 days. */
export const LIVES = [
  { id: '3600', label: 'An hour' },
  { id: '86400', label: 'A day' },
  { id: '604800', label: 'A week' },
  { id: '7776000', label: '90 days' },
] as const;

/** A time that has passed, for a key that is to end now. */
export function justPassed(): string {
  return new Date(Date.now() - 1_000).toISOString();
}

/** RFC 3339, this many days from now. */
export function inDays(days: number): string {
  return new Date(Date.now() + days * DAY_MS).toISOString();
}

/** The first names, and how many more. */
export function namesText(names: readonly string[], max = 2): string {
  if (names.length <= max) return names.join(', ');
  return `${names.slice(0, max).join(', ')} and ${names.length - max} more`;
}
