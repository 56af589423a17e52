/** The real agents: where the installed program is, how to ask it one question, and what Postern shall record of it. */
import { join } from 'node:path';

export interface RealAgent {
  /** As `postern run` names it. */
  readonly name: 'claude' | 'codex' | 'gemini' | 'opencode';
  /** The program's command line, below the folder of installed packages. */
  readonly program: (packages: string) => readonly string[];
  /** Arguments that ask once and end. `model` is as `postern run --model` got it. */
  readonly ask: (question: string, model: string) => readonly string[];
  /** The label in Postern's records. */
  readonly label: string;
  /** The wire format that it speaks. */
  readonly format: string;
  /** The fake upstream's model for it. */
  readonly model: string;
  /** Whether it says which session a request belongs to; else Postern derives one. */
  readonly namesSession: boolean;
  /** Arguments that let it run its tools without asking at its own terminal: who decides is Postern. */
  readonly mayRun: readonly string[];
  /** Further environment for a run without outside access. */
  readonly env: Readonly<Record<string, string>>;
}

/** As the packages that hold a native program are named. */
const PLATFORM = `${process.platform}-${process.arch}`;

export const REAL_AGENTS: readonly RealAgent[] = [
  {
    name: 'claude',
    program: (packages) => [join(packages, `@anthropic-ai/claude-code-${PLATFORM}/claude`)],
    ask: (question) => ['-p', question, '--output-format', 'json', '--strict-mcp-config'],
    label: 'claude-code',
    format: 'anthropic_messages',
    model: 'claude-fake',
    mayRun: ['--allowedTools', 'Bash', 'Read'],
    namesSession: true,
    env: {},
  },
  {
    name: 'codex',
    program: (packages) => [process.execPath, join(packages, '@openai/codex/bin/codex.js')],
    ask: (question) => ['exec', '--json', '--skip-git-repo-check', question],
    label: 'codex',
    format: 'openai_responses',
    model: 'gpt-fake',
    mayRun: ['--dangerously-bypass-approvals-and-sandbox'],
    namesSession: true,
    env: {},
  },
  {
    name: 'gemini',
    program: (packages) => [process.execPath, join(packages, '.bin/gemini')],
    ask: (question) => ['-p', question],
    label: 'gemini-cli',
    format: 'gemini_generate_content',
    model: 'gemini-fake',
    mayRun: ['--approval-mode', 'yolo'],
    namesSession: false,
    env: { GEMINI_CLI_TRUST_WORKSPACE: 'true' },
  },
  {
    name: 'opencode',
    program: (packages) => [join(packages, `opencode-${PLATFORM}/bin/opencode`)],
    ask: (question, model) => ['run', '-m', `postern/${model}`, question],
    label: 'opencode',
    format: 'openai_chat',
    model: 'gpt-fake',
    mayRun: [],
    namesSession: true,
    env: {},
  },
];

/** The agent of that name. Throws on another. */
export function realAgent(name: string): RealAgent {
  const found = REAL_AGENTS.find((agent) => agent.name === name);
  if (found === undefined) throw new Error(`no agent '${name}'`);
  return found;
}
