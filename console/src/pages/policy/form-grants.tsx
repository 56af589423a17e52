/** Grants of the draft: who may do what. A grant with more than one capability is edited one by one. */
import { useState } from 'react';
import { Badge, type Column, Select, TextField } from '../../ui/index.ts';
import {
  definedOf,
  type Edit,
  type FormPartProps,
  memberEdits,
  type Members,
  wordsOf,
} from './form-edits.ts';
import { EntryDialog, EntryTable } from './form-frame.tsx';
import { entriesOf, isRecord, itemsOf, textOf, textsOf } from './hujson.ts';

const CAPABILITY = 'postern.dev/cap/gateway';
const NAMES = [CAPABILITY, 'tailscale.com/cap/aperture'] as const;

interface Row {
  readonly id: string;
  /** Index in `grants`; null for a new one. */
  readonly grant: number | null;
  readonly src: readonly string[];
  /** Path of the capability within the grant. */
  readonly path: readonly (string | number)[];
  readonly members: Members;
  /** Capabilities in this grant. */
  readonly beside: number;
}

const ROLES = [
  { id: 'none', label: 'No role', hint: 'Adds something to who has one' },
  { id: 'user', label: 'User', hint: 'Uses models' },
  { id: 'lead', label: 'Lead', hint: 'Sees usage of the groups that are led' },
  { id: 'approver', label: 'Approver', hint: 'Decides approvals' },
  { id: 'auditor', label: 'Auditor', hint: 'Sees everything, changes nothing' },
  { id: 'admin', label: 'Admin', hint: 'Changes everything' },
] as const;
const CAPTURES = [
  { id: 'default', label: 'As other grants say', hint: 'Everything, if none says otherwise' },
  { id: 'full', label: 'Everything' },
  { id: 'redacted', label: 'Words, without personal data' },
  { id: 'metadata', label: 'No words' },
  { id: 'none', label: 'No bodies at all' },
] as const;
const NEW: Row = { id: 'new', grant: null, src: [], path: [], members: { role: 'user' }, beside: 1 };

export function GrantsForm({ document, isReadOnly, isBusy, apply }: FormPartProps) {
  const rows = rowsOf(document);
  const [edited, setEdited] = useState<Row | null>(null);
  const close = (): void => setEdited(null);
  return (
    <EntryTable
      title="Grants"
      hint="Who may do what. They add up; what no grant gives is refused."
      add="Add a grant"
      onAdd={() => setEdited(NEW)}
      rows={rows}
      rowId={({ id }) => id}
      rowName={({ src }) => `the grant of ${src.join(', ')}`}
      onEdit={setEdited}
      isReadOnly={isReadOnly}
      empty={{ title: 'No grant yet', text: 'Without one nobody may use a model.' }}
      columns={COLUMNS}
    >
      {edited !== null && (
        <GrantDialog
          row={edited}
          buckets={entriesOf(document['quotas']).map(([name]) => name)}
          isBusy={isBusy}
          onClose={close}
          onRemove={() => {
            if (edited.grant === null) return;
            const path = ['grants', edited.grant, ...(edited.beside > 1 ? edited.path : [])];
            apply([{ path, remove: true }], close);
          }}
          onApply={(src, members) => {
            const edits = editsOf(edited, itemsOf(document['grants']).length, src, members);
            if (edits.length === 0) close();
            else apply(edits, close);
          }}
        />
      )}
    </EntryTable>
  );
}

const COLUMNS: readonly Column<Row>[] = [
  { id: 'src', head: 'Who', priority: 1, cell: ({ src }) => src.join(', ') },
  {
    id: 'role',
    head: 'Role',
    cell: ({ members }) => <Badge>{textOf(members['role']) || 'none'}</Badge>,
  },
  { id: 'models', head: 'Models', cell: ({ members }) => textsOf(members['models']).join(', ') },
  { id: 'budgets', head: 'Budgets', cell: ({ members }) => bucketsOf(members).join(', ') },
];

