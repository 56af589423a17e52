/** Codex: a `CODEX_HOME` of its own with a provider named `postern`. */
import { codexConfig } from '../../api/connect-snippets.ts';
import type { Agent } from './agent.ts';

export const codex: Agent = {
  name: 'codex',
  title: 'Codex',
  program: 'codex',
  install: 'npm install -g @openai/codex',
  format: 'openai_responses',
  prefers: [/codex/, /^gpt-\d/, /^o\d/, /gpt/],
  launch: ({ home, origin, model, credential }) => ({
    environment: { CODEX_HOME: home, POSTERN_KEY: credential },
    remove: ['OPENAI_API_KEY', 'OPENAI_BASE_URL', 'CODEX_API_KEY', 'CODEX_ACCESS_TOKEN'],
    files: [
      {
        path: 'config.toml',
        text: codexConfig({ baseUrl: `${origin}/v1`, model, quiet: true }),
        when: 'always',
      },
    ],
  }),
};
