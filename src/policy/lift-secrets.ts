/**
 * Takes keys out of a document's text and leaves everything else, comments included, as it was.
 * Known places are cut by position; what looks like a key elsewhere (in a comment, say) is blanked.
 */
import { REDACTED, type Secret } from '../base/secret.ts';
import {
  type HujsonDocument,
  type JsonObject,
  type JsonPath,
  type JsonValue,
  parseHujson,
} from '../wire/hujson.ts';
import { formatPath } from './problem.ts';
import { AUTHORIZATIONS } from './read-provider.ts';
import { CONNECTOR_SECRETS } from './read-rest.ts';
import { classifySecret, VAULT_PREFIX } from './read-secret.ts';
import { parseBaseUrl } from './values.ts';

/** What a key is for. */
export type LiftedKind = 'provider' | 'hook' | 'connector' | 'exporter';

export interface LiftedSecret {
  readonly kind: LiftedKind;
  /** Whose key: the provider's id, or `hook:x`, `connector:x`, `exporter:s3` (plus `/name` where one has several). */
  readonly provider: string;
  /** Where it stood. */
  readonly path: string;
  /** The only place that it may be sent to; '' if the document names no usable address. */
  readonly origin: string;
  /** `bearer`, `x-api-key`, `x-goog-api-key`. */
  readonly header: string;
  readonly secret: Secret;
}

export interface LiftResult {
  /** The document with `"vault:<id>"` in the places of keys. */
  readonly text: string;
  readonly lifted: readonly LiftedSecret[];
}

/** A place where a document may hold a key. */
interface SecretPlace {
  readonly kind: LiftedKind;
  readonly provider: string;
  readonly path: JsonPath;
  readonly address: JsonValue | undefined;
  readonly header: JsonValue | undefined;
}

/** Keys of well-known issuers, wherever they stand. */
const KEY_SHAPES =
  /\b(?:sk-[A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{30,}|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{16}|pst_[A-Za-z0-9_-]{16,}|keyfile::[A-Za-z0-9+/=_-]{16,})/g;

/** Takes literal keys out of a document. Throws `HujsonError` if it is no HuJSON. */
export function liftSecrets(text: string): LiftResult {
  const parsed = parseHujson(text);
  const lifted: LiftedSecret[] = [];
  const clean = replaceSecrets(text, parsed, (place, secret) => {
    const address = typeof place.address === 'string' ? parseBaseUrl(place.address) : null;
    const header = AUTHORIZATIONS.find((known) => known === place.header) ?? 'bearer';
    const origin = address?.ok === true ? address.value.baseUrl.origin : originOf(place.address);
    lifted.push({
      kind: place.kind,
      provider: place.provider,
      path: formatPath(place.path),
      origin,
      header,
      secret,
    });
    return `${VAULT_PREFIX}${place.provider}`;
  });
  return { text: clean, lifted };
}

/** The text for eyes: every literal key replaced by `[secret]`. Throws `HujsonError` if it is no HuJSON. */
export function redactSecrets(text: string): string {
  return replaceSecrets(text, parseHujson(text), () => REDACTED);
}

function replaceSecrets(
  text: string,
  parsed: HujsonDocument,
  replace: (place: SecretPlace, secret: Secret) => string,
): string {
  const cuts: { readonly start: number; readonly end: number; readonly by: string }[] = [];
  for (const place of secretPlaces(parsed.value)) {
    const value = valueAt(parsed.value, place.path);
    const span = parsed.spanOf(place.path);
    const found = typeof value === 'string' ? classifySecret(value) : 'empty';
    if (span === null || found === 'empty' || found === 'redacted' || found.kind !== 'literal') continue;
    cuts.push({ ...span, by: JSON.stringify(replace(place, found.secret)) });
  }
  let clean = '';
  let from = 0;
  for (const cut of cuts.sort((a, b) => a.start - b.start)) {
    clean += text.slice(from, cut.start) + cut.by;
    from = cut.end;
  }
  return (clean + text.slice(from)).replace(KEY_SHAPES, REDACTED);
}

function* secretPlaces(root: JsonValue): Generator<SecretPlace> {
  for (const [id, entry] of membersOf(root, ['providers'])) {
    yield {
      kind: 'provider',
      provider: id,
      path: ['providers', id, 'apikey'],
      address: entry['baseurl'],
      header: entry['authorization'],
    };
  }
  for (const [id, entry] of membersOf(root, ['hooks'])) {
    yield {
      kind: 'hook',
      provider: `hook:${id}`,
      path: ['hooks', id, 'apikey'],
      address: entry['url'],
      header: entry['authorization'],
    };
  }
  for (const [id, entry] of membersOf(root, ['connectors', 'servers'])) {
    for (const name of CONNECTOR_SECRETS) {
      yield {
        kind: 'connector',
        provider: `connector:${id}/${name}`,
        path: ['connectors', 'servers', id, 'auth', name],
        address: entry['url'],
        header: undefined,
      };
    }
  }
  for (const [id, entry] of membersOf(root, ['exporters'])) {
    for (const name of ['access_key_id', 'access_secret']) {
      yield {
        kind: 'exporter',
        provider: `exporter:${id}/${name}`,
        path: ['exporters', id, name],
        address: entry['endpoint'],
        header: undefined,
      };
    }
  }
}

function membersOf(root: JsonValue, path: JsonPath): (readonly [id: string, entry: JsonObject])[] {
  const found = asObject(valueAt(root, path));
  if (found === null) return [];
  return Object.keys(found).flatMap((id) => {
    const entry = asObject(found[id]);
    return entry === null ? [] : [[id, entry] as const];
  });
}

function valueAt(root: JsonValue, path: JsonPath): JsonValue | undefined {
  let value: JsonValue | undefined = root;
  for (const part of path) {
    const object = asObject(value);
    value = object === null || typeof part === 'number' ? undefined : object[part];
  }
  return value;
}

function asObject(value: JsonValue | undefined): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
}

function originOf(address: JsonValue | undefined): string {
  return typeof address === 'string' && URL.canParse(address) ? new URL(address).origin : '';
}
