/**
 * Reads a gateway document: Aperture's HuJSON configuration, and Postern's own keys in it. It never
 * throws on a bad document: what is wrong comes out as problems, with place and remedy. Elements that
 * grant or restrict and are not understood are left out (a grant opens nothing, a capability whose
 * quota is broken opens nothing); elements whose absence would open something (`deny`, quota amounts,
 * tests) make the document unusable.
 */
import { HujsonError, type JsonValue, parseHujson, type HujsonDocument } from '../wire/hujson.ts';
import { checkDocument } from './check-document.ts';
import { Cursor, ProblemSink, quoteShort } from './cursor.ts';
import type {
  DenyEntry,
  GatewayDocument,
  GrantEntry,
  HookEntry,
  ParsedDocument,
  ProviderEntry,
  QuotaEntry,
} from './document.ts';
import { BUILT_FEATURES, type Feature, type ParseOptions } from './parse-options.ts';
import { readDeny, readGrant } from './read-grants.ts';
import { readProvider } from './read-provider.ts';
import { readHook, readQuota } from './read-quotas.ts';
import {
  checkExporters,
  readAliases,
  readConnectors,
  readGroups,
  readRetention,
  readTests,
} from './read-rest.ts';
import { DEFAULT_ROUTING, readRouting } from './read-routing.ts';
import { readApproval, readGuardrail } from './read-guardrails.ts';
import { readToolRules } from './read-tools.ts';
import type { ApprovalEntry, GuardrailEntry } from './governance.ts';
import { nearestName } from '../base/nearest-name.ts';

export type { Feature, ParseOptions } from './parse-options.ts';

/** Longer documents are refused. */
export const DOCUMENT_MAX_LENGTH = 2 * 1024 * 1024;

/** Keys that are read here; the rest is kept as written. */
const READ_KEYS = [
  'providers',
  'model_aliases',
  'auto_cost_basis',
  'grants',
  'deny',
  'groups',
  'quotas',
  'hooks',
  'guardrails',
  'tools',
  'approvals',
  'routing',
  'connectors',
  'retention',
  'tests',
];
/** Keys that are known and kept. */
const KEPT_KEYS = ['exporters', 'database', 'chat_models', 'flags', 'sandboxes', 'cache'];
const DEPRECATED_KEYS: Readonly<Record<string, string>> = { mcp: 'connectors', temp_grants: 'grants' };

/** The document of a gateway that has none: no providers, no grants. */
export function emptyDocument(): GatewayDocument {
  return {
    providers: new Map(),
    aliases: new Map(),
    autoCostBasis: true,
    grants: [],
    deny: [],
    groups: new Map(),
    quotas: new Map(),
    hooks: new Map(),
    tools: [],
    guardrails: new Map(),
    approvals: new Map(),
    routing: DEFAULT_ROUTING,
    connectors: new Map(),
    retention: null,
    tests: [],
    disabled: [],
    kept: new Map(),
  };
}

/** Reads and checks a document. Never throws. */
export function parseGatewayDocument(text: string, options: ParseOptions): ParsedDocument {
  let parsed: HujsonDocument;
  try {
    parsed = parseHujson(text, { maxLength: DOCUMENT_MAX_LENGTH });
  } catch (error) {
    if (!(error instanceof HujsonError)) throw error;
    return { document: emptyDocument(), problems: [syntaxProblem(error)] };
  }
  const sink = new ProblemSink(parsed);
  const root = new Cursor(parsed.value, [], sink);
  for (const { path } of parsed.duplicates) {
    sink.add(
      'error',
      path,
      'duplicate_key',
      `${quoteShort(String(path.at(-1)))} is written twice in one object`,
      'keep one of them',
    );
  }
  if (!root.isObject) {
    root.error('bad_type', 'the document is no object', 'write { "providers": {…}, "grants": […] }');
    return { document: emptyDocument(), problems: sink.problems };
  }
  refuseMacros(root, sink);
  const document = readDocument(root, sink, options);
  checkDocument(document, root, options);
  return { document: { ...document, disabled: [...sink.disabled] }, problems: sink.problems };
}

function syntaxProblem(error: HujsonError): ParsedDocument['problems'][number] {
  return {
    severity: 'error',
    path: '',
    line: error.line,
    column: error.column,
    code: 'bad_syntax',
    message: error.fault,
    fix: `put ${error.expected} there`,
  };
}

