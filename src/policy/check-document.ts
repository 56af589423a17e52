/** Checks that need the whole document: who is admin, what can never match, what this version does not do. */
import type { Cursor } from './cursor.ts';
import { quoteShort } from './cursor.ts';
import type { GatewayDocument } from './document.ts';
import { compileGlob, splitModelName } from './glob.ts';
import { BUILT_FEATURES, type Feature, type ParseOptions } from './parse-options.ts';
import { RESERVED_PROVIDER_IDS } from './read-provider.ts';

export function checkDocument(document: GatewayDocument, root: Cursor, options: ParseOptions): void {
  if (root.members()?.length === 0)
    root.note('document_empty', 'the document is empty: it grants nothing', 'add providers and grants');
  checkAdmins(document, root, options);
  checkGrantsExist(document, root);
  const models = modelNames(document, options);
  checkPatterns(document, root, models);
  checkAliases(document, root, models);
  checkSources(document, root);
  checkApprovals(document, root);
  noteUnbuilt(document, root, options);
}

function checkAdmins(document: GatewayDocument, root: Cursor, options: ParseOptions): void {
  let admins = false;
  for (const grant of document.grants) {
    if (!grant.capabilities.some((capability) => capability.role === 'admin')) continue;
    const local = grant.src.includes('(loopback)');
    const at = grantCursor(root, grant.path).at('src');
    if (local)
      at.warn(
        'loopback_admin',
        `${at.name} holds "(loopback)", which never makes an admin`,
        'name the principal, or claim the gateway with the link that it prints',
      );
    if (grant.src.includes('*'))
      at.warn(
        'everyone_is_admin',
        `${at.name} makes every device of the tailnet an admin`,
        'name the admins',
      );
    admins ||= grant.src.some((source) => source !== '(loopback)');
  }
  if (!admins && options.adminsElsewhere !== true && (root.members()?.length ?? 0) > 0) {
    root
      .at('grants')
      .warn('nobody_is_admin', 'no grant makes anybody an admin', 'grant {"role": "admin"} to somebody');
  }
}

function checkGrantsExist(document: GatewayDocument, root: Cursor): void {
  if (document.providers.size > 0 && document.grants.length === 0) {
    root
      .at('grants')
      .warn('grants_missing', 'there are providers and no grants, so nobody may use them', 'add "grants"');
  }
}

/** Every `provider/model` entry that exists; entries may be patterns themselves. */
interface ModelNames {
  readonly providers: ReadonlySet<string>;
  readonly names: readonly string[];
}

function modelNames(document: GatewayDocument, options: ParseOptions): ModelNames {
  const names: string[] = RESERVED_PROVIDER_IDS.map((id) => `${id}/echo`);
  const providers = new Set<string>(RESERVED_PROVIDER_IDS);
  const all = [
    ...document.providers.values(),
    ...(options.found ?? []).filter((found) => !document.providers.has(found.id)),
  ];
  for (const provider of all) {
    providers.add(provider.id);
    for (const model of provider.models) names.push(`${provider.id}/${model}`);
  }
  return { providers, names };
}

function checkPatterns(document: GatewayDocument, root: Cursor, models: ModelNames): void {
  for (const grant of document.grants) {
    const app = grantCursor(root, grant.path).at('app');
    for (const name of app.members() ?? []) {
      for (const item of app.at(name).items()) {
        const at = item.at('models');
        const list = Array.isArray(at.value) ? at.items() : at.exists ? [at] : [];
        for (const pattern of list)
          if (typeof pattern.value === 'string') checkPattern(pattern, pattern.value, models);
      }
    }
  }
  document.deny.forEach((entry, index) => {
    entry.models.forEach((pattern, at) =>
      checkPattern(root.at('deny').at(index).at('models').at(at), pattern, models),
    );
  });
}

function checkPattern(at: Cursor, pattern: string, models: ModelNames): void {
  const glob = compileGlob(pattern);
  if (models.names.some((name) => glob.test(name) || mayOverlap(pattern, name))) return;
  if (!pattern.includes('/') && !pattern.includes('**')) {
    at.warn(
      'never_matches',
      `${at.name} is ${quoteShort(pattern)}: it has one segment, and names have two (provider/model), so it matches nothing`,
      `write ${quoteShort(pattern === '*' ? '**' : `*/${pattern}`)}`,
    );
    return;
  }
  const provider = pattern.split('/')[0] ?? '';
  const unknown = !provider.includes('*') && !models.providers.has(provider);
  if (unknown)
    at.warn(
      'unknown_provider',
      `${at.name} names the provider ${quoteShort(provider)}, which does not exist`,
      `known providers are ${[...models.providers].join(', ')}`,
    );
  else
    at.warn(
      'never_matches',
      `${at.name} is ${quoteShort(pattern)}, which matches no model of any provider`,
      'compare it with the providers\' "models"',
    );
}

