/** Pages that are generated from the code they describe. */
import { API_ERRORS, openApiDocument } from '../src/api/index.ts';
import { silentTerminal } from '../src/cli/context.ts';
import { renderCliReference } from '../src/cli/reference.ts';
import { renderSettingsReference } from '../src/config/index.ts';
import { REASONS } from '../src/gateway/index.ts';

export interface Reference {
  /** From the root of the repository. */
  readonly path: string;
  readonly render: () => string | Promise<string>;
}

export const references: readonly Reference[] = [
  { path: 'docs/reference/cli.md', render: () => renderCliReference(silentTerminal()) },
  { path: 'docs/reference/settings.md', render: renderSettingsReference },
  { path: 'docs/reference/openapi.json', render: () => `${JSON.stringify(openApiDocument(), null, 2)}\n` },
  { path: 'docs/reference/errors.md', render: renderErrors },
];

interface ErrorRow {
  readonly status: number;
  readonly meaning: string;
  readonly help?: string;
}

/** The closed lists of codes, as tables. */
function renderErrors(): string {
  return [
    '# Error codes',
    '',
    'Every refusal carries its code in `x-postern-reason` (model and tool calls) or in `code` of the problem document (API),',
    'and the request id in `x-postern-request-id`. The codes below are all there are; they do not change their meaning.',
    '',
    '## Model calls',
    '',
    "The body is in the caller's own dialect, so that its SDK raises its typed error.",
    '',
    ...errorTable(REASONS),
    '',
    '## API',
    '',
    ...errorTable(API_ERRORS),
    '',
  ].join('\n');
}

function errorTable(errors: Readonly<Record<string, ErrorRow>>): string[] {
  const rows = Object.entries(errors).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [
    '| code | status | when | what to do |',
    '|---|---|---|---|',
    ...rows.map(
      ([code, { status, meaning, help }]) => `| \`${code}\` | ${status} | ${meaning} | ${help ?? ''} |`,
    ),
  ];
}
