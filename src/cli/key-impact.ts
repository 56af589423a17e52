/** `postern keys show`: who uses a key, and what its revocation would touch. */
import { isObject, listAt, numberAt, objectAt, textAt, textsAt } from './fields.ts';
import { formatLocal } from './moments.ts';
import { formatCount, formatUsd, printable, printJson, printLine, printTable } from './output.ts';
import { type CommonFlags, connect, type Session } from './session.ts';

export interface ShowKeyFlags extends CommonFlags {
  readonly days?: string;
}

/** `days` is passed on as written; the server says what it takes. */
export async function showKey(session: Session, id: string, flags: ShowKeyFlags): Promise<void> {
  const { context } = session;
  const path = `/api/v1/keys/${encodeURIComponent(id)}/impact`;
  const answer = await connect(session, flags).api.get(path, { days: flags.days });
  if (flags.json === true) return printJson(context, answer);
  const key = objectAt(answer, 'key');
  const say = (text: string): void => printLine(context, printable(text));
  say(
    `${id} (${textAt(key, 'hint') ?? '?'}) for ${textAt(key, 'provider') ?? '?'}, ${textAt(key, 'state') ?? '?'}`,
  );
  const days = flags.days === undefined ? '' : `last ${flags.days} days: `;
  const use = `${formatCount(numberAt(answer, 'requests'))} requests, ${formatUsd(numberAt(answer, 'cost_nano_usd'))}`;
  say(`${days}${use} since ${formatLocal(textAt(answer, 'from'))}`);
  printLine(context);
  printTable(
    context,
    [
      { title: 'CALLER', value: (row) => textAt(row, 'user_label') ?? '-' },
      { title: 'DEVICES', value: (row) => names(row, 'devices') },
      { title: 'AGENTS', value: (row) => names(row, 'agents') },
      { title: 'MODELS', value: (row) => names(row, 'models') },
      { title: 'LAST USED', value: (row) => formatLocal(textAt(row, 'last_at')) },
      { title: 'REQUESTS', align: 'right', value: (row) => formatCount(numberAt(row, 'requests')) },
      { title: 'COST', align: 'right', value: (row) => formatUsd(numberAt(row, 'cost_nano_usd')) },
    ],
    listAt(answer, 'callers'),
    'nobody used it in this time',
  );
  printLine(context);
  for (const line of impactLines(answer)) say(line);
}

/** What a revocation does, one sentence each. */
function impactLines(answer: unknown): readonly string[] {
  const open = numberAt(objectAt(answer, 'open'), 'exchanges');
  const alone = textsAt(answer, 'providers_without_key');
  const instead = textsAt(answer, 'used_instead');
  const more = numberAt(answer, 'callers_more') ?? 0;
  const incomplete = isObject(answer) && answer['complete'] === false;
  return [
    ...(more > 0 ? [`and ${more} more callers`] : []),
    ...(incomplete ? ['there were more requests than are read: the sums are too small'] : []),
    open === null
      ? 'what is under way with it is not known'
      : `revoking it cuts ${open} ${open === 1 ? 'request' : 'requests'} under way`,
    ...(alone.length > 0 ? [`and leaves without a key: ${alone.join(', ')}`] : []),
    ...(instead.length > 0 ? [`used in its place: ${instead.join(', ')}`] : []),
  ];
}

/** Names of one caller; more would make the table too wide. */
const NAMES_SHOWN = 3;

function names(row: unknown, field: string): string {
  const all = textsAt(row, field);
  if (all.length === 0) return '-';
  const shown = all.slice(0, NAMES_SHOWN).join(', ');
  return all.length > NAMES_SHOWN ? `${shown} +${all.length - NAMES_SHOWN}` : shown;
}
