/** What `postern run` needs to know of an agent. One file each beside this one. */
import type { ClientFormat } from '../../api/connect-snippets.ts';

export interface AgentInput {
  /** A folder of its own, mode 0700, for everything that the agent keeps. */
  readonly home: string;
  /** Postern's origin. */
  readonly origin: string;
  readonly model: string;
  readonly credential: string;
}

export interface AgentFile {
  /** Relative to the home. */
  readonly path: string;
  readonly text: string;
  /** Written anew at every start, or only when missing, because the agent keeps its own state in it. */
  readonly when: 'always' | 'missing';
}

/** How to start an agent so that it reads and writes nothing of the user's own configuration. */
export interface AgentLaunch {
  readonly environment: Readonly<Record<string, string>>;
  /** Variables that would lead it past Postern; taken out of its environment. */
  readonly remove: readonly string[];
  readonly files: readonly AgentFile[];
}

export interface Agent {
  readonly name: 'claude' | 'codex' | 'gemini' | 'opencode';
  readonly title: string;
  /** Looked up on PATH. */
  readonly program: string;
  readonly install: string;
  readonly format: ClientFormat;
  /** Which models suit it, best first, matched against the model's id. */
  readonly prefers: readonly RegExp[];
  launch(input: AgentInput): AgentLaunch;
}
