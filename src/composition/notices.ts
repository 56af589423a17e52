/** How people and programs are told: webhooks and chat by the guarded dialer, mail by the operator's server. */
import { readFileSync } from 'node:fs';
import { createMailer, createNotifier, type Notifier, type Timers } from '../approvals/index.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { OperatorSettings } from '../config/index.ts';
import { SIGNING_SECRET_ORIGIN, signingSecretProvider, type Vault } from '../vault/index.ts';
import type { Outbound } from './outbound.ts';

export interface NoticesOptions {
  readonly settings: Pick<OperatorSettings, 'mail' | 'caFiles'>;
  readonly outbound: Pick<Outbound, 'fetchSmall' | 'dial'>;
  readonly vault: Pick<Vault, 'select'>;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Nothing is opened before the first notice. */
export function openNotices({ settings, outbound, vault, ...rest }: NoticesOptions): Notifier {
  const { mail, caFiles } = settings;
  return createNotifier({
    ...rest,
    fetchSmall: outbound.fetchSmall,
    mailer:
      mail === null
        ? null
        : createMailer({
            settings: mail,
            dial: outbound.dial,
            ca: caFiles.length === 0 ? null : caFiles.map((file) => readFileSync(file, 'utf8')),
          }),
    secretOf: (name) => vault.select(signingSecretProvider(name), SIGNING_SECRET_ORIGIN)?.secret ?? null,
  });
}
