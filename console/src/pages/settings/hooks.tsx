/** Hooks: how the programs that are asked and told about requests are doing. */
import { useQuery } from '@tanstack/react-query';
import { Webhook } from 'lucide-react';
import { useAccess } from '../../access.ts';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { bytes, counted, durationOfMs, Relative, Tokens } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { textParam, useUrlState } from '../../url-state.ts';
import {
  Badge,
  Button,
  Card,
  DataTable,
  Drawer,
  EmptyState,
  Facts,
  Loaded,
  Stat,
  Stats,
} from '../../ui/index.ts';
import { LostNotices } from './lost-notices.tsx';
import { deadLettersQuery, hooksQuery } from './queries.ts';

type Hook = Schema<'Hook'>;
type DeadLetter = Schema<'HookDeadLetter'>;

export function HooksPart() {
  const hooks = useQuery(hooksQuery());
  const [{ hook: chosen }, setState] = useUrlState({ hook: textParam() });
  return (
    <Loaded query={hooks} what="The hooks could not be loaded" lines={6}>
      {({ hooks: items, ...queue }) => (
        <>
          <Card title={null} label="Deliveries">
            <Stats>
              <Stat
                label="Waiting deliveries"
                value={<Tokens count={queue.queued} />}
                note={bytes(queue.queued_bytes)}
              />
              <Stat
                label="Given up"
                value={<Tokens count={queue.dead_letter_count} />}
                note="since the start"
              />
              <Stat
                label="Failed calls"
                value={<Tokens count={sum(items.map(failuresOf))} />}
                note="since the start"
              />
            </Stats>
          </Card>
          <HookList items={items} onOpen={(name) => setState({ hook: name })} />
          <DeadLetters />
          <LostNotices />
          <Details
            hook={items.find(({ name }) => name === chosen) ?? null}
            onClose={() => setState({ hook: null })}
          />
        </>
      )}
    </Loaded>
  );
}

function HookList({
  items,
  onOpen,
}: {
  readonly items: readonly Hook[];
  readonly onOpen: (name: string) => void;
}) {
  return (
    <Card title="Hooks" hint="Counts are since this process started." flush>
      <DataTable
        label="Hooks"
        rows={items}
        rowId={({ name }) => name}
        empty={
          <EmptyState title="No hooks" icon={Webhook}>
            A hook is a program of yours that is asked before a request goes on, or told about it afterwards.
            Define it under <code>hooks</code> in the policy, and name it in a grant's <code>send_hooks</code>
            .
          </EmptyState>
        }
        columns={[
          { id: 'name', head: 'Hook', priority: 1, cell: ({ name }) => name },
          { id: 'state', head: 'State', cell: (hook) => <HookState hook={hook} /> },
          {
            id: 'to',
            head: 'Address',
            cell: (hook) => hook.url_origin ?? <span className="soft">gone</span>,
          },
          {
            id: 'calls',
            head: 'Calls',
            isNumber: true,
            cell: (hook) => <Tokens count={sum(Object.values(hook.outcomes))} />,
          },
          {
            id: 'failures',
            head: 'Failures',
            isNumber: true,
            cell: (hook) => <Tokens count={failuresOf(hook)} />,
          },
          { id: 'p50', head: 'Median', isNumber: true, cell: (hook) => durationOfMs(hook.latency.p50_ms) },
          { id: 'p95', head: '95 %', isNumber: true, cell: (hook) => durationOfMs(hook.latency.p95_ms) },
          {
            id: 'open',
            head: <span className="visually-hidden">Actions</span>,
            priority: 1,
            cell: ({ name }) => (
              <Button small onPress={() => onOpen(name)} aria-label={`Recent calls of ${name}`}>
                Recent calls
              </Button>
            ),
          },
        ]}
      />
    </Card>
  );
}

function HookState({ hook }: { readonly hook: Hook }) {
  if (hook.disabled) return <Badge>disabled</Badge>;
  if (hook.circuit === 'open') return <Badge tone="bad">resting after failures</Badge>;
  if (hook.circuit === 'half_open') return <Badge tone="warn">being tried</Badge>;
  if (!hook.used) return <Badge>not called yet</Badge>;
  return <Badge tone="good">{hook.mode === 'monitor' ? 'monitors' : 'works'}</Badge>;
}

