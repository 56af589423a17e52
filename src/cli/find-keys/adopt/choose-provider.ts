/** Which provider of the document a found key is for: by the host of its address, or as the caller says. */
import { parseHujson } from '../../../wire/hujson.ts';
import type { ApiClient } from '../../client.ts';
import { CliFailure, EXIT, usageFailure } from '../../failure.ts';
import { isObject, type JsonObject, listAt, objectAt, textAt } from '../../fields.ts';
import { serviceById, serviceOfHost } from '../services.ts';

export interface Providers {
  /** Provider id for a service; throws `cli_find_keys_provider` if the document has none or several. */
  providerFor(service: string): string;
  /** Whether the provider has a key in use. */
  hasKey(provider: string): boolean;
}

/** Reads `openai=my-openai`. Throws `cli_usage`. */
export function parseChosen(texts: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    texts.map((text) => {
      const at = text.indexOf('=');
      const service = text.slice(0, Math.max(0, at));
      if (at < 0 || serviceById(service) === null)
        throw usageFailure(
          `--provider must be <service>=<provider>, got "${text.slice(0, 60)}"`,
          'For example --provider openai=my-openai',
        );
      return [service, text.slice(at + 1)] as const;
    }),
  );
}

/** Asks the server for its document and keys. */
export async function readProviders(api: ApiClient, chosen: ReadonlyMap<string, string>): Promise<Providers> {
  const document = textAt(await api.get('/api/v1/config'), 'text') ?? '{}';
  const keys = listAt(await api.get('/api/v1/keys'), 'items');
  const byService = providersByService(document, keys);
  return {
    hasKey: (provider) =>
      keys.some((key) => textAt(key, 'provider') === provider && textAt(key, 'state') === 'active'),
    providerFor(service) {
      const named = chosen.get(service);
      if (named !== undefined) return named;
      const found = byService.get(service) ?? [];
      const only = found[0];
      if (only !== undefined && found.length === 1) return only;
      const title = serviceById(service)?.title ?? service;
      throw new CliFailure(
        only === undefined
          ? `the document has no provider for ${title}`
          : `the document has ${found.length} providers for ${title}`,
        {
          exit: EXIT.failed,
          code: 'cli_find_keys_provider',
          fix:
            only === undefined
              ? `Add one to the document (postern config show), or say which with --provider ${service}=<provider>`
              : `Say which with --provider ${service}=<provider>: ${found.join(', ')}`,
        },
      );
    },
  };
}

/** Providers by the service at their address: those of the document, and those that have a key already. */
function providersByService(
  document: string,
  keys: readonly unknown[],
): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  const note = (provider: string | null, address: string | null): void => {
    if (provider === null || address === null || !URL.canParse(address)) return;
    const service = serviceOfHost(new URL(address).hostname);
    if (service !== null) found.set(service.id, (found.get(service.id) ?? new Set()).add(provider));
  };
  for (const [id, provider] of Object.entries(providersOf(document)))
    if (!isObject(provider) || provider['disabled'] !== true) note(id, textAt(provider, 'baseurl'));
  // A provider that was found in the server's environment is in no document.
  for (const key of keys) note(textAt(key, 'provider'), textAt(key, 'origin'));
  return new Map([...found].map(([service, ids]) => [service, [...ids]]));
}

function providersOf(document: string): JsonObject {
  try {
    return objectAt(parseHujson(document === '' ? '{}' : document).value, 'providers') ?? {};
  } catch {
    return {};
  }
}
