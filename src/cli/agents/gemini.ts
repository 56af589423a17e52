/** Gemini CLI: `GEMINI_CLI_HOME` takes the place of the home folder that holds `.gemini`. */
import type { Agent } from './agent.ts';

const SETTINGS = {
  privacy: { usageStatisticsEnabled: false },
  general: { enableAutoUpdate: false },
  telemetry: { enabled: false },
  security: { auth: { selectedType: 'gemini-api-key' } },
};

export const gemini: Agent = {
  name: 'gemini',
  title: 'Gemini CLI',
  program: 'gemini',
  install: 'npm install -g @google/gemini-cli',
  format: 'gemini_generate_content',
  prefers: [/gemini-.*pro/, /gemini-.*flash/, /gemini/],
  launch: ({ home, origin, model, credential }) => ({
    environment: {
      GEMINI_CLI_HOME: home,
      GOOGLE_GEMINI_BASE_URL: origin,
      GEMINI_API_KEY: credential,
      // Named, so that it does not ask a second model which one to use.
      GEMINI_MODEL: model,
    },
    remove: [
      'GOOGLE_API_KEY',
      'GOOGLE_GENAI_USE_VERTEXAI',
      'GOOGLE_GENAI_USE_GCA',
      'GOOGLE_VERTEX_BASE_URL',
      'GEMINI_API_KEY_AUTH_MECHANISM',
      'GEMINI_CLI_CUSTOM_HEADERS',
    ],
    files: [
      { path: '.gemini/settings.json', text: `${JSON.stringify(SETTINGS, null, 2)}\n`, when: 'always' },
    ],
  }),
};
