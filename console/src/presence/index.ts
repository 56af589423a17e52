/** Presence (DESIGN section 5), and actions that ask for it in place. */
export { addPasskey, endPresence, isAtAddress, supportsPasskeys } from './passkey.ts';
export { type PresenceDesk, PresenceProvider, usePresence } from './presence.tsx';
export { type Action, type ActionOptions, useAction } from './use-action.ts';
