/** Writes docs/reference/settings.md from the schema. */
import { SETTINGS, type SettingSpec } from './schema.ts';

/** Markdown of the page, with a line end at its end. */
export function renderSettingsReference(): string {
  const lines = [
    '# Settings of the operator',
    '',
    '<!-- Generated from src/config/schema.ts by scripts/write-references.ts. Do not edit. -->',
    '',
    'A flag beats the environment, which beats the settings file (HuJSON: JSON with comments and trailing commas), which beats the default.',
    'A name with dots is nested in the file: `limits.bodyMaxBytes` is `{ "limits": { "bodyMaxBytes": … } }`. An unknown key is refused.',
    'Settings that weaken security are called `dangerously…` and are listed by `postern doctor`.',
    '',
  ];
  for (const [name, spec] of Object.entries<SettingSpec>(SETTINGS)) {
    lines.push(`## ${name}`, '', spec.doc, '');
    lines.push('| flag | environment | in the file | value | unit | default |', '|---|---|---|---|---|---|');
    lines.push(
      `| ${code(spec.flag)} | ${environment(spec)} | ${spec.inFile ? 'yes' : 'no'} | ${spec.kind.name} | ${spec.unit || '–'} | ${spec.fallback.replaceAll('<', '&lt;')} |`,
    );
    lines.push('', `Example: \`${spec.example.replaceAll('`', '')}\``, '');
  }
  return lines.join('\n');
}

function code(text: string | null): string {
  return text === null ? '–' : `\`${text}\``;
}

function environment(spec: SettingSpec): string {
  if (spec.env === null) return '–';
  return spec.envFile ? `\`${spec.env}\`, \`${spec.env}_FILE\`` : `\`${spec.env}\``;
}
