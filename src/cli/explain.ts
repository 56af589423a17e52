/** `postern explain`: which rule allows or refuses a model. */
import { type Command, Option } from 'commander';
import { EXIT, usageFailure } from './failure.ts';
import { isObject, textAt } from './fields.ts';
import { printable, printJson, printLine } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface ExplainFlags extends CommonFlags {
  readonly principal?: string;
  readonly user?: string;
  readonly group?: readonly string[];
  readonly tag?: readonly string[];
  readonly door?: string;
  readonly format?: string;
  readonly tool?: string;
  readonly arguments?: string;
  readonly agent?: string;
}

export function setupExplain(command: Command, session: Session): void {
  addCommonOptions(command)
    .argument('<model>', 'as a caller names it: an alias, a model, or provider/model')
    .option('--format <format>', 'for one wire format, for example anthropic_messages')
    .option('--user <login>', 'about someone else; asking about others needs the role auditor or admin')
    .option('--principal <principal>', 'about someone else by principal, for example local:1001')
    .option('--group <group>', 'in this group; may be repeated', collect)
    .option('--tag <tag>', 'about a machine with this tag; may be repeated', collect)
    .addOption(
      new Option('--door <door>', 'known by this door').choices([
        'local',
        'token',
        'tailscaled',
        'serve',
        'node',
      ]),
    )
    .option('--tool <name>', 'what would become of a call of this tool, too')
    .option('--arguments <json>', 'of that call, as a model would write them; default unknown')
    .option('--agent <label>', 'of that call: the program that makes it, for example claude-code')
    .action(async (model: string, flags: ExplainFlags) => {
      const call = callOf(flags);
      const answer = await connect(session, flags).api.post('/api/v1/explain', {
        model,
        format: flags.format,
        subject: subjectOf(flags),
        call,
      });
      const allowed = isObject(answer) && answer['allowed'] === true;
      session.end(allowed ? EXIT.done : EXIT.failed);
      if (flags.json === true) return printJson(session.context, answer);
      const text = textAt(answer, 'text') ?? `${model} is ${allowed ? 'allowed' : 'not allowed'}`;
      for (const line of text.trimEnd().split('\n')) printLine(session.context, printable(line));
    });
  addExamples(command, [
    ['postern explain claude-sonnet-4-5', 'may I, and by which rule'],
    ['postern explain openai/gpt-5 --user bob@example.com', 'may someone else'],
    ['postern explain gpt-5 --tag tag:ci', 'may a machine'],
    [`postern explain gpt-5 --tool Bash --arguments '{"command": "ls"}'`, 'and what becomes of a tool call'],
  ]);
  command.addHelpText('after', '\nExit code 0 if the model may be used, 1 if not.');
}

/** Undefined for the caller itself; members that are undefined are left out of the JSON. */
function subjectOf(flags: ExplainFlags): unknown {
  const { principal, user, group, tag, door } = flags;
  if ([principal, user, group, tag, door].every((value) => value === undefined)) return undefined;
  return { principal, login: user, groups: group, tags: tag, door };
}

/** Undefined where no call is asked about. */
function callOf({ tool, arguments: text, agent }: ExplainFlags): unknown {
  if (tool !== undefined) return { tool, arguments: text, agent };
  if (text === undefined && agent === undefined) return undefined;
  throw usageFailure('--arguments and --agent belong to a call: name its tool with --tool');
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
