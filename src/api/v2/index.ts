/** Tailscale's API v2 over Postern's tailnets. */
export { type ApiV2, createApiV2, V2_PREFIX } from './api-v2.ts';
