/**
 * Labels that callers put on their traffic: which program it is and which session. They narrow and
 * group, they never widen a right. Sources: `x-postern-*` first, then the headers that the known
 * clients send.
 */
import type { IncomingHttpHeaders } from 'node:http';

/** Longer labels are cut: they are stored on every row. */
const LABEL_MAX_LENGTH = 128;
const LABEL_PATTERN = /^[\x21-\x7e]+$/;

const SESSION_HEADERS = [
  'x-postern-session',
  'x-claude-code-session-id',
  'session-id',
  'session_id',
  'thread-id',
  'x-session-id',
] as const;

/** User agents of known clients, by their first product name; by first letter, so that few are tried. */
const AGENTS: Readonly<Record<string, readonly (readonly [pattern: RegExp, agent: string])[]>> = {
  a: [
    [/^ai\//, 'ai-sdk'],
    [/^Anthropic\//, 'anthropic-sdk'],
  ],
  c: [
    [/^claude-cli\//, 'claude-code'],
    [/^codex[_-]/i, 'codex'],
    [/^copilot/i, 'copilot-cli'],
    [/^curl\//, 'curl'],
  ],
  g: [
    [/^GeminiCLI/i, 'gemini-cli'],
    [/^google-genai-sdk\//, 'google-genai'],
  ],
  l: [
    [/^langchain/i, 'langchain'],
    [/^litellm/i, 'litellm'],
  ],
  o: [
    [/^opencode\//, 'opencode'],
    [/^OpenAI\//, 'openai-sdk'],
  ],
};

export interface Labels {
  readonly agent: string | null;
  /** Null where the client names none; the recorder then derives one from the conversation. */
  readonly sessionId: string | null;
}

export function readLabels(headers: IncomingHttpHeaders): Labels {
  return { agent: agentOf(headers), sessionId: sessionOf(headers) };
}

function sessionOf(headers: IncomingHttpHeaders): string | null {
  for (const name of SESSION_HEADERS) {
    const label = cleanLabel(headers[name]);
    if (label !== null) return label;
  }
  return null;
}

function agentOf(headers: IncomingHttpHeaders): string | null {
  const named = cleanLabel(headers['x-postern-agent']);
  if (named !== null) return named;
  const userAgent = headers['user-agent'];
  if (userAgent === undefined) return null;
  for (const [pattern, agent] of AGENTS[userAgent.charAt(0).toLowerCase()] ?? []) {
    if (pattern.test(userAgent)) return agent;
  }
  const product = /^[A-Za-z0-9._-]{1,40}/.exec(userAgent);
  return product === null ? null : product[0].toLowerCase();
}

function cleanLabel(value: string | readonly string[] | undefined): string | null {
  if (typeof value !== 'string' || !LABEL_PATTERN.test(value)) return null;
  return value.slice(0, LABEL_MAX_LENGTH);
}
