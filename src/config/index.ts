/** The operator's settings: loaded once at start from flags, environment and file. */
export type { SignInProviderSettings } from './sign-in-kind.ts';
export type * from './operator-settings.ts';
export { loadOperatorSettings, type LoadSettingsInput } from './load-settings.ts';
export { SETTINGS, type SettingSpec } from './schema.ts';
export { SettingsError, type SettingsErrorCode } from './errors.ts';
export {
  ensureMasterKey,
  decodeMasterKey,
  parseMasterKey,
  MASTER_KEY_FILE,
  type MasterKeyFiles,
} from './master-key.ts';
export { findProviders, type FoundProvider } from './find-providers.ts';
export { settingsFiles } from './files.ts';
export { renderSettingsReference } from './settings-reference.ts';
