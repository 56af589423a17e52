/** `postern policy`: the document as code. */
import { type Command, InvalidArgumentError } from 'commander';
import { explainReach, type ReachFlags } from './policy/explain-reach.ts';
import { simulateDraft, type SimulateFlags } from './policy/simulate-draft.ts';
import { testDocument } from './policy/test-document.ts';
import { testNetworkPolicy } from './policy/test-network.ts';
import { usageFailure } from './failure.ts';
import { addCommonOptions, addExamples, type Session } from './session.ts';
import { addTailnetOption, type TailnetFlags } from './tailnet-choice.ts';

interface TestFlags extends TailnetFlags {
  readonly network?: boolean;
}

/** The server tells no more. */
const REQUESTS_MAX = 1_000;

export function setupPolicy(command: Command, session: Session): void {
  addTailnetOption(
    command
      .command('test')
      .description('check a document and run its "tests"; exit code 1 if something is wrong'),
  )
    .argument('[file]', 'HuJSON file, - for standard input; without it what the server has in force')
    .option('--network', 'the policy of a tailnet instead, over its present people and devices')
    .action((file: string | undefined, { network, ...flags }: TestFlags) => {
      if (network === true) return testNetworkPolicy(session, file, flags);
      if (flags.tailnet !== undefined) throw usageFailure('--tailnet belongs to --network');
      return testDocument(session, file, flags);
    });

  addTailnetOption(
    command
      .command('explain')
      .description('whether one device may reach another in a tailnet, and by which rule'),
  )
    .argument('<source>', 'a device, a login, a tag, a group or an address')
    .argument('<destination:port>', 'for example tag:server:443 or [fd7a::1]:22')
    .option('--protocol <name>', 'tcp, udp …; default any of TCP, UDP and ICMP')
    .option('--draft <file>', 'under this policy, - for standard input; default the one in force')
    .action((source: string, destination: string, flags: ReachFlags) =>
      explainReach(session, { source, destination }, flags),
    );

  addCommonOptions(
    command
      .command('simulate')
      .description('what a draft would have made of recorded requests; changes nothing'),
  )
    .requiredOption('--draft <file>', 'HuJSON file, - for standard input')
    .option('--since <time>', 'from then on: 7d, 12h, 2026-11-01 or a full time', '7d')
    .option('--until <time>', 'up to then, exclusive; default now')
    .option('--requests <number>', 'changed requests to show one by one', parseCount, 20)
    .action((flags: SimulateFlags) => simulateDraft(session, flags));

  addExamples(command, [
    ['postern policy test gateway.hujson', 'before saving it, without a server'],
    ['postern policy test network.hujson --network', "a tailnet's policy, before it is in force"],
    ['postern policy explain laptop tag:server:443', 'may it, by which rule, and what would change it'],
    ['postern policy simulate --draft gateway.hujson', 'against the last seven days'],
    ['postern policy simulate --draft gateway.hujson --since 30d --json', 'for a script'],
  ]);
}

function parseCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count <= REQUESTS_MAX)) throw new InvalidArgumentError(`give a number from 0 to ${REQUESTS_MAX}.`);
  return count;
}
