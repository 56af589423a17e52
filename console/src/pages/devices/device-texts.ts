/** Words about devices, and what a name and a key must look like before the server is asked. */

/** One label of a host name (RFC 1035 section 2.3.4). */
export const NAME_MAX = 63;
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const PUBLIC_KEY = /^[A-Za-z0-9+/]{43}=$/;

/** Why this is no name of a device; null for one, and for none yet. */
export function nameProblem(text: string): string | null {
  const name = text.trim();
  return name === '' || NAME.test(name) ? null : 'Letters, digits and hyphens within, such as “phone”.';
}

/** Why this is no WireGuard key; null for one, and for none yet. */
export function publicKeyProblem(text: string): string | null {
  const key = text.trim();
  return key === '' || PUBLIC_KEY.test(key)
    ? null
    : 'The 44 characters that “wg pubkey” prints, “=” at the end.';
}

/** Where programs on the device find Postern: the first address that its configuration routes. */
export function gatewayIn(configuration: string): string | null {
  return /^AllowedIPs = ([\d.]+)\/32/m.exec(configuration)?.[1] ?? null;
}

/** A grant for this device alone, as it stands in the policy document. */
export function grantFor(principal: string): string {
  return JSON.stringify(
    { src: [principal], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } },
    null,
    2,
  );
}
