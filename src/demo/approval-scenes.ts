/** Questions that people in the demo ask of each other, through the approvals of the real server. */
import { setTimeout as pause } from 'node:timers/promises';
import type { DemoAnswer } from './client.ts';
import { personNamed, STRANGER, type DemoPerson } from './people.ts';
import { say, sayAndHear, type Scenery } from './scenery.ts';

const MINUTE_MS = 60_000;

export function planApprovalScenes(scenery: Scenery): void {
  planHeldCalls(scenery);
  planPendingCalls(scenery);
  planAccess(scenery);
  planMoreBudget(scenery);
}

/** Streams wait while a person decides. */
function planHeldCalls(scenery: Scenery): void {
  const { play } = scenery;
  play(0.28, () =>
    hold(scenery, {
      who: 'Chloe',
      text: 'The fix is reviewed. Push the branch.',
      call: 'git push origin fix/checkout-total',
      decision: { verdict: 'approve' },
    }),
  );
  play(0.48, () =>
    hold(scenery, {
      who: 'Ada',
      text: 'Apply the change of the bucket policy.',
      call: 'terraform apply -auto-approve',
      decision: { verdict: 'deny', reason: 'not on a Friday; look at the plan together on Monday' },
    }),
  );
  play(0.74, () =>
    hold(scenery, {
      who: 'Chloe',
      text: 'Roll the canary out.',
      call: 'kubectl apply -f deploy/',
      decision: {
        verdict: 'approve',
        edited: { command: 'kubectl apply -f deploy/canary.yaml' },
        reason: 'the canary only',
      },
    }),
  );
}

/** Answers that are not streamed say "ask again"; the same call passes once after somebody approved it. */
function planPendingCalls(scenery: Scenery): void {
  const { stage, play } = scenery;
  play(0.56, async () => {
    const saying = {
      text: 'Release the documentation.',
      answer: 'I push the release branch.',
      call: 'git push origin release/docs',
      stream: false,
      session: 'release-of-the-docs',
    };
    const asked = await sayAndHear(scenery, 'Dmitri', 'opencode', saying);
    const id = approvalIn(asked);
    if (id === null) return;
    await stage.clock.sleep(11 * MINUTE_MS);
    await decide(scenery, personNamed('Ben'), id, { verdict: 'approve' });
    await stage.clock.sleep(MINUTE_MS);
    await say(scenery, 'Dmitri', 'opencode', saying);
  });
  // Still waits when the viewer comes.
  scenery.stage.clock.at(stage.endsAt - 24 * MINUTE_MS, () =>
    say(scenery, 'Dmitri', 'opencode', {
      text: 'The old export job still runs beside the new one. Remove it.',
      answer: 'I delete the old job.',
      call: 'kubectl delete cronjob export-old',
      stream: false,
    }),
  );
}

/** Models that somebody wants and has not. */
function planAccess(scenery: Scenery): void {
  const { stage, play } = scenery;
  const ada = personNamed('Ada');
  play(0.16, async () => {
    const id = await askFor(scenery, personNamed('Femi'), {
      kind: 'model',
      model: 'anthropic/claude-opus-4-6',
      reason: 'the migration of the ledger is too much for the smaller one',
    });
    await stage.clock.sleep(38 * MINUTE_MS);
    await decide(scenery, ada, id, { verdict: 'approve', scope: 'time', duration_sec: 6 * 3_600 });
    await stage.clock.sleep(MINUTE_MS);
    await say(scenery, 'Femi', 'claude-code', {
      text: 'Plan the migration of the ledger.',
      answer: 'Four steps. The first two change nothing that anybody sees.',
      model: 'anthropic/claude-opus-4-6',
    });
  });
  play(0.42, async () => {
    const id = await askFor(scenery, personNamed('Jonas'), {
      kind: 'model',
      model: 'openai/gpt-5-pro',
      reason: 'to compare it with gpt-5 on last year',
    });
    await stage.clock.sleep(55 * MINUTE_MS);
    await decide(scenery, ada, id, {
      verdict: 'deny',
      reason: 'twelve times the price; try it on ten rows first',
    });
  });
  play(0.68, async () => {
    const grace = personNamed('Grace');
    const id = await askFor(scenery, grace, {
      kind: 'model',
      model: 'anthropic/claude-opus-4-6',
      reason: 'a hard layout question',
    });
    await stage.clock.sleep(9 * MINUTE_MS);
    await scenery.cast.of(grace).send({ method: 'DELETE', path: `/api/v1/approvals/${id}` });
  });
  // Still waits when the viewer comes.
  stage.clock.at(stage.endsAt - 51 * MINUTE_MS, async () => {
    await askFor(scenery, STRANGER, {
      kind: 'model',
      model: 'openai/gpt-5-mini',
      reason: 'I am new in the product team',
    });
  });
}

