/**
 * Runs a policy's own `tests` and `sshTests`. A test holds only if it holds for every device, person and
 * address that it names: `accept` for all pairs, `deny` for all pairs. People and tags without a device
 * are tested too.
 */
import type { CompiledNetwork } from './compiled-network.ts';
import type { NetworkTest, Selector, SshTest, TestTarget } from './policy.ts';
import { endsOf, judgeRule, type ReachEnd } from './reach.ts';
import { judgeSsh } from './ssh-policy.ts';

/** Questions asked of single rules in one run; a test beyond it fails, because it was not run. */
const QUESTIONS_MAX = 3_000_000;

/** A test that does not hold. */
export interface NetworkTestFailure {
  /** `tests[0]`. */
  readonly path: string;
  /** Of the test, 1-based. */
  readonly line: number;
  readonly source: string;
  /** `tag:server:443`, or for SSH `root@tag:server`. */
  readonly target: string;
  readonly expected: 'accepted' | 'denied' | 'checked';
  readonly got: string;
}

/** Empty when all tests hold. */
export function runNetworkTests(compiled: CompiledNetwork): readonly NetworkTestFailure[] {
  const run: Run = { compiled, questionsLeft: QUESTIONS_MAX };
  return [
    ...compiled.policy.tests.flatMap((test) => runTest(test, run)),
    ...compiled.policy.sshTests.flatMap((test) => runSshTest(test, run)),
  ];
}

interface Run {
  readonly compiled: CompiledNetwork;
  questionsLeft: number;
}

function runTest(test: NetworkTest, run: Run): readonly NetworkTestFailure[] {
  const sources = endsOf(test.source, test.sourceText, run.compiled);
  run.questionsLeft -= sources.length;
  const failure = (target: TestTarget, expected: 'accepted' | 'denied', got: string): NetworkTestFailure => ({
    ...placeOf(test),
    target: target.text,
    expected,
    got,
  });
  if (sources.length === 0) {
    return [...test.accept, ...test.deny]
      .slice(0, 1)
      .map((target) =>
        failure(target, test.accept.includes(target) ? 'accepted' : 'denied', 'the source is nobody'),
      );
  }
  const found: NetworkTestFailure[] = [];
  for (const [targets, wanted] of [
    [test.accept, 'accepted'],
    [test.deny, 'denied'],
  ] as const) {
    for (const target of targets) {
      const got = firstThatDiffers(test, target, { sources, wanted, run });
      if (got !== null) found.push(failure(target, wanted, got));
    }
  }
  return found;
}

interface Expectation {
  readonly sources: readonly ReachEnd[];
  readonly wanted: 'accepted' | 'denied';
  readonly run: Run;
}

/** What a pair does that is not wanted; null when all do as the test says. */
function firstThatDiffers(
  test: NetworkTest,
  target: TestTarget,
  { sources, wanted, run }: Expectation,
): string | null {
  for (const source of sources) {
    const destinations = destinationsOf(target.selector, target.text, source, run.compiled);
    if (destinations.length === 0) return 'the destination is nothing';
    for (const destination of destinations) {
      run.questionsLeft -= run.compiled.rules.length + 1;
      if (run.questionsLeft < 0) return 'not tested: the tests name too many devices and people';
      const attempt = { source, destination, protocol: test.protocol, port: target.port };
      const rule = run.compiled.rules.find(
        (one) => judgeRule(one, attempt, run.compiled.directory) === 'allowed',
      );
      if ((rule === undefined) === (wanted === 'denied')) continue;
      return rule === undefined
        ? `denied from ${source.name} to ${destination.name}: no rule allows it`
        : `accepted from ${source.name} to ${destination.name} by ${rule.path || 'the open policy'}`;
    }
  }
  return null;
}

/** `autogroup:self` means the devices of whoever asks; tagged devices have none. */
function destinationsOf(
  selector: Selector,
  text: string,
  source: ReachEnd,
  compiled: CompiledNetwork,
): readonly ReachEnd[] {
  if (selector.kind !== 'autogroup' || selector.name !== 'self') return endsOf(selector, text, compiled);
  if (source.kind !== 'node' || source.node.user === null) return [];
  return [
    {
      kind: 'node',
      name: `a device of ${source.node.user.login}`,
      node: { user: source.node.user, tags: [], addresses: [] },
      id: null,
    },
  ];
}

function runSshTest(test: SshTest, run: Run): readonly NetworkTestFailure[] {
  const { compiled } = run;
  const rules = compiled.policy.ssh ?? [];
  const sources = endsOf(test.source, test.sourceText, compiled);
  run.questionsLeft -= sources.length;
  const expectations = [
    ...test.accept.map((user) => ({ user, expected: 'accepted' as const })),
    ...test.check.map((user) => ({ user, expected: 'checked' as const })),
    ...test.deny.map((user) => ({ user, expected: 'denied' as const })),
  ];
  const ask = (
    user: string,
    expected: NetworkTestFailure['expected'],
    destination: SshTest['destinations'][number],
  ): string | null => {
    if (sources.length === 0) return 'the source is nobody';
    for (const source of sources) {
      const ends = destinationsOf(destination.selector, destination.text, source, compiled);
      if (ends.length === 0) return 'the destination is nothing';
      for (const end of ends) {
        run.questionsLeft -= rules.length + 1;
        if (run.questionsLeft < 0) return 'not tested: the tests name too many devices and people';
        const verdict =
          source.kind === 'node' && end.kind === 'node'
            ? judgeSsh(source.node, end.node, user, { rules, directory: compiled.directory })
            : null;
        const got = verdict === null ? 'denied' : verdict.action === 'check' ? 'checked' : 'accepted';
        /* A check lets in whoever passes it, so it is accepted too. */
        if (got === expected || (expected === 'accepted' && got === 'checked')) continue;
        return `${got} from ${source.name} to ${end.name}${verdict === null ? '' : ` by ${verdict.rule.path}`}`;
      }
    }
    return null;
  };
  return expectations.flatMap(({ user, expected }) =>
    test.destinations.flatMap((destination) => {
      const got = ask(user, expected, destination);
      return got === null ? [] : [{ ...placeOf(test), target: `${user}@${destination.text}`, expected, got }];
    }),
  );
}

function placeOf({
  path,
  line,
  sourceText,
}: NetworkTest | SshTest): Pick<NetworkTestFailure, 'path' | 'line' | 'source'> {
  return { path, line, source: sourceText };
}
