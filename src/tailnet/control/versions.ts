/** Which clients are served, by the capability version that they state (tailcfg.CapabilityVersion). */

/** 113 is Tailscale 1.80: what Headscale 0.29 still accepts. Older clients need fields that are not written here. */
const CAPABILITY_VERSION_MIN = 113;

/** Why a client of this version is not served; null if it is. */
export function tooOld(version: number): string | null {
  return version >= CAPABILITY_VERSION_MIN
    ? null
    : `this client is too old (capability version ${version}): update it to Tailscale 1.80 or newer (${CAPABILITY_VERSION_MIN})`;
}
