/**
 * One capability object: under a grant's `app` in a document, or carried by the network with the
 * caller (WhoIs). What is not understood switches the whole capability off.
 */
import type { Cursor } from './cursor.ts';
import { quoteShort } from './cursor.ts';
import {
  type Capability,
  type CaptureMode,
  type CorsGrant,
  type HookUse,
  type HookEntry,
  ROLES,
} from './document.ts';
import { patternFault } from './glob.ts';
import type { Feature } from './parse-options.ts';
import { readHeaders } from './read-provider.ts';
import { readCache } from './read-routing.ts';
import { readToolRules } from './read-tools.ts';

/** What a capability may refer to. */
export interface CapabilityContext {
  readonly quotas: ReadonlySet<string>;
  readonly hooks: ReadonlyMap<string, HookEntry>;
  readonly guardrails: ReadonlySet<string>;
  readonly built: ReadonlySet<Feature>;
}

const CAPABILITY_KEYS = [
  'role',
  'models',
  'leads',
  'capture',
  'quotas',
  'send_hooks',
  'add_headers',
  'connectors',
  'mcp_tools',
  'mcp_resources',
  'mcp_templates',
  'enable_chat_ui',
  'read_metrics',
  'read_pricing',
  'set_cors',
  'cors_paths',
  'guardrails',
  'tools',
  'cache',
  'Access-Control-Allow-Origin',
  'Access-Control-Allow-Methods',
  'Access-Control-Allow-Headers',
  'Access-Control-Allow-Credentials',
];
const DEPRECATED = ['mcp_tools', 'mcp_resources', 'mcp_templates'];
const HOOK_EVENTS = ['pre_request', 'entire_request', 'tool_call_entire_request', 'tool_call'] as const;
const HOOK_SEND = [
  'request_body',
  'user_message',
  'response_body',
  'raw_responses',
  'tools',
  'estimated_cost',
  'grants',
  'quotas',
  'delta',
] as const;
const CONNECTOR_CATEGORIES = ['tools', 'resources', 'templates', 'proxy', '*', '**'];

/** Reads a capability; null if it cannot be used. `cursor` must be isolated. */
export function readCapability(cursor: Cursor, context: CapabilityContext): Capability | null {
  if (cursor.members() === null) {
    if (!cursor.exists) cursor.fail('bad_type', `${cursor.name} is missing`, 'write an object');
    return null;
  }
  cursor.onlyKnown(CAPABILITY_KEYS, 'capability');
  for (const key of DEPRECATED) {
    if (cursor.at(key).exists)
      cursor.at(key).warn('deprecated_key', `"${key}" is deprecated and opens nothing`, 'use "connectors"');
  }
  refuseUnbuiltRules(cursor, context);
  const capability: Capability = {
    path: cursor.name,
    role: cursor.at('role').oneOf(ROLES),
    models: readModelPatterns(cursor.at('models')),
    leads: readLeads(cursor.at('leads')),
    capture: readCapture(cursor.at('capture')),
    addHeaders: readHeaders(cursor.at('add_headers')),
    quotas: readQuotaUses(cursor.at('quotas'), context),
    hooks: readHookUses(cursor.at('send_hooks'), context),
    guardrails: readGuardrailUses(cursor.at('guardrails'), context),
    tools: readToolRules(cursor.at('tools'), false),
    cache: readCache(cursor.at('cache')),
    connectors: readConnectorPatterns(cursor.at('connectors')),
    readMetrics: cursor.at('read_metrics').boolean() ?? false,
    readPricing: cursor.at('read_pricing').boolean() ?? false,
    cors: readCors(cursor),
    enableChatUi: cursor.at('enable_chat_ui').boolean(),
  };
  return cursor.broken ? null : capability;
}

/** A rule that restricts and that nothing enforces yet closes what it guards. */
function refuseUnbuiltRules(cursor: Cursor, context: CapabilityContext): void {
  for (const key of ['guardrails', 'tools'] as const) {
    if (cursor.at(key).exists && !context.built.has(key)) {
      cursor
        .at(key)
        .fail(
          'not_built',
          `"${key}" restricts, and this version cannot enforce it, so the capability is switched off`,
          `remove "${key}"`,
        );
    }
  }
}

function readModelPatterns(cursor: Cursor): readonly string[] | null {
  if (!cursor.exists) return null;
  const items = Array.isArray(cursor.value) ? cursor.items() : [cursor];
  const patterns: string[] = [];
  for (const item of items) {
    const pattern = item.string();
    if (pattern === null) continue;
    const bad = patternFault(pattern);
    if (bad === null) patterns.push(pattern);
    else
      item.fail(
        'bad_pattern',
        `${item.name} ${bad}`,
        'write a pattern over provider/model, such as "openai/*" or "**"',
      );
  }
  return patterns;
}

function readLeads(cursor: Cursor): readonly string[] {
  const leads = cursor.strings();
  for (const name of leads) {
    if (!name.startsWith('group:'))
      cursor.fail(
        'bad_value',
        `${cursor.name} holds ${quoteShort(name)}, which is no group`,
        'write "group:name"',
      );
  }
  return leads;
}

