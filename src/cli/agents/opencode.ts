/** OpenCode: XDG folders of its own, and a configuration with one provider. */
import { join } from 'node:path';
import { openCodeConfig } from '../../api/connect-snippets.ts';
import type { Agent } from './agent.ts';

export const opencode: Agent = {
  name: 'opencode',
  title: 'OpenCode',
  program: 'opencode',
  install: 'npm install -g opencode-ai',
  format: 'openai_chat',
  prefers: [/claude-.*sonnet/, /^gpt-\d/, /gemini-.*pro/, /claude|gpt|gemini/],
  launch: ({ home, origin, model, credential }) => ({
    environment: {
      XDG_CONFIG_HOME: join(home, 'config'),
      XDG_DATA_HOME: join(home, 'data'),
      XDG_STATE_HOME: join(home, 'state'),
      XDG_CACHE_HOME: join(home, 'cache'),
      OPENCODE_CONFIG: join(home, 'opencode.json'),
      // It fetches the provider's package with npm, whose cache would else be the user's.
      npm_config_cache: join(home, 'cache', 'npm'),
      OPENCODE_DISABLE_AUTOUPDATE: '1',
      OPENCODE_DISABLE_MODELS_FETCH: '1',
      OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
      OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
    },
    remove: ['OPENCODE_CONFIG_CONTENT', 'OPENCODE_CONFIG_DIR'],
    files: [
      {
        path: 'opencode.json',
        text: `${JSON.stringify(openCodeConfig({ baseUrl: `${origin}/v1`, model, credential, quiet: true }), null, 2)}\n`,
        when: 'always',
      },
    ],
  }),
};
