/** DNS labels for devices (RFC 1035 section 2.3.1), out of what devices call themselves. */

const LABEL_MAX_CHARS = 63;
/** Room for `-99999`. */
const BASE_MAX_CHARS = 57;
const NAMELESS = 'device';
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export function isLabel(text: string): boolean {
  return LABEL.test(text);
}

/** A label that comes near to the host name; whatever it is, something results. */
export function labelOf(hostname: string): string {
  const label = hostname
    .slice(0, 4 * LABEL_MAX_CHARS)
    .replace(/\.(?:local|localdomain|lan)$/i, '')
    .toLowerCase()
    .replace(/['’]/g, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, BASE_MAX_CHARS)
    .replace(/-+$/, '');
  return label === '' ? NAMELESS : label;
}

/** `label`, or the first of `label-1`, `label-2` … that is free. */
export function freeLabel(label: string, isTaken: (label: string) => boolean): string {
  if (!isTaken(label)) return label;
  for (let number = 1; ; number += 1) {
    const candidate = `${label}-${number}`;
    if (!isTaken(candidate)) return candidate;
  }
}
