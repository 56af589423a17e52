/** Claude Code: everything by environment; `CLAUDE_CONFIG_DIR` takes the place of `~/.claude` and `~/.claude.json`. */
import type { Agent } from './agent.ts';

export const claude: Agent = {
  name: 'claude',
  title: 'Claude Code',
  program: 'claude',
  install: 'npm install -g @anthropic-ai/claude-code',
  format: 'anthropic_messages',
  prefers: [/claude-.*sonnet/, /claude-.*opus/, /claude/],
  launch: ({ home, origin, model, credential }) => ({
    environment: {
      CLAUDE_CONFIG_DIR: home,
      ANTHROPIC_BASE_URL: origin,
      ANTHROPIC_AUTH_TOKEN: credential,
      ANTHROPIC_MODEL: model,
      // Its background calls name a small model of their own, which policy may not grant.
      ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_TELEMETRY: '1',
      DISABLE_ERROR_REPORTING: '1',
      DISABLE_AUTOUPDATER: '1',
    },
    remove: [
      'ANTHROPIC_API_KEY',
      'ANTHROPIC_SMALL_FAST_MODEL',
      'ANTHROPIC_CUSTOM_HEADERS',
      'CLAUDE_CODE_OAUTH_TOKEN',
      'CLAUDE_CODE_USE_BEDROCK',
      'CLAUDE_CODE_USE_VERTEX',
      'CLAUDE_CODE_USE_FOUNDRY',
    ],
    // Without it an interactive first start asks for a login that is not needed.
    files: [
      {
        path: '.claude.json',
        text: `${JSON.stringify({ hasCompletedOnboarding: true })}\n`,
        when: 'missing',
      },
    ],
  }),
};