function readCapture(cursor: Cursor): CaptureMode | null {
  const mode = cursor.oneOf(['full', 'redacted', 'metadata', 'none'] as const);
  if (mode !== 'redacted') return mode;
  cursor.note(
    'not_built',
    'capture "redacted" is not built yet and acts as "metadata"',
    'nothing to do: it keeps less, not more',
  );
  return 'metadata';
}

function readQuotaUses(cursor: Cursor, context: CapabilityContext): readonly string[] {
  const names: string[] = [];
  for (const item of cursor.items()) {
    item.onlyKnown(['bucket'], 'quota reference');
    const bucket = item.at('bucket').string();
    if (bucket === null)
      item.fail('missing_field', `${item.name} names no bucket`, 'write {"bucket": "name"}');
    else if (context.quotas.has(bucket)) names.push(bucket);
    else
      item
        .at('bucket')
        .fail(
          'unknown_quota',
          `no usable quota is called ${quoteShort(bucket)}`,
          'define it under "quotas", with the same <user> or <node> in its name',
        );
  }
  return names;
}

function readGuardrailUses(cursor: Cursor, context: CapabilityContext): readonly string[] {
  const names = cursor.strings();
  for (const name of names) {
    if (!context.guardrails.has(name))
      cursor.fail(
        'unknown_guardrail',
        `${cursor.name} names ${quoteShort(name)}, and no usable guardrail is called so`,
        'define it under "guardrails"',
      );
  }
  return names;
}

function readHookUses(cursor: Cursor, context: CapabilityContext): readonly HookUse[] {
  const uses: HookUse[] = [];
  for (const item of cursor.items()) {
    item.onlyKnown(['name', 'events', 'send'], 'hook reference');
    const name = item.at('name').string() ?? '';
    const events = item
      .at('events')
      .items()
      .map((event) => event.oneOf(HOOK_EVENTS))
      .filter((event) => event !== null);
    const send = item
      .at('send')
      .items()
      .map((field) => field.oneOf(HOOK_SEND))
      .filter((field) => field !== null);
    const hook = context.hooks.get(name);
    if (hook === undefined) {
      item.fail('unknown_hook', `no usable hook is called ${quoteShort(name)}`, 'define it under "hooks"');
      continue;
    }
    const mustAnswer =
      !hook.disabled &&
      hook.mode === 'enforce' &&
      ((events.includes('pre_request') && hook.failPolicy === 'fail_closed') ||
        (events.includes('tool_call') && hook.toolCallFailPolicy === 'fail_closed'));
    if (mustAnswer && !context.built.has('hooks')) {
      item.fail(
        'not_built',
        `hook "${name}" must answer before a request or a tool call (fail_closed), and this version does not call hooks, so the capability is switched off`,
        'remove the hook from this capability to open it without the check',
      );
    }
    uses.push({ name, events, send });
  }
  return uses;
}

/** `id/category/resource`, or `label:x`; Aperture drops malformed ones without a word. */
function readConnectorPatterns(cursor: Cursor): readonly string[] {
  const patterns: string[] = [];
  for (const item of cursor.items()) {
    const pattern = item.string();
    if (pattern === null) continue;
    const bad = connectorPatternFault(pattern);
    if (bad === null) patterns.push(pattern);
    else
      item.warn(
        'bad_pattern',
        `${item.name} ${bad}, so it opens nothing`,
        'write "id/tools/name", "id/**" or "label:name"',
      );
  }
  return patterns;
}

function connectorPatternFault(pattern: string): string | null {
  const bad = patternFault(pattern);
  if (bad !== null) return bad;
  if (pattern.startsWith('label:')) return pattern.length > 'label:'.length ? null : 'names no label';
  if (pattern === '**') return null;
  const [, category, resource] = pattern.split('/');
  if (category === undefined) return 'has no category';
  if (!CONNECTOR_CATEGORIES.includes(category))
    return `has the category ${quoteShort(category)}; known are tools, resources, templates, proxy`;
  return category === '**' || (resource !== undefined && resource !== '') ? null : 'names no resource';
}

function readCors(cursor: Cursor): CorsGrant | null {
  const headers: (readonly [string, string])[] = [];
  for (const key of CAPABILITY_KEYS.filter((name) => name.startsWith('Access-Control-'))) {
    const at = cursor.at(key);
    const value = typeof at.value === 'boolean' ? String(at.value) : at.string();
    if (value === null) continue;
    if (/^[\x20-\x7e]{1,1024}$/.test(value)) headers.push([key.toLowerCase(), value]);
    else at.fail('bad_header', `${at.name} is no header value`, 'use printable ASCII');
  }
  const origin = headers.find(([name]) => name === 'access-control-allow-origin');
  const credentials = headers.find(([name]) => name === 'access-control-allow-credentials');
  if (origin?.[1] === '*' && credentials?.[1] === 'true') {
    cursor.fail(
      'bad_value',
      `${cursor.name} opens every origin with credentials, so any web page could act as its visitor`,
      'name the origins',
    );
  }
  const on = cursor.at('set_cors').boolean() ?? false;
  const paths = cursor.at('cors_paths').strings();
  return on ? { paths, headers } : null;
}
