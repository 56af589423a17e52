/** `postern policy test --network`: a tailnet's policy checked, and its own tests run, by the server that knows its devices. */
import { printProblems } from '../config/check.ts';
import { readDocumentFile } from '../config/read-document.ts';
import { EXIT } from '../failure.ts';
import { listAt, numberAt, textAt } from '../fields.ts';
import { paint, printable, printJson, printLine } from '../output.ts';
import { connect, type Session } from '../session.ts';
import { type TailnetFlags, tailnetOf, tailnetPath } from '../tailnet-choice.ts';

/** Exit code 1 for an error or a failing test: each would refuse a save. */
export async function testNetworkPolicy(
  session: Session,
  file: string | undefined,
  flags: TailnetFlags,
): Promise<void> {
  const { context } = session;
  const tailnet = tailnetOf(flags, context);
  const { api } = connect(session, flags);
  const policy =
    file === undefined
      ? textAt(await api.get(tailnetPath(tailnet)), 'policy')
      : await readDocumentFile(context, file);
  const answer = await api.post(tailnetPath(tailnet, '/policy/check'), { policy });
  const [problems, failures] = [listAt(answer, 'problems'), listAt(answer, 'failures')];
  const ok = Object(answer)['valid'] === true;
  session.end(ok ? EXIT.done : EXIT.failed);
  if (flags.json === true) return printJson(context, { ok, failures, problems });
  const name = file ?? `policy of ${tailnet}`;
  printProblems(session, name, problems);
  for (const failure of failures) {
    const place = `${name}:${numberAt(failure, 'line') ?? 0}`;
    const failed = paint(context, context.stdout, 'red', 'failed');
    const [path, message] = [textAt(failure, 'path') ?? '', textAt(failure, 'message') ?? ''];
    printLine(context, `${place} ${printable(path)} ${failed}: ${printable(message)}`);
  }
  if (ok) printLine(context, `it can be saved: no errors, and its own tests hold in ${tailnet}`);
}
