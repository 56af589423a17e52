/** States of providers, keys and tests in words. */
import type { Schema } from '../../api/client.ts';
import type { Tone } from '../../ui/index.ts';
import type { Provider } from './providers-queries.ts';

export type { Provider } from './providers-queries.ts';
export type ProviderKey = Schema<'ProviderKey'>;

interface Word {
  readonly label: string;
  readonly tone: Tone;
}

/** What a provider's state is called, and how it looks. */
export const STATES: Readonly<Record<Provider['state'], Word>> = {
  ok: { label: 'healthy', tone: 'good' },
  degraded: { label: 'degraded', tone: 'warn' },
  down: { label: 'down', tone: 'bad' },
  disabled: { label: 'switched off', tone: 'neutral' },
  unused: { label: 'not used lately', tone: 'neutral' },
  no_key: { label: 'no usable key', tone: 'bad' },
};

/** Why a circuit is open. */
export const FAULTS: Readonly<Record<Schema<'Circuit'>['fault'], string>> = {
  unreachable: 'cannot be reached',
  failing: 'answers with errors',
  limited: 'limits its use',
  key_rejected: 'refuses the key',
};

/** What failed in a test. */
export const STAGES: Readonly<Record<Schema<'ProviderTest'>['stage'], string>> = {
  credential: 'there is no usable key',
  address: 'the address is not allowed',
  dns: 'its name could not be resolved',
  connect: 'no connection came about',
  tls: 'the connection could not be secured',
  http: 'it answered with an error',
  auth: 'it refused the key',
  ok: 'it answered',
};

/** `production (…a1b2)`: enough to tell keys apart. */
export function keyName({ name, hint }: Pick<ProviderKey, 'name' | 'hint'>): string {
  const last = hint.replace(/^…+/, '');
  return last === '' ? name : `${name} (…${last})`;
}
