/** One session as a conversation that people read: turn by turn, searchable, comparable, to take along. */
import { useQuery } from '@tanstack/react-query';
import { ArrowDownToLine, ArrowUpToLine } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useParams } from 'react-router';
import { useMe } from '../../access.ts';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { amount, counted, Money, percent, Relative, Tokens } from '../../format/index.ts';
import type { LoadItem } from '../../records/blocks.tsx';
import { sessionQuery } from '../../records/queries.ts';
import { type Reading, ReasonForm, reasonOf, useReader } from '../../records/reading.tsx';
import {
  Badge,
  Button,
  Card,
  ErrorState,
  IconButton,
  Loaded,
  Notice,
  Page,
  Skeleton,
  Stat,
  Stats,
  VirtualList,
  type VirtualListHandle,
} from '../../ui/index.ts';
import { countParam, textParam, useUrlState } from '../../url-state.ts';
import { CompareDialog } from './compare-dialog.tsx';
import { ExportMenu } from './export-menu.tsx';
import { SearchPanel } from './search-panel.tsx';
import { placesOf, toolNamesOf } from './turn-tree.ts';
import { TurnView } from './turn-view.tsx';
import { useTurns } from './use-turns.ts';
import './sessions.css';

type Session = Schema<'SessionDetail'>;

/** CSS pixels of a usual turn. */
const TURN_PX = 320;

