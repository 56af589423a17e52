/** What every form of the draft is made of: a table with Add and Edit, and a dialog that changes one entry. */
import type { ReactNode } from 'react';
import { Button, Card, type Column, DataTable, Dialog, EmptyState } from '../../ui/index.ts';

export interface EntryTableProps<Row> {
  /** `Budgets`. */
  readonly title: string;
  readonly hint: string;
  /** `Add a budget`. */
  readonly add: string;
  readonly onAdd: () => void;
  readonly rows: readonly Row[];
  readonly rowId: (row: Row) => string;
  /** A row in a few words, for the name of its button. */
  readonly rowName: (row: Row) => string;
  readonly columns: readonly Column<Row>[];
  readonly onEdit: (row: Row) => void;
  readonly empty: { readonly title: string; readonly text: ReactNode };
  readonly isReadOnly: boolean;
  /** The dialog, while one is open. */
  readonly children: ReactNode;
}

export function EntryTable<Row>(props: EntryTableProps<Row>) {
  const { title, hint, add, onAdd, rows, rowId, rowName, columns, onEdit, empty, isReadOnly, children } =
    props;
  const edit: Column<Row> = {
    id: 'edit',
    head: <span className="visually-hidden">Actions</span>,
    priority: 1,
    cell: (row) => (
      <Button small isDisabled={isReadOnly} onPress={() => onEdit(row)} aria-label={`Edit ${rowName(row)}`}>
        Edit
      </Button>
    ),
  };
  return (
    <Card
      title={title}
      hint={hint}
      actions={
        <Button small isDisabled={isReadOnly} onPress={onAdd}>
          {add}
        </Button>
      }
      flush
    >
      <DataTable
        label={title}
        rows={rows}
        rowId={rowId}
        empty={<EmptyState title={empty.title}>{empty.text}</EmptyState>}
        columns={[...columns, edit]}
      />
      {children}
    </Card>
  );
}

/** The dialog of one entry; Remove where it is there already. */
export function EntryDialog({
  title,
  isNew,
  isComplete,
  isBusy,
  onClose,
  onRemove,
  onDone,
  children,
}: {
  readonly title: string;
  readonly isNew: boolean;
  readonly isComplete: boolean;
  readonly isBusy: boolean;
  readonly onClose: () => void;
  readonly onRemove: () => void;
  readonly onDone: () => void;
  readonly children: ReactNode;
}) {
  return (
    <Dialog
      title={title}
      isOpen
      onClose={onClose}
      footer={
        <>
          {!isNew && (
            <Button kind="danger" busy={isBusy} onPress={onRemove}>
              Remove
            </Button>
          )}
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="primary" busy={isBusy} isDisabled={!isComplete} onPress={onDone}>
            Change the draft
          </Button>
        </>
      }
    >
      {children}
    </Dialog>
  );
}
