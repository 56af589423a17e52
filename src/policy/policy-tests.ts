/** Runs a document's `tests` against its compiled policy. */
import type { Caller } from '../identity/caller.ts';
import type { PolicyTest, PolicyTestSource, PolicyToolTest } from './document.ts';
import type { Access, PolicySnapshot } from './snapshot.ts';

/** A test that did not hold. */
export interface TestFailure {
  /** `tests[0]`. */
  readonly path: string;
  readonly model: string | null;
  readonly expected: string;
  readonly got: string;
  /** The explanation as text, where a model was tested. */
  readonly detail: string;
}

/** Empty when all tests hold. */
export function runPolicyTests(
  snapshot: PolicySnapshot,
  tests: readonly PolicyTest[],
): readonly TestFailure[] {
  return tests.flatMap((test) => runTest(snapshot, test));
}

function runTest(snapshot: PolicySnapshot, test: PolicyTest): readonly TestFailure[] {
  const caller = callerOf(test.src, snapshot.tailnet);
  const access = snapshot.accessOf(caller);
  const failures: TestFailure[] = [];
  const check = (model: string, wanted: boolean): void => {
    const usable = snapshot
      .resolve(model)
      .some(({ provider, model: id }) => access.grant(provider.id, id) !== null);
    if (usable === wanted) return;
    const explanation = snapshot.explain(caller, model);
    failures.push({
      path: test.path,
      model,
      expected: wanted ? 'allowed' : 'refused',
      got: usable ? 'allowed' : `refused (${explanation.reason})`,
      detail: explanation.text,
    });
  };
  for (const model of test.accept) check(model, true);
  for (const model of test.deny) check(model, false);
  for (const call of test.tools) failures.push(...runToolTest(snapshot, access, test.path, call));
  const roles = [...access.roles];
  const holds =
    test.role === null || (test.role === 'none' ? roles.length === 0 : access.roles.has(test.role));
  if (!holds) {
    failures.push({
      path: test.path,
      model: null,
      expected: `role ${test.role ?? ''}`,
      got: roles.join(', ') || 'no role',
      detail: '',
    });
  }
  return failures;
}

function runToolTest(
  snapshot: PolicySnapshot,
  access: Access,
  path: string,
  call: PolicyToolTest,
): readonly TestFailure[] {
  const grant = snapshot
    .resolve(call.model)
    .map(({ provider, model }) => access.grant(provider.id, model))
    .find((one) => one !== null);
  const decision = grant?.governance?.tools?.decide({
    name: call.name,
    argumentsText: JSON.stringify(call.arguments),
    arguments: call.arguments,
    agent: call.agent,
  });
  const got = grant === undefined ? 'the model is refused' : (decision?.action ?? 'allow');
  if (got === call.expect) return [];
  const rule = decision?.rule?.path ?? 'no rule';
  return [
    { path, model: call.model, expected: `${call.name}: ${call.expect}`, got, detail: `decided by ${rule}` },
  ];
}

/** A caller as a door would give it, for a test's description. */
function callerOf(src: PolicyTestSource, tailnet: string): Caller {
  const local = src.loopback || src.principal?.startsWith('local:') === true;
  const foreign = src.principal?.startsWith('jwt:') === true;
  const login = src.login ?? (src.tags.length > 0 ? null : (src.principal ?? 'test'));
  const isDevice = !local && !foreign;
  return {
    principal: src.principal ?? (local ? 'local:0' : `tailscale:userid:test-${login ?? 'device'}`),
    tailnet,
    door: local ? 'local' : foreign ? 'token' : 'tailscaled',
    via: null,
    device: isDevice
      ? { stableId: 'test', name: 'test', addresses: [], tags: src.tags, shared: false }
      : null,
    user: login === null ? null : { id: `test-${login}`, login, displayName: null },
    groups: src.groups,
    capabilities: new Map(),
    token: null,
  };
}
