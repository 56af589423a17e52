/**
 * The tools that a request declares, in every format's way of writing them, and how to take some out.
 * Tools that the provider runs itself never appear as calls to decide, so the list is where they are
 * governed. A type that is not known counts as one of those. Sources: the tools pages of OpenAI,
 * Anthropic, Gemini, Vertex AI, Bedrock Converse, xAI's live search and OpenRouter's plugins.
 */
import { scanJsonArray, scanJsonObject, type JsonMember, type JsonSpan } from '../../wire/json-scan.ts';
import { applyPatches, type BodyPatch } from '../body-patch.ts';

/**
 * `function`: the caller runs it, and its calls come in the answer (shells and editors that the provider
 * has defined included). `custom`: the same, with free text for arguments. `provider`: the provider runs it.
 */
export type ToolKind = 'function' | 'custom' | 'provider';

export interface RequestTool {
  /** As calls name it; for tools of the provider the type without its date, for MCP servers `mcp` and their name. */
  readonly name: string;
  readonly kind: ToolKind;
  /** The provider's own type (`web_search_20250305`, `googleSearch`); null for the caller's functions. */
  readonly providerKind: string | null;
  /** Its place: a whole element of a list, or a member of one (`{"googleSearch": {}}`). */
  readonly span: JsonSpan;
}

/** What is read of a request. */
interface ToolFacts {
  /** Top-level members (`BodyFacts.members`). */
  readonly members: readonly JsonMember[];
}

/** A removable place: the tool's span, and the list or object that it stands in. */
interface PlacedTool extends RequestTool {
  readonly container: JsonSpan;
}

/** Budgets, guardrails and the rules on tools all ask: the answer is kept as long as the facts of its body. */
const toolsByFacts = new WeakMap<ToolFacts, readonly PlacedTool[]>();

/** Every declared tool, in the order of the bytes. `facts` come from these bytes. Never throws on checked JSON. */
export function requestTools(body: Buffer, facts: ToolFacts): readonly RequestTool[] {
  return placedTools(body, facts);
}

function placedTools(body: Buffer, facts: ToolFacts): readonly PlacedTool[] {
  let tools = toolsByFacts.get(facts);
  if (tools === undefined) toolsByFacts.set(facts, (tools = readTools(body, facts.members)));
  return tools;
}

function readTools(body: Buffer, members: readonly JsonMember[]): readonly PlacedTool[] {
  return members.flatMap((member) => {
    switch (member.key) {
      case 'tools':
        return listTools(body, member);
      case 'functions':
        return elements(body, member).map((span) => functionTool(body, span, valueSpan(member)));
      case 'mcp_servers':
        return elements(body, member).map((span) => serverTool(body, span, valueSpan(member)));
      case 'plugins':
        return elements(body, member).map((span) => pluginTool(body, span, valueSpan(member)));
      case 'web_search_options':
      case 'search_parameters':
        return isNull(body, member) ? [] : [memberTool(member, 'web_search', bodySpan(body))];
      case 'toolConfig':
      case 'tool_config':
      case 'additionalModelRequestFields':
        return innerMembers(body, member)
          .filter(({ key }) => key === 'tools')
          .flatMap((inner) => listTools(body, inner));
      case 'input':
        return loadedTools(body, member);
      // A prompt that the provider keeps may bring tools of its own.
      case 'prompt':
        return body[member.valueStart] === OPEN_BRACE
          ? [memberTool(member, 'stored_prompt', bodySpan(body))]
          : [];
      default:
        return [];
    }
  });
}

const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

function valueSpan({ valueStart, valueEnd }: JsonMember): JsonSpan {
  return { start: valueStart, end: valueEnd };
}

function bodySpan(body: Buffer): JsonSpan {
  return { start: 0, end: body.length };
}

function isNull(body: Buffer, { valueStart }: JsonMember): boolean {
  return body[valueStart] === 0x6e;
}

function elements(body: Buffer, { valueStart }: JsonMember): JsonSpan[] {
  return body[valueStart] === OPEN_BRACKET ? scanJsonArray(body, valueStart) : [];
}

function innerMembers(body: Buffer, { valueStart }: JsonMember): JsonMember[] {
  return body[valueStart] === OPEN_BRACE ? scanJsonObject(body, valueStart) : [];
}

