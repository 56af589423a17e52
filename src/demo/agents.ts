/** The programs that people in the demo work with: what each sends, to which models, with which tools. */
import { anthropicMessages } from './dialects/anthropic.ts';
import { geminiGenerateContent } from './dialects/gemini.ts';
import { openaiChat } from './dialects/openai-chat.ts';
import { openaiResponses } from './dialects/openai-responses.ts';
import type { AgentName } from './people.ts';
import type { TalkFormat, ToolSpec } from './talk.ts';

/** What an agent calls the four things that agents do. */
export interface AgentTools {
  readonly read: { readonly tool: ToolSpec; readonly path: string };
  readonly search: { readonly tool: ToolSpec; readonly pattern: string };
  readonly edit: { readonly tool: ToolSpec; readonly path: string; readonly text: string };
  readonly run: { readonly tool: ToolSpec; readonly command: string };
}

export interface DemoAgent {
  readonly format: TalkFormat;
  readonly headers: Readonly<Record<string, string>>;
  /** The header that names the session, in the agent's own spelling; null: the gateway finds it out. */
  readonly sessionHeader: string | null;
  /** The first is taken mostly. */
  readonly models: readonly [string, ...string[]];
  readonly system: string;
  readonly tools: AgentTools | null;
  readonly streams: boolean;
  readonly thinks: boolean;
  readonly maxTokens: number;
}

const CODING = `You are a coding agent. You work in the user's repository with the tools that you are given.
Look before you change. Keep changes small, run the tests that cover them, and say in the end what you did and what is left.
Never print secrets. Never push, deploy or delete without being asked to. Prefer the repository's own conventions over your own.

${houseRules()}`;

/** Instructions as long as those of real agents, which send them with every turn. */
function houseRules(): string {
  const parts = ['web', 'api', 'export', 'mailer', 'database', 'deployment', 'gateway', 'dashboards'];
  const rules = [
    'read the folder README before the first change, and follow what it says about layers and names',
    'write the test that fails first; a change without one is not finished',
    'errors say what was got, what was wanted and what would fix it; they never show a secret',
    'do not add a dependency; if one seems needed, say so and stop',
    'keep functions short and names whole; comments say why, not what',
    'times are UTC and carry their unit in the name; money is a whole number of cents',
    'a query on a large table needs an index and a limit, and its plan belongs into the summary',
    'whatever talks to the outside has a deadline, a limit of bytes and a retry that ends',
  ];
  return parts
    .map((part) => [`## ${part}`, ...rules.map((rule, i) => `${i + 1}. In ${part}: ${rule}.`)].join('\n'))
    .join('\n\n');
}

function spec(name: string, description: string, ...parameters: readonly string[]): ToolSpec {
  return { name, description, parameters };
}

const CLAUDE_TOOLS: AgentTools = {
  read: { tool: spec('Read', 'Reads a file of the workspace.', 'file_path'), path: 'file_path' },
  search: { tool: spec('Grep', 'Searches file contents with a pattern.', 'pattern'), pattern: 'pattern' },
  edit: {
    tool: spec('Edit', 'Replaces text in a file.', 'file_path', 'old_string', 'new_string'),
    path: 'file_path',
    text: 'new_string',
  },
  run: { tool: spec('Bash', 'Runs a command in a shell.', 'command', 'description'), command: 'command' },
};

const CODEX_TOOLS: AgentTools = {
  read: { tool: spec('read_file', 'Reads a file.', 'path'), path: 'path' },
  search: { tool: spec('grep_files', 'Finds files whose contents match.', 'pattern'), pattern: 'pattern' },
  edit: { tool: spec('apply_patch', 'Applies a patch.', 'path', 'patch'), path: 'path', text: 'patch' },
  run: { tool: spec('shell', 'Runs a command and returns its output.', 'command'), command: 'command' },
};

const GEMINI_TOOLS: AgentTools = {
  read: { tool: spec('read_file', 'Reads a file.', 'absolute_path'), path: 'absolute_path' },
  search: { tool: spec('search_file_content', 'Searches in files.', 'pattern'), pattern: 'pattern' },
  edit: {
    tool: spec('replace', 'Replaces text in a file.', 'file_path', 'old_string', 'new_string'),
    path: 'file_path',
    text: 'new_string',
  },
  run: { tool: spec('run_shell_command', 'Runs a shell command.', 'command'), command: 'command' },
};