function rowsOf(document: Members): readonly Row[] {
  return itemsOf(document['grants']).flatMap((grant, index) => {
    if (!isRecord(grant)) return [];
    const app = isRecord(grant['app']) ? grant['app'] : {};
    const found = NAMES.flatMap((name) =>
      itemsOf(app[name]).map((value, at) => ({
        path: ['app', name, at],
        members: isRecord(value) ? value : {},
      })),
    );
    return found.map(({ path, members }): Row => ({
      id: `${index} ${path.join(' ')}`,
      grant: index,
      src: textsOf(grant['src']),
      path,
      members,
      beside: found.length,
    }));
  });
}

function bucketsOf(members: Members): readonly string[] {
  return itemsOf(members['quotas']).flatMap((quota) => (isRecord(quota) ? textsOf(quota['bucket']) : []));
}

function editsOf(row: Row, count: number, src: readonly string[], members: Members): readonly Edit[] {
  if (row.grant === null) {
    return [{ path: ['grants', count], value: { src, app: { [CAPABILITY]: [definedOf(members)] } } }];
  }
  return [
    ...memberEdits(['grants', row.grant], { src: row.src }, { src }),
    ...memberEdits(['grants', row.grant, ...row.path], row.members, members),
  ];
}

function GrantDialog({
  row,
  buckets,
  isBusy,
  onClose,
  onRemove,
  onApply,
}: {
  readonly row: Row;
  readonly buckets: readonly string[];
  readonly isBusy: boolean;
  readonly onClose: () => void;
  readonly onRemove: () => void;
  readonly onApply: (src: readonly string[], members: Members) => void;
}) {
  const { members } = row;
  const [src, setSrc] = useState(row.src.join('\n'));
  const [role, setRole] = useState(textOf(members['role']) || 'none');
  const [models, setModels] = useState(textsOf(members['models']).join('\n'));
  const [leads, setLeads] = useState(textsOf(members['leads']).join('\n'));
  const [capture, setCapture] = useState(textOf(members['capture']) || 'default');
  const [quotas, setQuotas] = useState(bucketsOf(members).join('\n'));
  const isNew = row.grant === null;
  const done = (): void => {
    const globs = wordsOf(models);
    const named = wordsOf(quotas);
    const kept = itemsOf(members['quotas']).filter(isRecord);
    onApply(wordsOf(src), {
      role: role === 'none' ? undefined : role,
      models: globs.length === 0 ? undefined : sameAs(members['models'], globs),
      leads: role === 'lead' && wordsOf(leads).length > 0 ? wordsOf(leads) : undefined,
      capture: capture === 'default' ? undefined : capture,
      quotas:
        named.length === 0
          ? undefined
          : named.map((bucket) => kept.find((quota) => quota['bucket'] === bucket) ?? { bucket }),
    });
  };
  return (
    <EntryDialog
      title={isNew ? 'Add a grant' : 'Edit the grant'}
      isNew={isNew}
      isComplete={wordsOf(src).length > 0}
      isBusy={isBusy}
      onClose={onClose}
      onRemove={onRemove}
      onDone={done}
    >
      <TextField
        label="Who"
        value={src}
        onChange={setSrc}
        rows={3}
        mono
        hint="One a line: a login, group:eng, tag:ci, service:agent, (loopback), or * for every device of the network."
      />
      <Select label="Role" options={ROLES} value={role} onChange={setRole} />
      <TextField
        label="Models"
        value={models}
        onChange={setModels}
        rows={2}
        mono
        hint="Patterns over provider/model, one a line: openai/gpt-*. ** is all."
      />
      {role === 'lead' && (
        <TextField
          label="Groups that are led"
          value={leads}
          onChange={setLeads}
          rows={2}
          mono
          hint="group:eng"
        />
      )}
      <TextField
        label="Budgets"
        value={quotas}
        onChange={setQuotas}
        rows={2}
        mono
        hint={buckets.length === 0 ? 'There is none yet; add one below.' : `Of: ${buckets.join(', ')}`}
      />
      <Select label="What is kept" options={CAPTURES} value={capture} onChange={setCapture} />
    </EntryDialog>
  );
}

/** What was written as one string stays one. */
function sameAs(before: unknown, globs: readonly string[]): unknown {
  return typeof before === 'string' && globs.length === 1 ? globs[0] : globs;
}