function Details({ hook, onClose }: { readonly hook: Hook | null; readonly onClose: () => void }) {
  if (hook === null) return null;
  const words = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([name, count]) => `${name.replaceAll('_', ' ')} ${count}`)
      .join(', ') || 'none';
  return (
    <Drawer title={`Hook ${hook.name}`} isOpen onClose={onClose}>
      <Facts
        facts={[
          ['Mode', hook.mode === 'monitor' ? 'monitor: nothing follows from what it says' : 'enforce'],
          ['When it fails', hook.fail_policy === 'fail_open' ? 'requests go on' : 'requests are refused'],
          ['Outcomes', words(hook.outcomes)],
          ['Failures', words(hook.faults)],
          [
            'Latency',
            `${durationOfMs(hook.latency.p50_ms)} median, ${durationOfMs(hook.latency.p95_ms)} at 95 %, ${durationOfMs(hook.latency.p99_ms)} at 99 %`,
          ],
          ['Now', `${counted(hook.running, 'call')} running, ${hook.waiting} waiting`],
          ...(hook.retry_at === null
            ? []
            : [['Tried again', <Relative key="at" at={hook.retry_at} />] as const]),
        ]}
      />
      <h3>Recent calls</h3>
      <DataTable
        label="Recent calls"
        rows={hook.recent}
        rowId={(call) => `${call.at} ${call.request_id} ${call.event}`}
        rowHref={(call) => `/requests/${encodeURIComponent(call.request_id)}`}
        empty={
          <EmptyState title="Not called yet">Calls since the start of the server stand here.</EmptyState>
        }
        columns={[
          { id: 'at', head: 'Time', priority: 1, cell: ({ at }) => <Relative at={at} /> },
          { id: 'event', head: 'Event', cell: ({ event }) => event.replaceAll('_', ' ') },
          {
            id: 'outcome',
            head: 'Outcome',
            cell: ({ outcome, fault }) => (
              <Badge tone={fault === null ? 'neutral' : 'bad'}>
                {(fault ?? outcome).replaceAll('_', ' ')}
              </Badge>
            ),
          },
          { id: 'ms', head: 'Took', isNumber: true, cell: (call) => durationOfMs(call.duration_ms) },
        ]}
      />
    </Drawer>
  );
}

function DeadLetters() {
  const { isAdmin } = useAccess();
  const letters = useQuery(deadLettersQuery());
  const retry = useAction({
    run: ({ id }: DeadLetter) =>
      dataOf(api.POST('/api/v1/hooks/dead-letters/{id}/retry', { params: { path: { id } }, body: {} })),
    done: 'It is queued again.',
    changes: ['hooks', 'audit'],
  });
  return (
    <Card title="Dead letters" hint="Deliveries that were given up after every attempt." flush>
      <DataTable
        label="Dead letters"
        rows={letters.data?.items}
        rowId={({ id }) => id}
        error={letters.error}
        retry={() => void letters.refetch()}
        empty={<EmptyState title="None">Every delivery arrived, or is still being tried.</EmptyState>}
        columns={[
          { id: 'hook', head: 'Hook', priority: 1, cell: ({ hook }) => hook },
          { id: 'at', head: 'Given up', cell: ({ at }) => <Relative at={at} /> },
          { id: 'event', head: 'Event', cell: ({ event }) => event.replaceAll('_', ' ') },
          { id: 'user', head: 'User', cell: (letter) => letter.login_name },
          {
            id: 'why',
            head: 'Why',
            cell: ({ message, attempts }) => `${message} (${counted(attempts, 'attempt')})`,
          },
          {
            id: 'retry',
            head: <span className="visually-hidden">Actions</span>,
            priority: 1,
            cell: (letter) =>
              isAdmin &&
              letter.retryable && (
                <Button small busy={retry.isBusy} onPress={() => retry.start(letter)}>
                  Deliver again
                </Button>
              ),
          },
        ]}
      />
    </Card>
  );
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

function failuresOf({ faults }: Hook): number {
  return sum(Object.values(faults));
}
