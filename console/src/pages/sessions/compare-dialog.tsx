/** Two turns beside each other: their figures, and their conversations from where they part. */
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { counted, durationOfUs, money, percent } from '../../format/index.ts';
import { AnswerView, type LoadItem, type Message, MessageView } from '../../records/blocks.tsx';
import { type Reading, reasonOf, useReader } from '../../records/reading.tsx';
import { Dialog, ErrorState, Skeleton } from '../../ui/index.ts';
import type { Turn } from './use-turns.ts';

type Conversation = Schema<'Conversation'>;

/** Messages of each side; a longer rest says how many more. */
const SHOWN_MAX = 30;

export function CompareDialog({
  first,
  second,
  reading,
  load,
  onClose,
}: {
  readonly first: Turn;
  readonly second: Turn;
  readonly reading: Reading | null;
  readonly load: LoadItem;
  readonly onClose: () => void;
}) {
  return (
    <Dialog title={`Turn ${first.number} and turn ${second.number}`} isOpen wide onClose={onClose}>
      <Figures first={first} second={second} />
      {reading !== null && <Words first={first} second={second} reading={reading} load={load} />}
    </Dialog>
  );
}

function figuresOf({ request }: Turn): readonly (readonly [string, string])[] {
  const { usage, timing } = request;
  const input = usage.input_tokens;
  return [
    ['Outcome', request.outcome.replaceAll('_', ' ')],
    ['Model', request.model ?? request.requested_model ?? '–'],
    ['Took', durationOfUs(timing.total_us)],
    ['First byte', durationOfUs(timing.first_byte_us)],
    ['Tokens in', input?.toLocaleString('en-US') ?? '–'],
    ['From cache', percent((usage.cache_read_tokens ?? 0) / Math.max(1, input ?? 0))],
    ['Tokens out', usage.output_tokens?.toLocaleString('en-US') ?? '–'],
    ['Cost', money(request.cost_nano_usd)],
  ];
}

function Figures({ first, second }: { readonly first: Turn; readonly second: Turn }) {
  const others = figuresOf(second);
  return (
    <PairTable
      heads={['', `Turn ${first.number}`, `Turn ${second.number}`]}
      rows={figuresOf(first).map(([name, value], index) => [name, value, others[index]?.[1] ?? ''])}
    />
  );
}

