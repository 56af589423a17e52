/**
 * How a client's settings are turned to Postern where one holds a key: the new text of the file, of
 * another file of the same client where its address is kept apart, or why it has to be done by hand.
 */
import { basename, dirname, join, sep } from 'node:path';
import type { JsonPath } from '../../../wire/hujson.ts';
import type { ClientId } from '../shapes.ts';
import { serviceById, serviceOfSetting, type Redirect, type Service } from '../services.ts';
import { jsonAt, pathsOfString, renameMember, setJson } from './edit-json.ts';
import { editVariables, editYaml, type EditResult, setTopToml } from './edit-lines.ts';

export interface EditRequest {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
  readonly key: string;
  readonly service: string;
  readonly client: ClientId | null;
  /** Postern's origin, without a path. */
  readonly origin: string;
  /** What the client presents to Postern. */
  readonly credential: string;
}

export interface PlannedEdit {
  readonly text: string;
  /** A setting in another file of the client. */
  readonly also?: AlsoEdit;
}

export interface AlsoEdit {
  readonly path: string;
  /** The new text, from the file's own, or null where it does not exist; null where it cannot be done. */
  edit(text: string | null): string | null;
}

export type EditPlan = PlannedEdit | { readonly refused: string };

/** Pure, but for what `also` will be given. Never throws. */
export function planEdit(request: EditRequest): EditPlan {
  const service = serviceById(request.service);
  if (service?.redirect === undefined)
    return { refused: 'Postern has no counterpart for this service that the program could be pointed to' };
  try {
    const plan = planFor(request, service, service.redirect);
    if ('refused' in plan) return plan;
    return plan.text.includes(request.key)
      ? { refused: 'the key is also where it cannot be replaced' }
      : plan;
  } catch {
    return { refused: 'the file is not in the format that its name says' };
  }
}

function planFor(request: EditRequest, service: Service, redirect: Redirect): EditPlan {
  const name = basename(request.path);
  if (request.client === 'aider') return planAider(request);
  if (/\.ya?ml$/.test(name))
    return request.client === 'continue' ? planContinueYaml(request, redirect) : byHand(name);
  if (/\.jsonc?$/.test(name)) return planJson(request, service, redirect);
  if (name.endsWith('.toml')) return byHand(name);
  if (!VARIABLE_FILES.has(request.client)) return byHand(name);
  if (name.endsWith('history')) return { refused: 'it is a record of commands: delete the line' };
  return editVariables(request.text, request.key, service.keyVariables.filter(isRedirected), {
    ...request,
    redirect,
  });
}

const VARIABLE_FILES: ReadonlySet<ClientId | null> = new Set([
  'shell',
  'dotenv',
  'gemini',
  'codex',
  'continue',
  'goose',
]);
/** Read only by programs that have no setting for another address. */
const NOT_REDIRECTED: ReadonlySet<string> = new Set([
  'CLAUDE_API_KEY',
  'GOOGLE_GENERATIVE_AI_API_KEY',
  'CODEX_API_KEY',
]);

function isRedirected(variable: string): boolean {
  return !NOT_REDIRECTED.has(variable);
}

function byHand(name: string): EditPlan {
  return {
    refused: `${name} is not a file that can be changed safely: see \`postern connect\` for what to write there`,
  };
}

function planJson(request: EditRequest, service: Service, redirect: Redirect): EditPlan {
  const { path: file, key, client, credential } = request;
  let text: string | null = request.text;
  let also: AlsoEdit | undefined;
  const paths = pathsOfString(text, key);
  if (paths.length === 0) return { refused: 'the key is part of a longer value' };
  for (const path of paths) {
    const step = jsonStep(request, path, service, redirect);
    if ('refused' in step) return step;
    text = setJson(text, path, credential);
    if (text !== null && step.address !== undefined)
      text = setJson(text, [...path.slice(0, -1), step.address.name], step.address.value);
    if (
      text !== null &&
      step.rename !== undefined &&
      jsonAt(text, [...path.slice(0, -1), step.rename]) === undefined
    )
      text = renameMember(text, path, step.rename);
    if (text === null) return byHand(basename(file));
    also ??= step.also;
  }
  return { text, ...(also === undefined || client === null ? {} : { also }) };
}