function readDocument(root: Cursor, sink: ProblemSink, options: ParseOptions): GatewayDocument {
  const built: ReadonlySet<Feature> = options.built ?? BUILT_FEATURES;
  const providers = readMap<ProviderEntry>(root.at('providers'), (id, at) =>
    readProvider(id, at, options.source),
  );
  const quotas = readMap<QuotaEntry>(root.at('quotas'), readQuota);
  const hooks = readMap<HookEntry>(root.at('hooks'), (id, at) => readHook(id, at, options.source));
  const guardrails = readMap<GuardrailEntry>(root.at('guardrails'), readGuardrail);
  const context = { quotas: new Set(quotas.keys()), hooks, guardrails: new Set(guardrails.keys()), built };
  const grants: GrantEntry[] = [];
  for (const item of root.at('grants').items()) {
    const at = item.isolate();
    const grant = readGrant(at, context);
    if (grant === null) at.disable();
    else grants.push(grant);
  }
  checkExporters(root.at('exporters'), options.source);
  return {
    providers,
    aliases: readAliases(root.at('model_aliases').isolate()),
    autoCostBasis: root.at('auto_cost_basis').boolean() ?? true,
    grants,
    deny: readDenyList(root.at('deny')),
    groups: readGroups(root.at('groups').isolate()),
    quotas,
    hooks,
    tools: readToolRules(root.at('tools'), true),
    guardrails,
    approvals: readMap<ApprovalEntry>(root.at('approvals'), readApproval),
    routing: readRouting(root.at('routing').isolate()),
    connectors: readConnectors(root.at('connectors').isolate(), options.source),
    retention: readRetention(root.at('retention')) ?? readRetention(root.at('database').at('retention')),
    tests: readTests(root.at('tests')),
    disabled: sink.disabled,
    kept: readKept(root),
  };
}

function readDenyList(cursor: Cursor): readonly DenyEntry[] {
  if (cursor.exists && !Array.isArray(cursor.value)) {
    cursor.error(
      'bad_type',
      'deny must be a list, and leaving it out would open what it closes',
      'write [{"src": […], "models": […]}]',
    );
    return [];
  }
  const found: DenyEntry[] = [];
  for (const item of cursor.items()) {
    const entry = readDeny(item.isolate());
    if (entry !== null) found.push(entry);
  }
  return found;
}

function readMap<Entry>(
  cursor: Cursor,
  read: (id: string, at: Cursor) => Entry | null,
): ReadonlyMap<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const id of cursor.members() ?? []) {
    const at = cursor.at(id).isolate();
    const entry = read(id, at);
    if (entry === null) at.disable();
    else entries.set(id, entry);
  }
  return entries;
}

/** Keeps what is not read, and says so. */
function readKept(root: Cursor): ReadonlyMap<string, JsonValue> {
  const kept = new Map<string, JsonValue>();
  for (const key of root.members() ?? []) {
    if (READ_KEYS.includes(key)) continue;
    const at = root.at(key);
    kept.set(key, at.value ?? null);
    const successor = Object.hasOwn(DEPRECATED_KEYS, key) ? DEPRECATED_KEYS[key] : undefined;
    if (successor !== undefined) {
      at.warn('deprecated_key', `"${key}" is deprecated; it is kept and has no effect`, `use "${successor}"`);
    } else if (!KEPT_KEYS.includes(key)) {
      const near = nearestName(key, [...READ_KEYS, ...KEPT_KEYS]);
      at.warn(
        'unknown_key',
        `${quoteShort(key)} is not a known key; it is kept and has no effect`,
        near === null ? 'remove it' : `did you mean "${near}"?`,
      );
    }
  }
  return kept;
}

/** Names such as `${OPENAI_KEY}` that some tool should have replaced before. */
function refuseMacros(root: Cursor, sink: ProblemSink): void {
  const visit = (value: JsonValue | undefined, path: readonly (string | number)[]): void => {
    if (typeof value === 'string') {
      const macro = /\$\{[A-Za-z_][A-Za-z0-9_]*\}/.exec(value);
      if (macro !== null) {
        sink.add(
          'error',
          path,
          'unsubstituted_macro',
          `${quoteShort(macro[0])} was not replaced by a value`,
          "write the value, or env:NAME for a key in the operator's file",
        );
      }
    } else if (Array.isArray(value)) {
      value.forEach((item, index) => visit(item, [...path, index]));
    } else if (typeof value === 'object' && value !== null) {
      for (const key of Object.keys(value)) visit(value[key], [...path, key]);
    }
  };
  visit(root.value, []);
}
