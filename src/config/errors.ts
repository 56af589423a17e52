import { AppError } from '../base/errors.ts';

export type SettingsErrorCode =
  | 'settings_unknown_key'
  | 'settings_bad_value'
  | 'settings_bad_file'
  | 'settings_bad_key_file'
  | 'settings_conflict';

/** The operator's settings cannot be used; the message names the setting, its origin and what would fix it. */
export class SettingsError extends AppError<SettingsErrorCode> {}
