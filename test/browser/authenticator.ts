/** Chromium's own authenticator, which answers at once and knows its user (Web Authentication Level 3, section 11). */
import type { WatchedPage } from './browser.ts';

/** Plugs one in; returns its id for the developer tools. */
export async function plugIn({ devtools }: WatchedPage): Promise<string> {
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return authenticatorId;
}
