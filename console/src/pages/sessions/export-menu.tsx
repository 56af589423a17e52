/** A session as a file: JSON lines for programs, Markdown for people. */
import { Download } from 'lucide-react';
import { api, type Schema } from '../../api/client.ts';
import { useAction } from '../../presence/index.ts';
import { type Reading, reasonOf } from '../../records/reading.tsx';
import { Button, Menu } from '../../ui/index.ts';

type Format = 'jsonl' | 'markdown';

export function ExportMenu({
  session,
  reading,
}: {
  readonly session: Schema<'Session'>;
  readonly reading: Reading;
}) {
  const save = useAction({
    run: async (format: Format) => {
      const { data } = await api.GET('/api/v1/sessions/{id}/export', {
        params: {
          path: { id: session.id },
          query: { format, principal: session.principal, ...reasonOf(reading) },
        },
        parseAs: 'blob',
      });
      return data;
    },
    done: null,
    onDone: (file, format) => {
      if (file !== undefined) saveFile(file, format === 'jsonl' ? 'session.jsonl' : 'session.md');
    },
  });
  return (
    <Menu
      label="Formats"
      trigger={
        <Button icon={Download} busy={save.isBusy}>
          Export
        </Button>
      }
      actions={[
        { id: 'jsonl', label: 'JSON lines', onAction: () => save.start('jsonl') },
        { id: 'markdown', label: 'Markdown', onAction: () => save.start('markdown') },
      ]}
    />
  );
}

/** Through an address of its own: the call carried the half of presence that a plain link could not. */
function saveFile(file: Blob, name: string): void {
  const address = URL.createObjectURL(file);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
