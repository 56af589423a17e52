/** Sign-in of people to Postern's own tailnets: the operator's providers, and the pages on the public listener. */
import { readFileSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { Secret } from '../base/secret.ts';
import type { OperatorSettings, SignInProviderSettings } from '../config/index.ts';
import type { FetchSmall } from '../net/index.ts';
import { RelyingParty } from '../oidc/client/index.ts';
import { type Coordinator, SignInPages, type SignInProvider, SignIns } from '../tailnet/control/index.ts';

export interface SignInOptions {
  readonly settings: Pick<OperatorSettings, 'signIn' | 'publicUrl'>;
  readonly coordinator: Coordinator;
  readonly fetchSmall: FetchSmall;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Null where the operator named no provider. Throws where a secret cannot be read. */
export function openSignIn({
  settings,
  coordinator,
  fetchSmall,
  clock,
  logger,
}: SignInOptions): SignInPages | null {
  const { providers } = settings.signIn;
  if (providers.length === 0 || settings.publicUrl === null) return null;
  const signIns = new SignIns({
    coordinator,
    providers: providers.map((provider) => providerOf(provider, fetchSmall, clock)),
  });
  return new SignInPages({ signIns, origin: settings.publicUrl, logger });
}

function providerOf(
  { id, title, clientSecretFile, ...provider }: SignInProviderSettings,
  fetchSmall: FetchSmall,
  clock: Clock,
): SignInProvider {
  const party = new RelyingParty({
    ...provider,
    clientSecret:
      clientSecretFile === null ? null : new Secret(readFileSync(clientSecretFile, 'utf8').trim()),
    fetchSmall,
    clock,
  });
  return {
    id,
    title,
    async begin(redirectUri) {
      const { url, checks } = await party.begin(redirectUri);
      return { url, state: checks.state, finish: (callback) => party.finish(callback, checks) };
    },
  };
}