/** Chloe's budget is spent (`planBudget` of the scenes); she asks, and gets some more. */
function planMoreBudget(scenery: Scenery): void {
  scenery.play(0.71, async () => {
    const chloe = personNamed('Chloe');
    const id = await askFor(scenery, chloe, {
      kind: 'budget',
      bucket: `person:${chloe.login}`,
      amount: '$1.00',
      reason: 'the release is tonight',
    });
    await scenery.stage.clock.sleep(14 * MINUTE_MS);
    await decide(scenery, personNamed('Ada'), id, { verdict: 'approve' });
    await scenery.stage.clock.sleep(2 * MINUTE_MS);
    await say(scenery, 'Chloe', 'claude-code', {
      text: 'Go on with the release notes.',
      answer: 'The notes are complete but for the known issues.',
    });
  });
}

interface HeldCall {
  readonly who: string;
  readonly text: string;
  readonly call: string;
  readonly decision: object;
}

/** Asks the model, waits until the call is held, and lets somebody decide after a minute. */
async function hold(scenery: Scenery, { who, text, call, decision }: HeldCall): Promise<void> {
  const { stage } = scenery;
  const known = new Set(await pendingIds(scenery));
  const id = stage.nextId();
  const answering = sayAndHear(scenery, who, 'claude-code', { id, text, answer: 'I do that now.', call });
  const found = await newPending(scenery, { known, id, answering });
  if (found !== null) {
    await stage.clock.sleep(70_000);
    await decide(scenery, personNamed('Ben'), found, decision);
  }
  await answering;
}

/** Real time between two looks. */
const LOOK_MS = 5;

/** Looks for a new question until there is one, or the answer came without. */
async function newPending(
  scenery: Scenery,
  {
    known,
    id,
    answering,
  }: { readonly known: ReadonlySet<string>; readonly id: string; readonly answering: Promise<DemoAnswer> },
): Promise<string | null> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  answering.then(end, end);
  while (!ended.signal.aborted) {
    await pause(LOOK_MS);
    // Until the provider has said all, the demo's time is its.
    if (scenery.stage.upstream.isAnswering(id)) continue;
    const fresh = (await pendingIds(scenery)).find((one) => !known.has(one));
    if (fresh !== undefined) return fresh;
  }
  return null;
}

async function pendingIds({ cast }: Scenery): Promise<readonly string[]> {
  const listed = await cast
    .of(personNamed('Ada'))
    .send({ path: '/api/v1/approvals?state=pending&limit=100' });
  const items: unknown = listed.json()['items'];
  return (Array.isArray(items) ? items : []).flatMap((item: unknown) =>
    typeof item === 'object' && item !== null && 'id' in item && typeof item.id === 'string' ? [item.id] : [],
  );
}

async function decide({ cast }: Scenery, person: DemoPerson, id: string, decision: object): Promise<void> {
  await cast.inPerson(person, `decide about ${id}`, {
    path: `/api/v1/approvals/${id}/decision`,
    body: decision,
  });
}

async function askFor({ cast }: Scenery, person: DemoPerson, question: object): Promise<string> {
  const asked = await cast.of(person).send({ path: '/api/v1/approvals', body: question });
  return String(asked.json()['id']);
}

/** The approval that an answer names; null where it names none. */
function approvalIn({ text }: DemoAnswer): string | null {
  return /apr_[0-9a-z]+/.exec(text)?.[0] ?? null;
}
