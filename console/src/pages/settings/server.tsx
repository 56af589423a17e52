/** The operator's settings: what holds, and where each came from. */
import { useQuery } from '@tanstack/react-query';
import { flagParam, textParam, useUrlState } from '../../url-state.ts';
import {
  Badge,
  Card,
  Checkbox,
  DataTable,
  EmptyState,
  Loaded,
  Mono,
  TextField,
  Toolbar,
} from '../../ui/index.ts';
import { settingsQuery } from './queries.ts';

const ORIGINS: Readonly<Record<string, string>> = {
  flag: 'flag',
  environment: 'environment',
  file: 'settings file',
  default: 'default',
};

export function ServerPart() {
  const settings = useQuery(settingsQuery());
  const [{ q, set }, setState] = useUrlState({ q: textParam(), set: flagParam() });
  return (
    <Loaded query={settings} what="The settings could not be loaded" lines={8}>
      {({ items, settings_file: file, settings_file_found: isFound }) => (
        <Card
          title="Settings of the server"
          hint={
            <>
              Changed where the server runs: by flags, environment variables or <Mono>{file}</Mono>
              {isFound ? '' : ' (not there)'}, and a new start.
            </>
          }
          flush
        >
          <div className="settings-filters">
            <Toolbar label="Filters">
              <TextField
                label="Find"
                type="search"
                value={q ?? ''}
                onChange={(text) => setState({ q: text }, { replace: true })}
                placeholder="Name or words"
              />
              <Checkbox label="Only what is set" checked={set} onChange={(only) => setState({ set: only })} />
            </Toolbar>
          </div>
          <DataTable
            label="Settings of the server"
            rows={items.filter(
              (item) =>
                (!set || item.origin !== 'default') &&
                (q === null ||
                  `${item.name}\n${item.doc}\n${item.env ?? ''}`.toLowerCase().includes(q.toLowerCase())),
            )}
            rowId={({ name }) => name}
            empty={<EmptyState title="Nothing fits">Look for something else.</EmptyState>}
            columns={[
              {
                id: 'name',
                head: 'Setting',
                priority: 1,
                cell: (item) => (
                  <div className="settings-name">
                    <code>{item.name}</code> {item.dangerous && <Badge tone="bad">weakens security</Badge>}
                    <p className="soft">{item.doc}</p>
                  </div>
                ),
              },
              { id: 'value', head: 'Value', cell: (item) => <code>{valueText(item.value)}</code> },
              {
                id: 'origin',
                head: 'From',
                cell: (item) => (
                  <>
                    {ORIGINS[item.origin] ?? item.origin}{' '}
                    {item.origin_name !== null && <code className="soft">{item.origin_name}</code>}
                  </>
                ),
              },
            ]}
          />
        </Card>
      )}
    </Loaded>
  );
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return 'not set';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
