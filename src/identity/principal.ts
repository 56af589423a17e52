/**
 * How principals are spelled: `source:stable-id`. A principal is the key of records, grants and
 * ownership, so each source has one builder here and nothing else makes one.
 */
import { assert } from '../base/errors.ts';

/** The operator acting with the break-glass token of the process environment; no door makes it. */
export const BREAK_GLASS_PRINCIPAL = 'operator:break-glass';

/** Longest principal kept; identity sources that give more are refused at their door. */
export const PRINCIPAL_MAX_CHARS = 512;

/** An OS user of this machine, by numeric id: names can be reused, ids are what the kernel knows. */
export function localPrincipal(uid: number): string {
  assert(Number.isInteger(uid) && uid >= 0, 'a uid is an integer from 0');
  return `local:${uid}`;
}

/** A person of a Tailscale-compatible network; `userId` is the decimal id of the coordination server. */
export function tailscaleUserPrincipal(userId: string): string {
  return `tailscale:userid:${userId}`;
}

/** A tagged or shared device of a Tailscale-compatible network, by stable node id. */
export function tailscaleNodePrincipal(stableId: string): string {
  return `tailscale:nodeid:${stableId}`;
}

/**
 * A person of a network that Postern joined by itself. Ids are unique within one control server only,
 * so its `host[:port]` is part of the name: another server's person of that id is somebody else.
 */
export function joinedUserPrincipal(controlHost: string, userId: string): string {
  return `tailscale:${controlHost}:userid:${userId}`;
}

/** A tagged or shared device of a network that Postern joined by itself. */
export function joinedNodePrincipal(controlHost: string, stableId: string): string {
  return `tailscale:${controlHost}:nodeid:${stableId}`;
}

/** Whether a principal was given by that control server. */
export function isJoinedPrincipal(principal: string, controlHost: string): boolean {
  return principal.startsWith(`tailscale:${controlHost}:`);
}

/** A person whom `tailscale serve` names; it tells the login only, never an id. */
export function tailscaleLoginPrincipal(login: string): string {
  return `tailscale:login:${login}`;
}

/** A device that Postern's own network knows by its WireGuard public key (hex). */
export function devicePrincipal(publicKey: string): string {
  return `postern:device:${publicKey}`;
}

/** The subject of a JWT; `issuer` is one that the operator configured, so the split is unambiguous. */
export function jwtPrincipal(issuer: string, subject: string): string {
  return `jwt:${issuer}:${subject}`;
}

/** Whether text from an identity source can be a name or id: printable, not blank, not too long. */
export function isPlainIdentityText(text: string, maxChars: number): boolean {
  return (
    text.length > 0 &&
    text.length <= maxChars &&
    text.trim() === text &&
    !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text)
  );
}