function listTools(body: Buffer, list: JsonMember): readonly PlacedTool[] {
  return elements(body, list).flatMap((span) => elementTools(body, span, valueSpan(list)));
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseObject(body: Buffer, span: JsonSpan): JsonObject {
  if (body[span.start] !== OPEN_BRACE) return {};
  const value: unknown = JSON.parse(body.toString('utf8', span.start, span.end));
  return asObject(value) ?? {};
}

function asObject(value: unknown): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** The tools of one element of a list: one, or in Gemini's format and in namespaces several. */
function elementTools(body: Buffer, span: JsonSpan, container: JsonSpan): readonly PlacedTool[] {
  const tool = parseObject(body, span);
  const type = textOf(tool['type']);
  const place = { span, container };
  // Parsers differ in which of two equal keys counts, so nobody can say which tool it is.
  if (repeatsKey(body, span))
    return [{ name: 'ambiguous', kind: 'provider', providerKind: 'ambiguous', ...place }];
  if (type === 'namespace') return namespaceTools(body, span);
  if (type === null || type === 'function' || type === 'custom') {
    const own = ownTool(tool, type);
    if (own !== null) return [{ ...own, ...place }];
    if (type === null) return memberTools(body, span);
  }
  if (type === null) return [];
  if (type === 'mcp' || type === 'mcp_toolset') {
    const server = textOf(tool['server_label']) ?? textOf(tool['mcp_server_name']) ?? '';
    return [
      { name: server === '' ? 'mcp' : `mcp:${server}`, kind: 'provider', providerKind: type, ...place },
    ];
  }
  const bare = withoutDate(type);
  const isLocalShell = bare === 'shell' && asObject(tool['environment'])?.['type'] === 'local';
  const kind = isLocalShell || RUN_BY_CALLER.has(bare) ? 'function' : 'provider';
  return [{ name: textOf(tool['name']) ?? bare, kind, providerKind: type, ...place }];
}

const SPECIFYING: ReadonlySet<string> = new Set(['function', 'custom', 'toolSpec', 'systemTool']);

function repeatsKey(body: Buffer, span: JsonSpan): boolean {
  if (body[span.start] !== OPEN_BRACE) return false;
  const members = scanJsonObject(body, span.start);
  const keys = new Set(members.map(({ key }) => key));
  if (keys.size < members.length) return true;
  return members.some((member) => SPECIFYING.has(member.key) && repeatsKey(body, valueSpan(member)));
}

/** A function of the caller's own: OpenAI's two ways, Anthropic's, Converse's. */
function ownTool(tool: JsonObject, type: string | null): Omit<RequestTool, 'span'> | null {
  const spec = asObject(tool['function']) ?? asObject(tool['custom']) ?? asObject(tool['toolSpec']) ?? tool;
  const name = textOf(spec['name']);
  if (name === null) return null;
  const system = asObject(tool['systemTool']);
  if (system !== null) return null;
  // Anthropic's `custom` has a schema like any function; OpenAI's takes free text.
  const isFree = type === 'custom' && spec['input_schema'] === undefined;
  return { name, kind: isFree ? 'custom' : 'function', providerKind: null };
}

/** Tools of providers' making that the caller runs: their calls come in the answer. */
const RUN_BY_CALLER: ReadonlySet<string> = new Set([
  'bash',
  'text_editor',
  'computer',
  'computer_use',
  'memory',
  'local_shell',
  'apply_patch',
]);

/** Anthropic dates its types `_20250305`, OpenAI `_2025_08_26` and `_preview`, with a date or without. */
function withoutDate(type: string): string {
  return type.replace(/_(?:preview(?:_\d{4}_\d{2}_\d{2})?|\d{4}_?\d{2}_?\d{2})$/, '');
}

/**
 * Every name by which a rule may mean a tool: its own, the provider's type with its date and without, and
 * both spellings in which Google's servers take a name (ProtoJSON: `googleSearch`, `google_search`).
 */
export function toolNames({ name, kind, providerKind }: RequestTool): readonly string[] {
  if (kind !== 'provider' || providerKind === null) return [name];
  const bare = withoutDate(providerKind);
  return [...new Set([name, providerKind, bare, inCamelCase(bare), inSnakeCase(bare)])];
}

function inCamelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function inSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Gemini: each member of an element is a tool, or a list of functions. Converse: `systemTool`, `cachePoint`. */
function memberTools(body: Buffer, span: JsonSpan): readonly PlacedTool[] {
  if (body[span.start] !== OPEN_BRACE) return [];
  return scanJsonObject(body, span.start).flatMap((member): readonly PlacedTool[] => {
    switch (member.key) {
      case 'functionDeclarations':
      case 'function_declarations':
        return elements(body, member).map((inner) => functionTool(body, inner, valueSpan(member)));
      case 'cachePoint':
        return [];
      case 'systemTool': {
        const name = textOf(parseObject(body, valueSpan(member))['name']) ?? 'systemTool';
        return [{ ...memberTool(member, name, span), providerKind: 'systemTool' }];
      }
      case 'computerUse':
      case 'computer_use':
        return [{ ...memberTool(member, 'computer_use', span), kind: 'function', providerKind: member.key }];
      default:
        return [memberTool(member, member.key, span)];
    }
  });
}

function memberTool(member: JsonMember, name: string, container: JsonSpan): PlacedTool {
  return {
    name,
    kind: 'provider',
    providerKind: member.key,
    span: { start: member.memberStart, end: member.valueEnd },
    container,
  };
}

function functionTool(body: Buffer, span: JsonSpan, container: JsonSpan): PlacedTool {
  const name = textOf(parseObject(body, span)['name']) ?? '';
  return { name, kind: 'function', providerKind: null, span, container };
}

function serverTool(body: Buffer, span: JsonSpan, container: JsonSpan): PlacedTool {
  const name = textOf(parseObject(body, span)['name']) ?? '';
  return { name: `mcp:${name}`, kind: 'provider', providerKind: 'mcp_servers', span, container };
}

function pluginTool(body: Buffer, span: JsonSpan, container: JsonSpan): PlacedTool {
  const name = textOf(parseObject(body, span)['id']) ?? 'plugin';
  return { name, kind: 'provider', providerKind: 'plugins', span, container };
}

/** Responses: a namespace groups functions; a tool of another kind in it counts as itself. */
function namespaceTools(body: Buffer, span: JsonSpan): readonly PlacedTool[] {
  return scanJsonObject(body, span.start)
    .filter(({ key }) => key === 'tools')
    .flatMap((list) => elements(body, list).flatMap((inner) => elementTools(body, inner, valueSpan(list))));
}

/** Responses: tools that a search of tools has brought into the conversation. */
function loadedTools(body: Buffer, input: JsonMember): readonly PlacedTool[] {
  return elements(body, input).flatMap((item) => {
    if (body[item.start] !== OPEN_BRACE || !body.subarray(item.start, item.end).includes('"tools"'))
      return [];
    const lists = scanJsonObject(body, item.start).filter(({ key }) => key === 'tools');
    return lists.flatMap((list) => listTools(body, list));
  });
}

/**
 * The body without these tools, which come from `requestTools` of the same body. A list that loses
 * its last tool goes as a whole, and with it the choice of a tool, which providers refuse without any;
 * so does a choice that names a tool which has gone.
 */
export function withoutTools(body: Buffer, facts: ToolFacts, gone: readonly RequestTool[]): Buffer {
  if (gone.length === 0) return body;
  const starts = new Set(gone.map(({ span }) => span.start));
  const placed = placedTools(body, facts);
  const names = new Set(placed.filter(({ span }) => starts.has(span.start)).map(({ name }) => name));
  const removed = new Set<number>(starts);
  const hasLeft = placed.some(({ span }) => !starts.has(span.start));
  const patches: BodyPatch[] = [];
  const topLevel: JsonMember[] = [];
  for (const member of facts.members) {
    if (removed.has(member.memberStart)) topLevel.push(member);
    else if (CHOICES.has(member.key) && (!hasLeft || namesOne(body, member, names))) topLevel.push(member);
    else if (LISTS.has(member.key)) {
      const rest = prune(body, member, removed, patches);
      if (!rest) topLevel.push(member);
    }
  }
  patches.push(...removals(facts.members.map(memberSpan), topLevel.map(memberSpan)));
  return applyPatches(body, patches);
}

const CHOICES: ReadonlySet<string> = new Set(['tool_choice', 'function_call', 'parallel_tool_calls']);
const LISTS: ReadonlySet<string> = new Set([
  'tools',
  'functions',
  'mcp_servers',
  'plugins',
  'toolConfig',
  'tool_config',
  'additionalModelRequestFields',
  'input',
]);

function memberSpan({ memberStart, valueEnd }: JsonMember): JsonSpan {
  return { start: memberStart, end: valueEnd };
}

function namesOne(body: Buffer, { valueStart, valueEnd }: JsonMember, names: ReadonlySet<string>): boolean {
  if (body[valueStart] !== OPEN_BRACE) return false;
  const choice = parseObject(body, { start: valueStart, end: valueEnd });
  const named = textOf(choice['name']) ?? textOf(asObject(choice['function'])?.['name']);
  const type = textOf(choice['type']);
  return (named !== null && names.has(named)) || (type !== null && names.has(withoutDate(type)));
}

/** Takes the removed places out of a value, at any depth where tools stand; false if nothing of it is left. */
function prune(
  body: Buffer,
  member: JsonMember,
  removed: ReadonlySet<number>,
  patches: BodyPatch[],
): boolean {
  const isInput = member.key === 'input';
  const value = valueSpan(member);
  if (body[value.start] === OPEN_BRACE) {
    const inner = scanJsonObject(body, value.start);
    const empty = inner.filter(
      (one) => one.key === 'tools' && elements(body, one).length > 0 && !prune(body, one, removed, patches),
    );
    // Converse's toolConfig is nothing without its tools.
    if (empty.length > 0 && member.key !== 'additionalModelRequestFields') return false;
    patches.push(...removals(inner.map(memberSpan), empty.map(memberSpan)));
    return true;
  }
  const all = elements(body, member);
  const empty = all.filter(
    (span) => !isInput && (removed.has(span.start) || !pruneElement(body, span, removed, patches)),
  );
  if (all.length > 0 && empty.length === all.length) return false;
  if (isInput) for (const span of all) pruneItem(body, span, removed, patches);
  patches.push(...removals(all, empty));
  return true;
}

function pruneElement(
  body: Buffer,
  span: JsonSpan,
  removed: ReadonlySet<number>,
  patches: BodyPatch[],
): boolean {
  if (body[span.start] !== OPEN_BRACE || !holdsOne(span, removed)) return true;
  const inner = scanJsonObject(body, span.start);
  const gone = inner.filter(
    (one) =>
      removed.has(one.memberStart) ||
      (elements(body, one).length > 0 &&
        holdsOne(valueSpan(one), removed) &&
        !prune(body, one, removed, patches)),
  );
  const isNamespace = inner.some(({ key }) => key === 'type') && gone.some(({ key }) => key === 'tools');
  if (gone.length === inner.length || isNamespace) return false;
  patches.push(...removals(inner.map(memberSpan), gone.map(memberSpan)));
  return true;
}

/** An item of a conversation stays, with an empty list of tools. */
function pruneItem(body: Buffer, span: JsonSpan, removed: ReadonlySet<number>, patches: BodyPatch[]): void {
  if (body[span.start] !== OPEN_BRACE || !holdsOne(span, removed)) return;
  for (const one of scanJsonObject(body, span.start)) {
    if (one.key !== 'tools') continue;
    const value = valueSpan(one);
    if (!prune(body, one, removed, patches)) patches.push({ start: value.start, end: value.end, text: '[]' });
  }
}

function holdsOne({ start, end }: JsonSpan, removed: ReadonlySet<number>): boolean {
  for (const place of removed) if (place >= start && place < end) return true;
  return false;
}

/** Cuts some of the neighbours out of a list, each with one comma. */
function removals(all: readonly JsonSpan[], gone: readonly JsonSpan[]): BodyPatch[] {
  const starts = new Set(gone.map(({ start }) => start));
  const patches: BodyPatch[] = [];
  let keptBefore: JsonSpan | null = null;
  all.forEach((span, i) => {
    if (!starts.has(span.start)) {
      keptBefore = span;
      return;
    }
    const next = all[i + 1];
    // Up to the next neighbour; the last ones go with the comma before them.
    if (next !== undefined) patches.push({ start: span.start, end: next.start, text: '' });
    else patches.push({ start: span.start, end: span.end, text: '' });
  });
  const last = all.at(-1);
  const kept = keptBefore as JsonSpan | null;
  if (last === undefined || !starts.has(last.start) || kept === null) return patches;
  // Everything after the last one that stays goes at once.
  return [...patches.filter(({ start }) => start < kept.start), { start: kept.end, end: last.end, text: '' }];
}
