/** The words of one request as a conversation. */
import { useQuery } from '@tanstack/react-query';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { counted } from '../../format/index.ts';
import { AnswerView, type LoadItem, MessageView } from '../../records/blocks.tsx';
import { type Reading, reasonOf, useReader } from '../../records/reading.tsx';
import { Loaded } from '../../ui/index.ts';

type Row = Schema<'Request'>;

/** Of a longer conversation the newest are shown; its session has all. */
const SHOWN_MAX = 40;

export function RequestConversation({ row, reading }: { readonly row: Row; readonly reading: Reading }) {
  const read = useReader();
  const conversation = useQuery({
    queryKey: ['requests', 'conversation', row.id, reading.reason],
    queryFn: ({ signal }) =>
      read(() =>
        dataOf(
          api.GET('/api/v1/requests/{id}/conversation', {
            params: { path: { id: row.id }, query: reasonOf(reading) },
            signal,
          }),
        ),
      ),
    retry: false,
    staleTime: Infinity,
    ...(reading.reason === null ? {} : { gcTime: 0 }),
  });
  const session = row.session_id;
  const load: LoadItem =
    session === null
      ? null
      : (item) =>
          read(() =>
            dataOf(
              api.GET('/api/v1/sessions/{id}/items/{item}', {
                params: {
                  path: { id: session, item },
                  query: { principal: row.principal, ...reasonOf(reading) },
                },
              }),
            ),
          );
  return (
    <Loaded query={conversation} what="The words could not be loaded">
      {(data) => <Conversation data={data} load={load} />}
    </Loaded>
  );
}

function Conversation({ data, load }: { readonly data: Schema<'Conversation'>; readonly load: LoadItem }) {
  if (data.content !== 'kept')
    return (
      <p className="soft">
        {data.content === 'not_kept'
          ? 'The words of this request were not kept.'
          : 'This is no conversation that Postern can read; see it as on the wire.'}
      </p>
    );
  const hidden = Math.max(0, data.messages.length - SHOWN_MAX);
  return (
    <div className="stack">
      {(data.system.length > 0 || data.tools.length > 0) && (
        <details>
          <summary className="soft">System prompt and {counted(data.tools.length, 'tool')}</summary>
          <MessageView message={{ role: 'system', blocks: data.system }} load={load} />
          <ul className="tool-list">
            {data.tools.map(({ name, description }) => (
              <li key={name}>
                <strong className="stranger mono">{name}</strong>{' '}
                <span className="soft stranger">{description.slice(0, 160)}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
      {hidden > 0 && <p className="soft">{counted(hidden, 'earlier message')} not shown here.</p>}
      {data.messages.slice(hidden).map((message, index) => (
        <MessageView key={index} message={message} load={load} />
      ))}
      {data.answer !== null && <AnswerView answer={data.answer} load={load} />}
    </div>
  );
}
