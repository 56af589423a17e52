/** Search in the words of a session; what is found leads to its turn. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf, type Item, type Schema } from '../../api/client.ts';
import { counted } from '../../format/index.ts';
import { type Reading, reasonOf, useReader } from '../../records/reading.tsx';
import { Button, Card, ErrorState, Skeleton, TextField } from '../../ui/index.ts';
import { textParam, useUrlState } from '../../url-state.ts';

type Place = Item<'/api/v1/sessions/{id}/search'>;

export function SearchPanel({
  session,
  reading,
  onGo,
}: {
  readonly session: Schema<'Session'>;
  readonly reading: Reading;
  readonly onGo: (turn: number) => void;
}) {
  const [{ find }, setState] = useUrlState({ find: textParam() });
  const [typed, setTyped] = useState(find ?? '');
  const read = useReader();
  const q = find?.slice(0, 200) ?? '';
  const found = useQuery({
    queryKey: ['sessions', 'search', session.principal, session.id, q, reading.reason],
    queryFn: ({ signal }) =>
      read(() =>
        dataOf(
          api.GET('/api/v1/sessions/{id}/search', {
            params: {
              path: { id: session.id },
              query: { q, principal: session.principal, ...reasonOf(reading) },
            },
            signal,
          }),
        ),
      ),
    enabled: q.trim() !== '',
    retry: false,
    ...(reading.reason === null ? {} : { gcTime: 0 }),
  });
  const settle = (): void => setState({ find: typed.trim() === '' ? null : typed.trim() });
  return (
    <div className="session-search" data-search>
      <div className="row session-search-field">
        <TextField
          label="Search in this session"
          hideLabel
          type="search"
          placeholder="Search in this session: words, arguments, results"
          value={typed}
          onChange={(text) => {
            setTyped(text);
            if (text === '') setState({ find: null }, { replace: true });
          }}
          onEnter={settle}
          maxLength={200}
        />
        <Button onPress={settle} busy={found.isFetching}>
          Search
        </Button>
      </div>
      {find !== null && (
        <Card title={null} label="Found">
          {found.error !== null ? (
            <ErrorState error={found.error} what="The search failed" retry={() => void found.refetch()} />
          ) : found.data === undefined ? (
            <Skeleton lines={3} />
          ) : (
            <Found places={found.data.items} words={q} onGo={onGo} />
          )}
        </Card>
      )}
    </div>
  );
}

function Found({
  places,
  words,
  onGo,
}: {
  readonly places: readonly Place[];
  readonly words: string;
  readonly onGo: (turn: number) => void;
}) {
  if (places.length === 0) return <p className="soft">Nothing in this session says that.</p>;
  return (
    <>
      <p className="soft small-text">
        {counted(places.length, 'place')}
        {places.length >= 200 && ', the first of more'}
      </p>
      <ul className="session-found">
        {places.map((place, index) => (
          <li key={index}>
            <button type="button" onClick={() => onGo(place.number)}>
              <strong>Turn {place.number}</strong>{' '}
              <span className="soft">
                {place.role}, {place.type.replaceAll('_', ' ')}
              </span>
              <span className="stranger">
                {place.snippet.slice(0, place.at)}
                <mark>{place.snippet.slice(place.at, place.at + words.length)}</mark>
                {place.snippet.slice(place.at + words.length)}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}
