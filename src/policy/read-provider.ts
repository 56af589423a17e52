import type { Cursor } from './cursor.ts';
import { quoteShort } from './cursor.ts';
import type { Authorization, AuthMode, BaseUrl, ModelCost, ProviderEntry } from './document.ts';
import { patternFault } from './glob.ts';
import { readModelLimits } from './model-limits.ts';
import type { ParseOptions } from './parse-options.ts';
import { readSecret } from './read-secret.ts';
import { readStoredInputs } from './stored-inputs.ts';
import { plainHttpReach } from './plain-http.ts';
import { parseBaseUrl, parseHeaderLine } from './values.ts';

export const AUTHORIZATIONS: readonly Authorization[] = ['bearer', 'x-api-key', 'x-goog-api-key'];
const AUTH_MODES: readonly (AuthMode | '')[] = ['override', 'passthrough', 'none', ''];

/** Format flags of `compatibility`, in Aperture's names. */
export const COMPATIBILITY_FLAGS = [
  'openai_chat',
  'openai_responses',
  'anthropic_messages',
  'gemini_generate_content',
  'google_generate_content',
  'google_raw_predict',
  'bedrock_model_invoke',
  'bedrock_converse',
  'experimental_gemini_cli_vertex_compat',
] as const;

/** Values of `cost_basis`. */
export const COST_BASES = [
  'anthropic',
  'openai',
  'google',
  'vertex',
  'bedrock',
  'bedrock-us',
  'bedrock-eu',
  'bedrock-ap',
  'azure',
  'azure-eu',
  'openrouter',
  'vercel',
] as const;

const PROVIDER_KEYS = [
  'baseurl',
  'models',
  'apikey',
  'authorization',
  'auth_mode',
  'name',
  'description',
  'compatibility',
  'cost_basis',
  'model_cost_map',
  'model_limits',
  'allow_stored_inputs',
  'preference',
  'disabled',
  'add_headers',
] as const;

const PROVIDER_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Ids that are Postern's own. */
export const RESERVED_PROVIDER_IDS = ['postern'];

/** Reads one member of `providers`; null if it cannot be used. */
export function readProvider(
  id: string,
  cursor: Cursor,
  source: ParseOptions['source'],
): ProviderEntry | null {
  if (cursor.members() === null) return null;
  if (!PROVIDER_ID.test(id)) {
    cursor.fail(
      'bad_value',
      `provider id ${quoteShort(id)} must be 1 to 64 letters, digits, ".", "_" or "-"`,
      'rename the provider',
    );
  }
  if (RESERVED_PROVIDER_IDS.includes(id)) {
    cursor.fail('reserved_id', `provider id "${id}" is Postern's own`, 'rename the provider');
  }
  warnUnknownKeys(cursor);
  const disabled = cursor.at('disabled').boolean() ?? false;
  const entry: ProviderEntry = {
    id,
    name: cursor.at('name').string() ?? id,
    description: cursor.at('description').string() ?? '',
    baseUrl: readBaseUrl(cursor, disabled),
    models: readModels(cursor, disabled),
    apiKey: readSecret(cursor.at('apikey'), source),
    authorization: cursor.at('authorization').oneOf(AUTHORIZATIONS) ?? 'bearer',
    authMode: cursor.at('auth_mode').oneOf(AUTH_MODES) || 'override',
    compatibility: readCompatibility(cursor.at('compatibility')),
    costBasis: cursor.at('cost_basis').oneOf(['', ...COST_BASES]) || null,
    modelCostMap: readCostMap(cursor.at('model_cost_map')),
    modelLimits: readModelLimits(cursor.at('model_limits')),
    storedInputs: readStoredInputs(cursor.at('allow_stored_inputs')),
    preference: cursor.at('preference').number() ?? 0,
    disabled,
    addHeaders: readHeaders(cursor.at('add_headers')),
  };
  return cursor.broken ? null : entry;
}

/** A provider restricts nothing, so an unknown key is said and the rest holds. */
function warnUnknownKeys(cursor: Cursor): void {
  for (const key of cursor.members() ?? []) {
    if ((PROVIDER_KEYS as readonly string[]).includes(key)) continue;
    cursor
      .at(key)
      .warn(
        'unknown_key',
        `${quoteShort(key)} is not a key of a provider; it has no effect`,
        `remove it; known keys are ${PROVIDER_KEYS.join(', ')}`,
      );
  }
}

