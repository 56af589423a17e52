/** `postern dns`: what devices of a tailnet resolve, and where. */
import { type Command, Option } from 'commander';
import { usageFailure } from './failure.ts';
import { listAt, objectAt, textAt, textsAt } from './fields.ts';
import { printable, printJson, printLine } from './output.ts';
import { addExamples, connect, type Session } from './session.ts';
import { addTailnetOption, type TailnetFlags, tailnetOf, tailnetPath } from './tailnet-choice.ts';

interface SetFlags extends TailnetFlags {
  readonly magic?: string;
  readonly resolver?: readonly string[];
  readonly split?: readonly string[];
  readonly search?: readonly string[];
  readonly record?: readonly string[];
  readonly clear?: readonly string[];
}

/** What `--clear` takes, and what it makes empty. */
const CLEARED: Readonly<Record<string, object>> = {
  resolvers: { resolvers: [] },
  split: { split: {} },
  search: { search_domains: [] },
  records: { extra_records: [] },
};

export function setupDns(command: Command, session: Session): void {
  const { context } = session;
  addTailnetOption(
    command.command('show', { isDefault: true }).description('the DNS settings of a tailnet'),
  ).action(async (flags: TailnetFlags) => {
    const answer = await connect(session, flags).api.get(dnsPath(session, flags));
    if (flags.json === true) return printJson(context, answer);
    printDns(session, answer);
  });

  addTailnetOption(
    command.command('set').description('change parts of them; a part that is named is replaced whole'),
  )
    .addOption(new Option('--magic <state>', 'devices resolve each other by name').choices(['on', 'off']))
    .option('--resolver <address>', 'for everything; may be repeated', collect)
    .option('--split <domain=address>', 'for names of one domain; may be repeated', collect)
    .option('--search <domain>', "besides the tailnet's own; may be repeated", collect)
    .option('--record <name=address>', 'a further name that resolves; may be repeated', collect)
    .option('--clear <part>', `${Object.keys(CLEARED).join(', ')}; may be repeated`, collect)
    .action(async (flags: SetFlags) => {
      const change = changeOf(flags);
      if (Object.keys(change).length === 0) throw usageFailure('nothing to change was named; see --help');
      const { api } = connect(session, flags);
      const path = dnsPath(session, flags);
      const before = await api.get(path);
      const answer = await api.put(path, { ...Object(before), ...change });
      if (flags.json === true) return printJson(context, answer);
      printDns(session, answer);
    });

  addExamples(command, [
    ['postern dns', 'what devices resolve, and where'],
    ['postern dns set --resolver 9.9.9.9', 'for everything that no other line is for'],
    ['postern dns set --split corp.example=10.0.0.53', "the office's names at the office's resolver"],
    [
      'postern dns set --record wiki.corp.example=100.64.0.7 --clear search',
      'one more name, no search domains',
    ],
  ]);
}

function dnsPath({ context }: Session, flags: TailnetFlags): string {
  return tailnetPath(tailnetOf(flags, context), '/dns');
}

/** As the API names the parts. */
function changeOf({ magic, resolver, split, search, record, clear = [] }: SetFlags): object {
  const unknown = clear.find((part) => !Object.hasOwn(CLEARED, part));
  if (unknown !== undefined)
    throw usageFailure(`--clear takes ${Object.keys(CLEARED).join(', ')}, got "${unknown}"`);
  return {
    ...Object.assign({}, ...clear.map((part) => CLEARED[part])),
    ...(magic === undefined ? {} : { magic_dns: magic === 'on' }),
    ...(resolver === undefined ? {} : { resolvers: resolver }),
    ...(split === undefined ? {} : { split: splitOf(split) }),
    ...(search === undefined ? {} : { search_domains: search }),
    ...(record === undefined
      ? {}
      : {
          extra_records: record
            .map((text) => pairOf(text, '--record'))
            .map(([name, value]) => ({ name, value })),
        }),
  };
}

function splitOf(texts: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const split = new Map<string, string[]>();
  for (const [domain, address] of texts.map((text) => pairOf(text, '--split')))
    split.set(domain, [...(split.get(domain) ?? []), address]);
  return Object.fromEntries(split);
}

function pairOf(text: string, flag: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
  throw usageFailure(`${flag} takes a name, = and an address, got "${text}"`);
}

function printDns({ context }: Session, dns: unknown): void {
  const split = Object.entries(objectAt(dns, 'split') ?? {}).map(
    ([domain, addresses]) => `${domain} at ${Array.isArray(addresses) ? addresses.join(', ') : ''}`,
  );
  const records = listAt(dns, 'extra_records').map(
    (record) => `${textAt(record, 'name') ?? ''} is ${textAt(record, 'value') ?? ''}`,
  );
  for (const [name, values] of [
    ['MagicDNS', [Object(dns)['magic_dns'] === true ? 'on' : 'off']],
    ['resolvers', orNone(textsAt(dns, 'resolvers'), "each device's own")],
    ['split', orNone(split, 'none')],
    ['search', orNone(textsAt(dns, 'search_domains'), "the tailnet's own domain only")],
    ['records', orNone(records, 'none')],
  ] as const)
    for (const [index, value] of values.entries())
      printLine(context, `${(index === 0 ? name : '').padEnd(11)}${printable(value)}`);
}

function orNone(values: readonly string[], none: string): readonly string[] {
  return values.length === 0 ? [none] : values;
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
