/** `notify` of approvals and quotas: where a message goes. */
import { type Cursor, quoteShort } from './cursor.ts';
import type { NotifyTarget } from './governance.ts';
import { isWebAddress } from './web-address.ts';

/** Empty where the key is absent; a target that cannot be read is a fault of its element. */
export function readTargets(at: Cursor): readonly NotifyTarget[] {
  return at
    .items()
    .map(readTarget)
    .filter((one) => one !== null);
}

/** `{"webhook": "https://…", "secret": "name"}`, `{"slack": "https://…"}` or `{"mail": ["a@b.c"]}`. */
function readTarget(at: Cursor): NotifyTarget | null {
  at.onlyKnown(['webhook', 'secret', 'slack', 'mail'], 'target');
  const kinds = (['webhook', 'slack', 'mail'] as const).filter((kind) => at.at(kind).exists);
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    at.fail(
      'bad_value',
      `${at.name} must have one of webhook, slack, mail`,
      'write {"webhook": "https://…"}',
    );
    return null;
  }
  if (kind === 'mail') return { kind, to: readAddresses(at.at('mail')) };
  const url = at.at(kind).string() ?? '';
  if (!isWebAddress(url))
    at.at(kind).fail('bad_url', `${at.at(kind).name} is no http or https address`, 'write "https://…"');
  return kind === 'slack' ? { kind, url } : { kind, url, secretName: at.at('secret').string() };
}

function readAddresses(at: Cursor): readonly string[] {
  const addresses = at.strings();
  for (const address of addresses) {
    if (!/^[^\s@<>,;"]{1,64}@[^\s@<>,;"]{1,255}$/.test(address))
      at.fail(
        'bad_value',
        `${at.name} holds ${quoteShort(address)}, which is no mail address`,
        'write "name@example.com"',
      );
  }
  return addresses;
}
