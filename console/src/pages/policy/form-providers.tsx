/** Providers of the draft. */
import { useState } from 'react';
import { Badge, Checkbox, type Column, Select, TextField } from '../../ui/index.ts';
import {
  entryEdits,
  type FormPartProps,
  type Members,
  type NamedEntry,
  namedEntries,
  wordsOf,
} from './form-edits.ts';
import { EntryDialog, EntryTable } from './form-frame.tsx';
import { entriesOf, isRecord, textOf, textsOf } from './hujson.ts';

const FORMATS = [
  { id: 'openai_chat', label: 'OpenAI Chat Completions' },
  { id: 'openai_responses', label: 'OpenAI Responses' },
  { id: 'anthropic_messages', label: 'Anthropic Messages' },
  { id: 'gemini_generate_content', label: 'Gemini generateContent' },
] as const;
const PRESENTED = [
  { id: 'bearer', label: 'Authorization: Bearer' },
  { id: 'x-api-key', label: 'x-api-key' },
  { id: 'x-goog-api-key', label: 'x-goog-api-key' },
] as const;
const NAME = /^[A-Za-z0-9][\w.-]{0,62}$/;

export function ProvidersForm({ document, isReadOnly, isBusy, apply }: FormPartProps) {
  const rows = namedEntries(document, 'providers');
  const [edited, setEdited] = useState<NamedEntry | null>(null);
  const close = (): void => setEdited(null);
  return (
    <EntryTable
      title="Providers"
      hint="Where models come from."
      add="Add a provider"
      onAdd={() => setEdited({ name: '', members: {} })}
      rows={rows}
      rowId={({ name }) => name}
      rowName={({ name }) => name}
      onEdit={setEdited}
      isReadOnly={isReadOnly}
      empty={{ title: 'No provider yet', text: 'A provider is an address, a key and its models.' }}
      columns={COLUMNS}
    >
      {edited !== null && (
        <ProviderDialog
          row={edited}
          taken={rows.map(({ name }) => name)}
          isBusy={isBusy}
          onClose={close}
          onRemove={() => apply([{ path: ['providers', edited.name], remove: true }], close)}
          onApply={(entry) => {
            const edits = entryEdits('providers', edited, entry);
            if (edits.length === 0) close();
            else apply(edits, close);
          }}
        />
      )}
    </EntryTable>
  );
}

const COLUMNS: readonly Column<NamedEntry>[] = [
  {
    id: 'name',
    head: 'Name',
    priority: 1,
    cell: ({ name, members }) => (
      <>
        {name} {members['disabled'] === true && <Badge tone="warn">disabled</Badge>}
      </>
    ),
  },
  { id: 'address', head: 'Address', cell: ({ members }) => textOf(members['baseurl']) },
  { id: 'models', head: 'Models', cell: ({ members }) => textsOf(members['models']).join(', ') },
];

function ProviderDialog({
  row,
  taken,
  isBusy,
  onClose,
  onRemove,
  onApply,
}: {
  readonly row: NamedEntry;
  readonly taken: readonly string[];
  readonly isBusy: boolean;
  readonly onClose: () => void;
  readonly onRemove: () => void;
  readonly onApply: (entry: NamedEntry) => void;
}) {
  const isNew = row.name === '';
  const { members } = row;
  const [name, setName] = useState(row.name);
  const [address, setAddress] = useState(textOf(members['baseurl']));
  const [models, setModels] = useState(textsOf(members['models']).join('\n'));
  const [key, setKey] = useState('');
  const [presented, setPresented] = useState(textOf(members['authorization']) || 'bearer');
  const [formats, setFormats] = useState(() => formatsOf(members['compatibility']));
  const [isDisabled, setDisabled] = useState(members['disabled'] === true);
  const nameFault = isNew && name !== '' ? faultOf(name, taken) : null;
  const isComplete = name !== '' && nameFault === null && address !== '' && wordsOf(models).length > 0;
  const done = (): void =>
    onApply({
      name,
      members: {
        baseurl: address.trim(),
        models: wordsOf(models),
        ...(key === '' ? {} : { apikey: key }),
        authorization:
          presented === 'bearer' && members['authorization'] === undefined ? undefined : presented,
        compatibility: compatibilityOf(formats, members['compatibility']),
        disabled: isDisabled ? true : members['disabled'] === undefined ? undefined : false,
      },
    });
  return (
    <EntryDialog
      title={isNew ? 'Add a provider' : `Provider ${row.name}`}
      isNew={isNew}
      isComplete={isComplete}
      isBusy={isBusy}
      onClose={onClose}
      onRemove={onRemove}
      onDone={done}
    >
      {isNew && (
        <TextField
          label="Name"
          value={name}
          onChange={setName}
          error={nameFault}
          placeholder="openai"
          autoFocus
        />
      )}
      <TextField
        label="Address"
        type="url"
        value={address}
        onChange={setAddress}
        hint="Of its API, without the version: what stands before /v1."
      />
      <TextField
        label="Models"
        value={models}
        onChange={setModels}
        rows={3}
        mono
        hint="Names or patterns, one a line: gpt-*"
      />
      <TextField
        label={isNew ? 'Key' : 'New key (optional)'}
        type="password"
        value={key}
        onChange={setKey}
        hint="It goes into the vault with the save, and is never shown again."
      />
      <Select
        label="How the key is presented"
        options={PRESENTED}
        value={presented}
        onChange={setPresented}
      />
      <fieldset className="policy-fieldset">
        <legend>Formats it speaks</legend>
        {FORMATS.map(({ id, label }) => (
          <Checkbox
            key={id}
            label={label}
            checked={formats.has(id)}
            onChange={(checked) => {
              const next = new Set(formats);
              if (checked) next.add(id);
              else next.delete(id);
              setFormats(next);
            }}
          />
        ))}
      </fieldset>
      <Checkbox label="Not used for now" checked={isDisabled} onChange={setDisabled} />
    </EntryDialog>
  );
}

function faultOf(name: string, taken: readonly string[]): string | null {
  if (taken.includes(name)) return 'There is a provider of this name.';
  return NAME.test(name) ? null : 'Letters, digits, dots and dashes.';
}

/** As the document has them; OpenAI Chat Completions unless it says otherwise. */
function formatsOf(compatibility: unknown): ReadonlySet<string> {
  const told = entriesOf(compatibility);
  const formats = new Set(told.filter(([, spoken]) => spoken === true).map(([name]) => name));
  if (!told.some(([name]) => name === 'openai_chat')) formats.add('openai_chat');
  return formats;
}

function compatibilityOf(formats: ReadonlySet<string>, before: unknown): Members | undefined {
  const told = isRecord(before) ? before : {};
  const isSame = (): boolean => {
    const was = formatsOf(before);
    return was.size === formats.size && [...was].every((format) => formats.has(format));
  };
  if (isSame()) return isRecord(before) ? before : undefined;
  const known = Object.fromEntries(
    FORMATS.filter(({ id }) => formats.has(id) || id === 'openai_chat' || told[id] !== undefined).map(
      ({ id }) => [id, formats.has(id)],
    ),
  );
  return { ...told, ...known };
}
