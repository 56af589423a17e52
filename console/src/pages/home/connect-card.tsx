/** Ready settings for every client, and a live check that the first request arrived. */
import { useQuery } from '@tanstack/react-query';
import { CircleCheck, LoaderCircle } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'react-router';
import { useMe } from '../../access.ts';
import { api, dataOf, type Item, type Schema } from '../../api/client.ts';
import { useLive, useLiveState } from '../../api/live.ts';
import { connectQuery } from '../../api/queries.ts';
import { Relative } from '../../format/index.ts';
import { textParam, useUrlState } from '../../url-state.ts';
import { Card, CodeBlock, ErrorState, Loaded, Select, StateBadge } from '../../ui/index.ts';

const LANGUAGES: Readonly<Record<string, string>> = {
  sh: 'In a terminal',
  ts: 'In a program',
  text: 'In its settings',
};

export function ConnectCard() {
  const clients = useQuery(connectQuery());
  return (
    <Card title="Connect a client" hint="No key is needed: the connection says who you are.">
      <Loaded query={clients} what="The settings could not be loaded">
        {({ items }) => <Clients items={items} />}
      </Loaded>
    </Card>
  );
}

function Clients({ items }: { readonly items: readonly Item<'/api/v1/connect'>[] }) {
  const [{ client: chosen }, setState] = useUrlState({ client: textParam() });
  const client = items.find((item) => item.client === chosen) ?? items[0];
  if (client === undefined) return null;
  return (
    <div className="connect">
      <div className="connect-choice">
        <Select
          label="Client"
          options={items.map((item) => ({ id: item.client, label: item.title }))}
          value={client.client}
          onChange={(id) => setState({ client: id }, { replace: true })}
        />
        <Arrived />
      </div>
      <div className="connect-settings">
        <CodeBlock title={LANGUAGES[client.snippet.language] ?? 'Settings'} text={client.snippet.text} />
        {client.files.map((file) => (
          <CodeBlock key={file.path} title={`In ${file.path}`} text={file.text} />
        ))}
        {client.notes.length > 0 && (
          <ul className="notes soft">
            {client.notes.map((note) => (
              <li key={note}>
                <Backticked text={note} />
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}

/** What stands in `backticks` becomes code. */
function Backticked({ text }: { readonly text: string }) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}

/** The newest request of mine: as recorded, then as events tell. */
function Arrived() {
  const { principal } = useMe();
  const newest = useQuery({
    queryKey: ['requests', 'newest', principal],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/requests', { params: { query: { principal, limit: 1 } }, signal })),
  });
  const [arrived, setArrived] = useState<Schema<'Request'> | null>(null);
  const state = useLiveState();
  useLive(['gap', 'request.finished'], (event) => {
    if (event.name === 'gap') void newest.refetch();
    else if (event.data.principal === principal) setArrived(event.data);
  });
  const request = arrived ?? newest.data?.items[0] ?? null;
  if (request === null && newest.data === undefined && newest.error !== null)
    return (
      <ErrorState
        error={newest.error}
        what="Whether a request arrived is not known"
        retry={() => void newest.refetch()}
      />
    );
  return (
    <div className="arrived" role="status">
      {request === null ? (
        <>
          <LoaderCircle aria-hidden size={18} className={state === 'live' ? 'spin' : undefined} />
          <p>
            Waiting for your first request.{' '}
            <span className="soft">Run what stands here, and watch it arrive.</span>
          </p>
        </>
      ) : (
        <>
          <CircleCheck aria-hidden size={18} className="good" />
          <p>
            {arrived === null ? 'Your last request arrived ' : 'A request arrived '}
            <Relative at={request.started_at} />:{' '}
            <Link className="stranger" to={`/requests/${encodeURIComponent(request.id)}`}>
              {request.model ?? request.requested_model ?? 'no model'}
            </Link>{' '}
            <StateBadge state={request.outcome} />
          </p>
        </>
      )}
    </div>
  );
}