export function SessionPage() {
  const { id = '' } = useParams();
  const [{ principal }] = useUrlState({ principal: textParam() });
  const session = useQuery(sessionQuery(id, principal));
  const { principal: me } = useMe();
  const [reason, setReason] = useState<string | null>(null);
  const reading: Reading | null =
    session.data?.content === 'own' ? { reason: null } : reason === null ? null : { reason };
  const data = session.data;
  return (
    <Page
      title={id.length > 90 ? `${id.slice(0, 90)}…` : id}
      parent={{ to: '/sessions', label: 'Sessions' }}
      lead={
        data !== undefined && (
          <span className="row">
            {data.state === 'running' && <Badge tone="info">running</Badge>}
            <span className="stranger">
              {[data.principal === me ? null : data.user_label, data.agent, ...data.devices.slice(0, 2)]
                .filter((text) => text !== null)
                .join(' · ')}
            </span>
            <Relative at={data.last_at} />
          </span>
        )
      }
      actions={data !== undefined && reading !== null && <ExportMenu session={data} reading={reading} />}
    >
      <Loaded query={session} what="The session could not be loaded" lines={8}>
        {(found) => (
          <>
            <Sums session={found} />
            {found.content === 'needs_reason_and_presence' && reason === null && (
              <Card title={null} label="Reading the words">
                <ReasonForm whose={found.user_label} onReason={setReason} />
              </Card>
            )}
            {found.content === 'not_yours' && (
              <Notice>You see what your group used, not what was said.</Notice>
            )}
            <Conversation session={found} reading={reading} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Sums({ session }: { readonly session: Session }) {
  const { input_tokens: input, cache_read_tokens: read } = session;
  const stopped = session.refused + session.failed;
  return (
    <Card title={null} label="Sums of the session">
      <Stats>
        <Stat
          label="Turns"
          value={amount(session.requests)}
          {...(stopped > 0 ? { note: `${amount(stopped)} not answered` } : {})}
        />
        <Stat label="Cost" value={<Money nano={session.cost_nano_usd} />} />
        <Stat
          label="Tokens in"
          value={<Tokens count={input} />}
          note={`${percent(input === 0 ? 0 : read / input)} read from a cache`}
        />
        <Stat label="Tokens out" value={<Tokens count={session.output_tokens} />} />
        <Stat
          label="Models"
          value={
            <span className="session-models stranger">{session.models.slice(0, 4).join(', ') || '–'}</span>
          }
        />
      </Stats>
      {(session.tools.length > 0 || session.decisions.length > 0) && (
        <p className="row session-used">
          {session.tools.slice(0, 12).map(({ name, calls }) => (
            <Badge key={name}>
              <span className="stranger">{name.slice(0, 60)}</span> × {amount(calls)}
            </Badge>
          ))}
          {session.decisions.slice(0, 8).map(({ about, action, count }) => (
            <Badge key={`${about} ${action}`} tone="warn">
              {about.replaceAll('_', ' ')} {action.replaceAll('_', ' ')} × {amount(count)}
            </Badge>
          ))}
        </p>
      )}
      {!session.complete && <p className="soft">Of this long session the newest 2,000 requests are shown.</p>}
    </Card>
  );
}

function Conversation({ session, reading }: { readonly session: Session; readonly reading: Reading | null }) {
  const [state, setState] = useUrlState({ turn: countParam(0), a: countParam(0), b: countParam(0) });
  const { turns, total, error, refetch, isLoading } = useTurns(session, reading);
  const list = useRef<VirtualListHandle>(null);
  const read = useReader();
  const places = useMemo(() => placesOf(turns), [turns]);
  const toolNames = useMemo(() => toolNamesOf(turns), [turns]);
  const load = useMemo<LoadItem>(
    () =>
      reading === null
        ? null
        : (item) =>
            read(() =>
              dataOf(
                api.GET('/api/v1/sessions/{id}/items/{item}', {
                  params: {
                    path: { id: session.id, item },
                    query: { principal: session.principal, ...reasonOf(reading) },
                  },
                }),
              ),
            ),
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- a reading is its reason
    [session.id, session.principal, reading === null, reading?.reason, read],
  );
  const wanted = state.turn;
  const canShow = wanted > 0 && wanted <= turns.length;
  useEffect(() => {
    if (canShow) list.current?.scrollToIndex(wanted - 1);
  }, [canShow, wanted]);
  const go = (turn: number): void => {
    setState({ turn }, { replace: true });
    if (turn <= turns.length) list.current?.scrollToIndex(turn - 1);
  };
  const pick = (number: number): void => {
    const { a, b } = state;
    if (a === number) setState({ a: b, b: 0 }, { replace: true });
    else if (b === number) setState({ b: 0 }, { replace: true });
    else if (a === 0) setState({ a: number }, { replace: true });
    else setState({ b: number });
  };
  const byNumber = (number: number) => turns.find((turn) => turn.number === number);
  const [first, second] = [byNumber(state.a), byNumber(state.b)];
  if (turns.length === 0 && error !== null)
    return <ErrorState error={error} what="The turns could not be loaded" retry={refetch} />;
  if (turns.length === 0 && isLoading) return <Skeleton lines={10} label="Loading the turns" />;
  return (
    <>
      {reading !== null && <SearchPanel session={session} reading={reading} onGo={go} />}
      <div className="turn-bar">
        <span role="status" className="soft">
          {turns.length < (total ?? 0)
            ? `${amount(turns.length)} of ${counted(total ?? 0, 'turn')}, loading the rest …`
            : counted(turns.length, 'turn')}
        </span>
        {state.a > 0 && (
          <span className="row">
            <span className="soft">
              {second === undefined ? `Turn ${state.a} picked: pick another to compare` : ''}
            </span>
            <Button small kind="quiet" onPress={() => setState({ a: 0, b: 0 })}>
              Stop comparing
            </Button>
          </span>
        )}
        <span className="turn-jumps">
          <IconButton label="To the first turn" icon={ArrowUpToLine} onPress={() => go(1)} />
          <IconButton label="To the last turn" icon={ArrowDownToLine} onPress={() => go(turns.length)} />
        </span>
      </div>
      {error !== null && <ErrorState error={error} what="Some turns could not be loaded" retry={refetch} />}
      <div className="turn-list">
        <VirtualList
          ref={list}
          label="Turns"
          items={turns}
          itemId={({ request }) => request.id}
          estimatePx={TURN_PX}
        >
          {(turn) => (
            <TurnView
              turn={turn}
              place={places.get(turn.request.id)}
              load={load}
              toolNames={toolNames}
              isFound={state.turn === turn.number}
              isPicked={state.a === turn.number || state.b === turn.number}
              onPick={pick}
              onGo={go}
            />
          )}
        </VirtualList>
      </div>
      {first !== undefined && second !== undefined && (
        <CompareDialog
          first={first}
          second={second}
          reading={reading}
          load={load}
          onClose={() => setState({ a: 0, b: 0 })}
        />
      )}
    </>
  );
}