const OPENCODE_TOOLS: AgentTools = {
  read: { tool: spec('read', 'Reads a file.', 'filePath'), path: 'filePath' },
  search: { tool: spec('grep', 'Searches in files.', 'pattern'), pattern: 'pattern' },
  edit: { tool: spec('edit', 'Edits a file.', 'filePath', 'newString'), path: 'filePath', text: 'newString' },
  run: { tool: spec('bash', 'Runs a command.', 'command'), command: 'command' },
};

export const AGENTS: Readonly<Record<AgentName, DemoAgent>> = {
  'claude-code': {
    format: anthropicMessages,
    headers: { 'user-agent': 'claude-cli/2.1.330 (external, cli)', 'anthropic-beta': 'claude-code-20250219' },
    sessionHeader: 'x-claude-code-session-id',
    models: ['claude-sonnet-4-6', 'claude-sonnet-4-6', 'claude-opus-4-6', 'claude-haiku-4-5'],
    system: CODING,
    tools: CLAUDE_TOOLS,
    streams: true,
    thinks: true,
    maxTokens: 8_000,
  },
  codex: {
    format: openaiResponses,
    headers: { 'user-agent': 'codex_cli_rs/0.169.0 (Linux)', originator: 'codex_cli_rs' },
    sessionHeader: 'session_id',
    models: ['gpt-5.3-codex', 'gpt-5.3-codex', 'gpt-5-mini'],
    system: CODING,
    tools: CODEX_TOOLS,
    streams: true,
    thinks: true,
    maxTokens: 8_000,
  },
  'gemini-cli': {
    format: geminiGenerateContent,
    headers: { 'user-agent': 'GeminiCLI/0.61.0/gemini-2.5-pro (linux; x64)' },
    sessionHeader: null,
    models: ['gemini-2.5-pro', 'gemini-2.5-flash'],
    system: CODING,
    tools: GEMINI_TOOLS,
    streams: true,
    thinks: true,
    maxTokens: 8_000,
  },
  opencode: {
    format: openaiChat,
    headers: { 'user-agent': 'opencode/1.18.33 ai-sdk/provider-utils/4.0.12' },
    sessionHeader: 'x-session-id',
    models: ['gpt-5', 'gpt-5-mini'],
    system: CODING,
    tools: OPENCODE_TOOLS,
    streams: true,
    thinks: false,
    maxTokens: 8_000,
  },
  'openai-sdk': {
    format: openaiChat,
    headers: { 'user-agent': 'OpenAI/JS 7.57.0' },
    sessionHeader: null,
    models: ['gpt-5-mini', 'gpt-5-nano'],
    system: 'You classify and answer support tickets. Answer in one short paragraph.',
    tools: null,
    streams: false,
    thinks: false,
    maxTokens: 1_000,
  },
  'anthropic-sdk': {
    format: anthropicMessages,
    headers: { 'user-agent': 'Anthropic/JS 1.12.0' },
    sessionHeader: null,
    models: ['claude-haiku-4-5', 'claude-sonnet-4-6'],
    system: 'You summarise what you are given for somebody who has one minute.',
    tools: null,
    streams: false,
    thinks: false,
    maxTokens: 1_500,
  },
  notebook: {
    format: openaiChat,
    headers: { 'user-agent': 'OpenAI/Python 2.31.0', 'x-postern-agent': 'notebook' },
    sessionHeader: 'x-postern-session',
    models: ['gpt-5', 'gpt-5-mini'],
    system: 'You help with an analysis in a notebook. Show the numbers that an answer stands on.',
    tools: null,
    streams: true,
    thinks: false,
    maxTokens: 3_000,
  },
};

/** What the machines of the build run. */
export const MACHINE_AGENT: DemoAgent = {
  format: anthropicMessages,
  headers: { 'user-agent': 'Anthropic/Python 1.31.0' },
  sessionHeader: 'x-postern-session',
  models: ['claude-haiku-4-5'],
  system: 'You review changes. Name what could break, most serious first, and nothing else.',
  tools: null,
  streams: false,
  thinks: false,
  maxTokens: 1_500,
};