function readBaseUrl(cursor: Cursor, disabled: boolean): BaseUrl | null {
  const at = cursor.at('baseurl');
  if (!at.exists || at.value === '') {
    if (!disabled)
      at.fail(
        'missing_field',
        `${cursor.name} has no baseurl`,
        'add the provider\'s address without /v1, such as "https://api.openai.com"',
      );
    return null;
  }
  const text = at.string();
  if (text === null) return null;
  const parsed = parseBaseUrl(text);
  if (!parsed.ok) {
    at.fail(
      'bad_url',
      `${at.name} ${parsed.fault}`,
      'write the address only, such as "https://api.openai.com"',
    );
    return null;
  }
  if (parsed.value.strayVersion) {
    at.note(
      'stray_version',
      `${at.name} ends with a version; the format's path brings its own, so it is read as ${parsed.value.baseUrl.href}`,
      'leave the version out',
    );
  }
  checkEncryption(at, parsed.value.baseUrl.origin);
  return parsed.value.baseUrl;
}

/** The provider still holds: a warning, which a save refuses, only where the address itself is a public one. */
function checkEncryption(at: Cursor, origin: string): void {
  const reach = plainHttpReach(origin);
  const message = `${at.name} is not encrypted: the key and the prompts can be read on the way`;
  if (reach === 'public') at.warn('plain_http', message, 'write https');
  if (reach === 'unknown')
    at.note('plain_http', message, 'write https, unless the name leads into a private network');
}

function readModels(cursor: Cursor, disabled: boolean): readonly string[] {
  const at = cursor.at('models');
  if (!at.exists && !disabled) {
    at.fail(
      'missing_field',
      `${cursor.name} lists no models`,
      'add "models" with the ids that the provider serves',
    );
  }
  const models: string[] = [];
  for (const item of at.items()) {
    const id = item.string();
    if (id === null) continue;
    const bad = patternFault(id);
    if (bad === null) models.push(id);
    else item.fail('bad_pattern', `${item.name} ${bad}`, "write the model's id as the provider names it");
  }
  return models;
}

function readCompatibility(cursor: Cursor): readonly string[] {
  const on: string[] = [];
  let chat: boolean | null = null;
  for (const key of cursor.members() ?? []) {
    const value = cursor.at(key).boolean();
    if (!(COMPATIBILITY_FLAGS as readonly string[]).includes(key)) {
      cursor
        .at(key)
        .warn(
          'unknown_key',
          `${quoteShort(key)} is no known format; it has no effect`,
          `known formats are ${COMPATIBILITY_FLAGS.join(', ')}`,
        );
    } else if (key === 'openai_chat') {
      chat = value;
    } else if (value === true) {
      on.push(key);
    }
  }
  // openai_chat holds by default, but not once another format is named without it.
  return (chat ?? on.length === 0) ? ['openai_chat', ...on] : on;
}

function readCostMap(cursor: Cursor): readonly ModelCost[] {
  const map: ModelCost[] = [];
  for (const item of cursor.items()) {
    item.onlyKnown(['match', 'as', 'adjustment'], 'model_cost_map entry');
    const match = item.at('match').string();
    const as = item.at('as').string();
    const adjustment = item.at('adjustment').number() ?? 1;
    if (match === null || as === null)
      item.fail('missing_field', `${item.name} needs "match" and "as"`, 'add both');
    else if (adjustment < 0)
      item
        .at('adjustment')
        .fail('bad_value', `${item.name}.adjustment is below zero`, 'write a factor from 0');
    else map.push({ match, as, adjustment });
  }
  return map;
}

/** Reads `["Name: value"]`. */
export function readHeaders(cursor: Cursor): readonly (readonly [name: string, value: string])[] {
  const headers: (readonly [string, string])[] = [];
  for (const item of cursor.items()) {
    const line = item.string();
    if (line === null) continue;
    const parsed = parseHeaderLine(line);
    if (parsed.ok) headers.push(parsed.value);
    else item.fail('bad_header', `${item.name} ${parsed.fault}`, 'write "Name: value"; keys go into apikey');
  }
  return headers;
}