/** Whether a pattern and a model entry that is itself a pattern could mean a common name; generous. */
function mayOverlap(pattern: string, name: string): boolean {
  if (!name.includes('*')) return false;
  const fixed = (text: string): string =>
    text.slice(0, text.indexOf('*') < 0 ? text.length : text.indexOf('*'));
  const a = fixed(pattern);
  const b = fixed(name);
  return a.startsWith(b) || b.startsWith(a);
}

function checkAliases(document: GatewayDocument, root: Cursor, models: ModelNames): void {
  for (const alias of document.aliases.values()) {
    const at = root.at('model_aliases').at('models').at(alias.name);
    const usable = alias.targets.some((target) => {
      const provider = splitModelName(target)?.provider ?? '';
      return (
        models.providers.has(provider) &&
        models.names.some((name) => name === target || (name.includes('*') && compileGlob(name).test(target)))
      );
    });
    if (!usable)
      at.warn(
        'never_matches',
        `alias ${quoteShort(alias.name)} has no target that a provider serves`,
        'compare "dst" with the providers\' "models"',
      );
  }
}

/** A rule that asks whom nobody named would ask everybody who may approve, or nobody. */
function checkApprovals(document: GatewayDocument, root: Cursor): void {
  const inGrants = document.grants.flatMap(({ capabilities }) => capabilities.flatMap(({ tools }) => tools));
  for (const rule of [...document.tools, ...inGrants]) {
    if (rule.action !== 'ask' || rule.approval === 'default' || document.approvals.has(rule.approval))
      continue;
    root
      .at('approvals')
      .error(
        'unknown_approval',
        `${rule.path} asks by ${quoteShort(rule.approval)}, which "approvals" does not define`,
        'define it, or leave "approval" out',
      );
  }
}

/** Groups that nothing here defines may still come from the network; worth a note only. */
function checkSources(document: GatewayDocument, root: Cursor): void {
  for (const grant of document.grants) {
    grant.src.forEach((source, index) => {
      const at = grantCursor(root, grant.path).at('src').at(index);
      if (source.startsWith('group:') && !document.groups.has(source)) {
        at.note(
          'never_matches',
          `${at.name} names ${quoteShort(source)}, which "groups" does not define; it matches only if the network or the token says so`,
          'define it under "groups" if the network does not carry groups',
        );
      }
    });
  }
}

const UNBUILT: readonly (readonly [key: string, feature: Feature, effect: string])[] = [
  ['quotas', 'quotas', 'nothing is limited by them'],
  ['hooks', 'hooks', 'no hook is called; a capability that needs a fail-closed one is switched off'],
  ['guardrails', 'guardrails', 'nothing is checked by them; a capability that names one is switched off'],
  ['tools', 'tools', 'no tool call is checked by them; a capability that names one is switched off'],
  ['approvals', 'approvals', 'nothing is held by them'],
  ['connectors', 'connectors', 'none is reachable'],
  ['exporters', 'exporters', 'nothing is exported'],
];

function noteUnbuilt(document: GatewayDocument, root: Cursor, options: ParseOptions): void {
  for (const [key, feature, effect] of UNBUILT) {
    const at = root.at(key);
    const empty =
      !at.exists || (typeof at.value === 'object' && at.value !== null && Object.keys(at.value).length === 0);
    if (empty || (options.built ?? BUILT_FEATURES).has(feature)) continue;
    at.note(
      'not_built',
      `"${key}" is read and kept, but this version does not act on it: ${effect}`,
      'do not rely on it yet',
    );
  }
  if (
    document.retention !== null &&
    document.retention.durationMs !== null &&
    document.retention.durationMs > 0
  ) {
    root
      .at(root.at('retention').exists ? 'retention' : 'database')
      .note(
        'not_built',
        'a retention time is read and kept, but nothing is purged yet',
        'use capture "metadata" or retention "0" where bodies must not stay',
      );
  }
}

/** The cursor of a grant, by the path that it was read from. */
function grantCursor(root: Cursor, path: string): Cursor {
  const index = Number(/^grants\[(\d+)\]$/.exec(path)?.[1] ?? -1);
  return root.at('grants').at(index);
}