function PairTable({
  heads,
  rows,
}: {
  readonly heads: readonly string[];
  readonly rows: readonly (readonly [string, string, string])[];
}) {
  return (
    <table className="plain-table compare-table">
      <thead>
        <tr>
          {heads.map((head, index) => (
            <th key={index} scope="col">
              {head === '' ? <span className="visually-hidden">What</span> : head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, one, other]) => (
          <tr key={name} className={one === other ? undefined : 'differs'}>
            <th scope="row">{name}</th>
            <td className="stranger">{one}</td>
            <td className="stranger">{other}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Words({
  first,
  second,
  reading,
  load,
}: {
  readonly first: Turn;
  readonly second: Turn;
  readonly reading: Reading;
  readonly load: LoadItem;
}) {
  const read = useReader();
  const ids = [first.request.id, second.request.id] as const;
  const both = useQuery({
    queryKey: ['requests', 'compare', ...ids, reading.reason],
    queryFn: ({ signal }) =>
      Promise.all(
        ids.map((id) =>
          read(() =>
            dataOf(
              api.GET('/api/v1/requests/{id}/conversation', {
                params: { path: { id }, query: reasonOf(reading) },
                signal,
              }),
            ),
          ),
        ),
      ),
    retry: false,
    staleTime: Infinity,
    ...(reading.reason === null ? {} : { gcTime: 0 }),
  });
  if (both.error !== null) return <ErrorState error={both.error} what="The words could not be loaded" />;
  const [one, other] = both.data ?? [];
  if (one === undefined || other === undefined) return <Skeleton lines={6} />;
  return <Pair one={one} other={other} load={load} numbers={[first.number, second.number]} />;
}

function Pair({
  one,
  other,
  load,
  numbers,
}: {
  readonly one: Conversation;
  readonly other: Conversation;
  readonly load: LoadItem;
  readonly numbers: readonly [number, number];
}) {
  const same = sharedMessages(one.messages, other.messages);
  const names = [...new Set([...Object.keys(one.parameters), ...Object.keys(other.parameters)])].sort();
  const isSameSystem = sameBlocks(one.system, other.system);
  const changed = toolChanges(one, other);
  const valueOf = ({ parameters }: Conversation, name: string): string => String(parameters[name] ?? '–');
  return (
    <>
      {names.length > 0 && (
        <PairTable
          heads={['Parameters', `Turn ${numbers[0]}`, `Turn ${numbers[1]}`]}
          rows={names.map((name) => [name, valueOf(one, name), valueOf(other, name)])}
        />
      )}
      <p className="soft">
        {counted(same, 'message')} at the beginning {same === 1 ? 'is' : 'are'} the same.{' '}
        {isSameSystem ? 'The system prompt is the same.' : 'The system prompts differ.'} {changed}
      </p>
      <div className="compare-sides">
        <Side
          conversation={one}
          from={same}
          showsSystem={!isSameSystem}
          load={load}
          title={`Turn ${numbers[0]}`}
        />
        <Side
          conversation={other}
          from={same}
          showsSystem={!isSameSystem}
          load={load}
          title={`Turn ${numbers[1]}`}
        />
      </div>
    </>
  );
}

function Side({
  conversation,
  from,
  showsSystem,
  load,
  title,
}: {
  readonly conversation: Conversation;
  readonly from: number;
  readonly showsSystem: boolean;
  readonly load: LoadItem;
  readonly title: string;
}): ReactNode {
  const { content, messages, answer, system } = conversation;
  const rest = messages.slice(from);
  return (
    <section aria-label={title}>
      <h3>
        <Link to={`/requests/${encodeURIComponent(conversation.request_id)}`}>{title}</Link>
      </h3>
      {content !== 'kept' && <p className="soft">Its words cannot be shown.</p>}
      {showsSystem && <MessageView message={{ role: 'system', blocks: system }} load={load} />}
      {rest.slice(0, SHOWN_MAX).map((message, index) => (
        <MessageView key={index} message={message} load={load} />
      ))}
      {rest.length > SHOWN_MAX && (
        <p className="soft">and {counted(rest.length - SHOWN_MAX, 'more message')}</p>
      )}
      {answer !== null && <AnswerView answer={answer} load={load} />}
    </section>
  );
}

/** How many messages both begin with. Items are named by their request, so they are left out. */
function sharedMessages(one: readonly Message[], other: readonly Message[]): number {
  const end = Math.min(one.length, other.length);
  for (let at = 0; at < end; at += 1) {
    const [a, b] = [one[at], other[at]];
    if (a === undefined || b === undefined || a.role !== b.role || !sameBlocks(a.blocks, b.blocks)) return at;
  }
  return end;
}

/** By previews and sizes: of longer texts a change beyond the preview that keeps the size is not seen. */
function sameBlocks(one: Message['blocks'], other: Message['blocks']): boolean {
  return (
    one.length === other.length &&
    one.every((block, index) => {
      const twin = other[index];
      return (
        twin !== undefined &&
        block.type === twin.type &&
        block.bytes === twin.bytes &&
        block.name === twin.name &&
        block.text === twin.text
      );
    })
  );
}

function toolChanges(one: Conversation, other: Conversation): string {
  const before = new Set(one.tools.map(({ name }) => name));
  const after = new Set(other.tools.map(({ name }) => name));
  const added = [...after].filter((name) => !before.has(name));
  const gone = [...before].filter((name) => !after.has(name));
  if (added.length === 0 && gone.length === 0) return 'The tools are the same.';
  const list = (names: readonly string[]): string => names.slice(0, 5).join(', ');
  return [
    added.length > 0 ? `Only the second has ${counted(added.length, 'tool')}: ${list(added)}.` : '',
    gone.length > 0 ? `Only the first has ${counted(gone.length, 'tool')}: ${list(gone)}.` : '',
  ].join(' ');
}
