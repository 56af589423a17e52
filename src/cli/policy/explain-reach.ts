/** `postern policy explain`: whether one may reach another in a tailnet, by the server that knows its devices. */
import { readDocumentFile } from '../config/read-document.ts';
import { EXIT, usageFailure } from '../failure.ts';
import { textAt } from '../fields.ts';
import { printable, printJson, printLine } from '../output.ts';
import { connect, type Session } from '../session.ts';
import { type TailnetFlags, tailnetOf, tailnetPath } from '../tailnet-choice.ts';

export interface ReachFlags extends TailnetFlags {
  readonly protocol?: string;
  readonly draft?: string;
}

const PORT_MAX = 65_535;

/** Exit code 0 if it may, 1 if not. */
export async function explainReach(
  session: Session,
  ends: { readonly source: string; readonly destination: string },
  flags: ReachFlags,
): Promise<void> {
  const { context } = session;
  const question = { source: ends.source, ...readDestination(ends.destination), protocol: flags.protocol };
  const draft = flags.draft === undefined ? undefined : await readDocumentFile(context, flags.draft);
  const answer = await connect(session, flags).api.post(
    tailnetPath(tailnetOf(flags, context), '/policy/explain'),
    { ...question, policy: draft },
  );
  const isAllowed = Object(answer)['allowed'] === true;
  session.end(isAllowed ? EXIT.done : EXIT.failed);
  if (flags.json === true) return printJson(context, answer);
  const text = textAt(answer, 'text') ?? (isAllowed ? 'it may' : 'it may not');
  for (const line of text.trimEnd().split('\n')) printLine(context, printable(line));
}

/** `tag:server:443`; an IPv6 address in brackets. */
function readDestination(text: string): { readonly destination: string; readonly port: number } {
  const { bracketed, plain, digits } =
    /^(?:\[(?<bracketed>[^\]]+)\]|(?<plain>[^[].*)):(?<digits>\d{1,5})$/.exec(text)?.groups ?? {};
  const port = Number(digits);
  const destination = bracketed ?? plain;
  if (destination !== undefined && port >= 1 && port <= PORT_MAX) return { destination, port };
  throw usageFailure(`a destination ends in its port, such as tag:server:443, got "${text}"`);
}