/** What one member that holds the key asks for. */
interface JsonStep {
  /** The member beside it that holds the address. */
  readonly address?: { readonly name: string; readonly value: string };
  readonly rename?: string;
  readonly also?: AlsoEdit;
}

function jsonStep(
  { path: file, client, origin }: EditRequest,
  path: JsonPath,
  service: Service,
  redirect: Redirect,
): JsonStep | { readonly refused: string } {
  const name = String(path.at(-1) ?? '');
  const name0 = basename(file);
  if (client === 'codex' && name0 === 'auth.json' && service.id === 'openai' && name === 'OPENAI_API_KEY')
    return { also: tomlAddress(join(dirname(file), 'config.toml'), `${origin}/v1`) };
  if (client === 'claude' && name0 === '.claude.json' && name === 'primaryApiKey')
    return { also: jsonAddress(claudeSettings(file), ['env', 'ANTHROPIC_BASE_URL'], origin) };
  if (client === 'opencode' && name0 === 'auth.json' && path.length === 2) {
    const settings = openCodeSettings(file);
    if (settings === null)
      return { refused: 'its settings are not beside it: see `postern connect opencode`' };
    const at = ['provider', String(path[0]), 'options', 'baseURL'];
    return { also: jsonAddress(settings, at, origin + redirect.apiPath) };
  }
  if (client === 'opencode' && name === 'apiKey')
    return { address: { name: 'baseURL', value: origin + redirect.apiPath } };
  if (client === 'continue' && name === 'apiKey')
    return { address: { name: 'apiBase', value: `${origin}${redirect.apiPath}/` } };
  // A map of environment variables, wherever a client keeps one.
  if (
    serviceOfSetting(name)?.id === service.id &&
    service.keyVariables.includes(name) &&
    isRedirected(name)
  ) {
    const address = { name: redirect.variable, value: origin + redirect.path };
    // Claude Code asks before it uses a key in ANTHROPIC_API_KEY, and not for a token.
    return client === 'claude' && name === 'ANTHROPIC_API_KEY'
      ? { address, rename: 'ANTHROPIC_AUTH_TOKEN' }
      : { address };
  }
  return { refused: `${name} is not a setting that is known to take another address` };
}

/** `~/.claude.json` lies beside the folder, or within it where CLAUDE_CONFIG_DIR names one. */
function claudeSettings(file: string): string {
  const folder = dirname(file);
  return basename(folder) === '.claude'
    ? join(folder, 'settings.json')
    : join(folder, '.claude', 'settings.json');
}

/** Where OpenCode keeps its data by default; its settings then lie in `.config` beside `.local`. */
const OPENCODE_DATA = join('.local', 'share', 'opencode', 'auth.json');

/** Null where variables have moved its data, and nobody knows where the settings are. */
function openCodeSettings(file: string): string | null {
  if (!file.endsWith(sep + OPENCODE_DATA)) return null;
  return join(file.slice(0, -OPENCODE_DATA.length), '.config', 'opencode', 'opencode.json');
}

function jsonAddress(path: string, at: JsonPath, value: string): AlsoEdit {
  return {
    path,
    edit: (text) => {
      const edited = setJson(text ?? '{}', at, value);
      return edited === null || text !== null ? edited : `${JSON.stringify(JSON.parse(edited), null, 2)}\n`;
    },
  };
}

/** Codex takes another address for its built-in provider. */
function tomlAddress(path: string, value: string): AlsoEdit {
  return { path, edit: (text) => setTopToml(text ?? '', 'openai_base_url', value) };
}

function planContinueYaml({ text, key, origin, credential }: EditRequest, redirect: Redirect): EditResult {
  return editYaml(
    text,
    key,
    { key: ['apiKey'], address: 'apiBase' },
    { credential, address: `${origin}${redirect.apiPath}/` },
  );
}

/** Aider has a setting for the address of OpenAI only. */
function planAider({ text, key, service, origin, credential }: EditRequest): EditResult {
  if (service !== 'openai') return { refused: 'Aider has a setting for another address only for OpenAI' };
  return editYaml(
    text,
    key,
    { key: ['openai-api-key'], address: 'openai-api-base' },
    { credential, address: `${origin}/v1` },
  );
}
