/** The demo's gateway document, as an admin would write it, for the fake providers' addresses. */
import { PEOPLE, type Team } from './people.ts';
import type { ProviderName } from './upstream.ts';

export interface DocumentOptions {
  /** How many times the budgets of an office of twelve. */
  readonly scale: number;
  /** Of the data team for a week and `scale`; default 5. */
  readonly dataUsd?: number;
  readonly origins: Readonly<Record<ProviderName, string>>;
  /** Whoever runs the demo; null where the system does not tell users apart. */
  readonly viewer: string | null;
}

const TEAMS: readonly Team[] = ['platform', 'product', 'data'];

export function demoDocument({ origins, viewer, scale, dataUsd = 5 }: DocumentOptions): string {
  const members = (team: Team): string =>
    list(PEOPLE.filter((person) => person.team === team).map(({ login }) => login));
  const withRole = (role: string): string =>
    list(PEOPLE.filter((person) => person.role === role).map(({ login }) => login));
  const leads = PEOPLE.filter(({ role }) => role === 'lead')
    .map(({ login, team }) => grant([login], `{ "role": "lead", "leads": ["group:${team}"] }`))
    .join('\n');
  const usd = (amount: number): string => `$${(amount * scale).toFixed(2)}`;
  const everybody = list([...TEAMS.map((team) => `group:${team}`), 'tag:ci', 'tag:batch']);
  return `// The document of the demo. Its providers are fakes on this machine: no key in it is worth anything.
{
  "providers": {
    "anthropic": {
      "baseurl": "${origins.anthropic}",
      "authorization": "x-api-key",
      "models": ["claude-*"],
      "compatibility": { "anthropic_messages": true, "openai_chat": false },
      "cost_basis": "anthropic",
    },
    // Takes over when the first one is down.
    "anthropic-eu": {
      "baseurl": "${origins['anthropic-eu']}",
      "authorization": "x-api-key",
      "models": ["claude-*"],
      "compatibility": { "anthropic_messages": true, "openai_chat": false },
      "cost_basis": "anthropic",
      "preference": -1,
    },
    "openai": {
      "baseurl": "${origins.openai}",
      "models": ["gpt-*", "text-embedding-*"],
      "compatibility": { "openai_chat": true, "openai_responses": true },
      "cost_basis": "openai",
    },
    "google": {
      "baseurl": "${origins.google}",
      "authorization": "x-goog-api-key",
      "models": ["gemini-*"],
      "compatibility": { "gemini_generate_content": true, "openai_chat": false },
      "cost_basis": "google",
    },
  },

  "groups": {
${TEAMS.map((team) => `    "group:${team}": ${members(team)},`).join('\n')}
    "group:reviewers": ${withRole('approver')},
  },

  "routing": {
    "models": {
${['claude-sonnet-4-6', 'claude-opus-4-6', 'claude-haiku-4-5']
  .map(
    (model) =>
      `      "${model}": { "targets": ["anthropic/${model}", "anthropic-eu/${model}"], "sticky": false },`,
  )
  .join('\n')}
    },
    "retries": 1,
    "break_after": 3,
    "break_for": "2m",
  },

  "quotas": {
    "person:<user>": { "capacity": "${usd(1.5)}", "window": "day", "warn_at": [0.8] },
    "build:<node>": { "capacity": "${usd(1)}", "window": "day", "warn_at": [0.8] },
    "team-platform": { "capacity": "${usd(15)}", "window": "week", "warn_at": [0.5, 0.8], "parent": "company" },
    "team-product": { "capacity": "${usd(8)}", "window": "week", "warn_at": [0.5, 0.8], "parent": "company" },
    "team-data": { "capacity": "${usd(dataUsd)}", "window": "week", "warn_at": [0.5, 0.8], "parent": "company" },
    "company": { "capacity": "${usd(100)}", "window": "month", "warn_at": [0.8] },
  },

  "guardrails": {
    // Keys that somebody pasted leave nowhere.
    "keys": {
      "src": ${everybody},
      "on": ["request"],
      "detect": ["secrets"],
      "action": "block",
      "message": "this looks like a key or password; remove it and ask again",
    },
    // Customers stay among us.
    "customers": { "src": ["group:data", "group:product"], "on": ["request"], "detect": ["email", "iban"], "action": "redact" },
  },

  "tools": [
    {
      "src": ${everybody},
      "tools": ["Bash", "bash", "shell", "run_shell_command"],
      "when": [{ "path": "$.command", "matches": "rm -rf|\\\\bsudo\\\\b" }],
      "action": "deny",
      "message": "nothing is deleted for good from here; say what should go and a person does it",
    },
    {
      "src": ${everybody},
      "tools": ["Bash", "bash", "shell", "run_shell_command"],
      "when": [{ "path": "$.command", "matches": "^git push|terraform apply|kubectl (delete|apply)" }],
      "action": "ask",
      "approval": "operations",
    },
  ],

  "approvals": {
    "operations": { "approvers": ["group:reviewers"], "hold_for": "5m", "pending_for": "24h" },
    "model_access": { "pending_for": "7d" },
    "more_budget": { "pending_for": "7d" },
  },

  "grants": [
${grant(['group:platform'], `{ "role": "user", "models": ["anthropic/*", "anthropic-eu/*", "openai/*", "google/*"], "quotas": [{ "bucket": "person:<user>" }, { "bucket": "team-platform" }], "cache": { "scope": "user", "ttl": "12h" } }`)}
${grant(['group:product'], `{ "role": "user", "models": ["anthropic/claude-sonnet-*", "anthropic/claude-haiku-*", "anthropic-eu/claude-sonnet-*", "anthropic-eu/claude-haiku-*", "openai/gpt-5*", "google/*"], "quotas": [{ "bucket": "person:<user>" }, { "bucket": "team-product" }] }`)}
${grant(['group:data'], `{ "role": "user", "models": ["anthropic/claude-sonnet-*", "anthropic/claude-haiku-*", "anthropic-eu/claude-sonnet-*", "anthropic-eu/claude-haiku-*", "openai/*", "google/*"], "quotas": [{ "bucket": "person:<user>" }, { "bucket": "team-data" }] }`)}
${grant(['tag:ci', 'tag:batch'], `{ "role": "user", "models": ["anthropic/claude-haiku-*", "anthropic-eu/claude-haiku-*", "openai/text-embedding-*"], "quotas": [{ "bucket": "build:<node>" }] }`)}
    // Pictures: no rule about texts can be kept there, so this one stands under none.
${grant(['tag:design'], `{ "role": "user", "models": ["openai/gpt-image-1"] }`)}
${leads}
${grant(roleHolders('approver'), `{ "role": "approver" }`)}
${grant(roleHolders('auditor'), `{ "role": "auditor" }`)}
${grant([...roleHolders('admin'), ...(viewer === null ? [] : [viewer])], `{ "role": "admin" }`)}
${viewer === null ? '' : grant([viewer], `{ "role": "user", "models": ["**"], "quotas": [{ "bucket": "person:<user>" }] }`)}
  ],

  "tests": [
    { "src": { "login": "chloe@example.com", "groups": ["group:platform"] }, "accept": ["anthropic/claude-opus-4-6"] },
    { "src": { "login": "femi@example.com", "groups": ["group:product"] }, "deny": ["anthropic/claude-opus-4-6"] },
    { "src": "tag:ci", "accept": ["anthropic/claude-haiku-4-5"], "deny": ["openai/gpt-5"] },
    { "src": "maya@example.com", "role": "none" },
  ],
}
`;
}

function roleHolders(role: string): readonly string[] {
  return PEOPLE.filter((person) => person.role === role).map(({ login }) => login);
}

function grant(src: readonly string[], capability: string): string {
  return `    { "src": ${list(src)}, "app": { "postern.dev/cap/gateway": [${capability}] } },`;
}

function list(texts: readonly string[]): string {
  return `[${texts.map((text) => JSON.stringify(text)).join(', ')}]`;
}
