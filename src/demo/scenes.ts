/**
 * What happens in the demo's week besides ordinary work: an outage, questions for approval and their
 * answers, keys that somebody pasted, a budget that ran out, and what an admin and an auditor do. Each
 * happens as it would: somebody calls, the server decides, somebody answers in person.
 */
import type { UnixMs } from '../base/clock.ts';
import { AGENTS } from './agents.ts';
import { planApprovalScenes } from './approval-scenes.ts';
import { personNamed } from './people.ts';
import { say, type SceneOptions, type Scenery, type When } from './scenery.ts';
import { ask, createScript, type Stage } from './session.ts';
import { REPLY_HEADER } from './upstream.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Fewer, and the scenes would fall over each other. */
const WORKING_HOURS_MIN = 20;
/** The first hour is the admin's, the last five minutes nobody's. */
const FIRST_MS = 60 * MINUTE_MS;
const LAST_MS = 5 * MINUTE_MS;

export function planScenes(stage: Stage, options: SceneOptions): void {
  const spanMs = options.days * DAY_MS;
  const startsAt = stage.endsAt - spanMs;
  const scenery: Scenery = {
    ...options,
    stage,
    play(when, run) {
      const first = startsAt + FIRST_MS;
      const at = workingTime(first, stage.endsAt, when) ?? first + (stage.endsAt - first) * when;
      stage.clock.at(Math.min(stage.endsAt - LAST_MS, at), run);
    },
  };
  planOutage(scenery);
  planGuardrails(scenery);
  planBudget(scenery);
  planOtherSurfaces(scenery);
  planAdministration(scenery);
  planApprovalScenes(scenery);
}

/** The moment when this part of the working hours (Monday to Friday, UTC) is over; null if there are too few. */
function workingTime(from: UnixMs, to: UnixMs, part: When): UnixMs | null {
  const hours: UnixMs[] = [];
  for (let at = Math.ceil(from / HOUR_MS) * HOUR_MS; at + HOUR_MS <= to; at += HOUR_MS) {
    const date = new Date(at);
    const isWorkday = date.getUTCDay() % 6 !== 0;
    if (isWorkday && date.getUTCHours() >= 8 && date.getUTCHours() < 18) hours.push(at);
  }
  if (hours.length < WORKING_HOURS_MIN) return null;
  const exact = part * (hours.length - 1);
  const hour = hours[Math.floor(exact)];
  return hour === undefined ? null : hour + (exact % 1) * HOUR_MS;
}

/** Anthropic is down for a while: the second account takes over, and the circuit opens. */
function planOutage({ stage, cast, random, play }: Scenery): void {
  const during = 12;
  play(0.45, async () => {
    stage.upstream.fail('anthropic', 529);
    const chloe = personNamed('Chloe');
    const agent = AGENTS['claude-code'];
    const script = createScript({ agent, random, id: 'during-the-outage', model: 'claude-sonnet-4-6' });
    for (let left = during; left > 0; left -= 1) {
      const { talk, reply } = script.next(left);
      const answer = await ask(stage, {
        client: cast.of(chloe),
        agent,
        talk,
        reply: { ...reply, failure: null, breaksOff: false },
        sessionId: script.id,
      });
      script.took(answer.status === 200);
      await stage.clock.sleep(random.skewed(90_000));
    }
    stage.upstream.fail('anthropic', null);
  });
}

/** Somebody pastes a key, others write about customers, a model wants to delete too much. */
function planGuardrails(scenery: Scenery): void {
  const { play } = scenery;
  play(0.22, () =>
    say(scenery, 'Hiro', 'opencode', {
      text: 'Why is this refused? I use AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY and AKIAIOSFODNN7EXAMPLE, and sk-ant-api03-DemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDem-DemoDeAA.',
      answer: 'This answer is never sent.',
    }),
  );
  play(0.225, () =>
    say(scenery, 'Hiro', 'opencode', {
      text: 'Why is this refused? I left the key out.',
      answer: 'The policy of the bucket names another role. Compare the last line of the two.',
    }),
  );
  for (const [when, who] of [
    [0.3, 'Ines'],
    [0.52, 'Kavya'],
    [0.8, 'Ines'],
  ] as const) {
    play(when, () =>
      say(scenery, who, 'notebook', {
        text: 'The customer anna.beispiel@customer.example (IBAN DE89370400440532013000) says that she was charged twice. Draft an answer.',
        answer:
          'Dear customer, thank you for telling us. One of the two charges will be back on your account within five days.',
      }),
    );
  }
  play(0.64, () =>
    say(scenery, 'Ada', 'claude-code', {
      text: 'The disk of the build machine is full. Make room.',
      answer: 'I remove the old artifacts.',
      call: 'sudo rm -rf /var/lib/builds',
    }),
  );
}

/** Chloe works with the largest model until her day's budget is spent. */
function planBudget(scenery: Scenery): void {
  const attempts = 60;
  scenery.play(0.7, async () => {
    const { stage, cast, random } = scenery;
    const agent = AGENTS['claude-code'];
    const script = createScript({ agent, random, id: 'a-long-day', model: 'claude-opus-4-6' });
    for (let left = attempts; left > 0; left -= 1) {
      const { talk, reply } = script.next(left);
      const answer = await ask(stage, {
        client: cast.of(personNamed('Chloe')),
        agent,
        talk,
        reply: {
          ...reply,
          usage: { ...reply.usage, output: random.whole(3_000, 6_000) },
          failure: null,
          breaksOff: false,
        },
        sessionId: script.id,
      });
      if (answer.status === 429) return;
      script.took(answer.status === 200);
      await stage.clock.sleep(random.skewed(20_000));
    }
  });
}

/** Embeddings, a picture, the same question twice, a model in a foreign format, one that is not granted. */
function planOtherSurfaces(scenery: Scenery): void {
  const { stage, cast, play } = scenery;
  for (const when of [0.1, 0.35, 0.6, 0.9]) {
    play(when, async () => {
      for (let batch = 0; batch < 5; batch += 1) {
        await post(scenery, 'nightly-batch', '/v1/embeddings', {
          model: 'text-embedding-3-small',
          input: Array.from(
            { length: 8 },
            (_, i) => `Paragraph ${batch * 8 + i} of the handbook, as it is today.`,
          ),
        });
        await stage.clock.sleep(2_000);
      }
    });
  }
  play(0.55, () =>
    post(scenery, 'design-tool', '/v1/images/generations', {
      model: 'gpt-image-1',
      prompt: 'A small gate in a castle wall, flat colours',
      size: '1024x1024',
      n: 1,
    }),
  );
  for (const when of [0.4, 0.401, 0.402]) {
    play(when, () =>
      say(scenery, 'Ada', 'openai-sdk', {
        id: 'the-same-question',
        session: 'the-same-question',
        text: 'Which day of the week has the most signups?',
        answer: 'Tuesday, with 19 % of all signups; the weekend has the fewest.',
        stream: false,
      }),
    );
  }
  play(0.58, () =>
    say(scenery, 'Jonas', 'notebook', {
      text: 'Explain the residuals of the last fit.',
      answer: 'They grow with the fitted value, so a logarithm of the target would serve better.',
      model: 'claude-haiku-4-5',
      stream: false,
    }),
  );
  play(0.15, () =>
    say(scenery, 'Femi', 'claude-code', {
      text: 'Try the large model.',
      answer: 'This answer is never sent.',
      model: 'claude-opus-4-6',
    }),
  );
  play(0.62, async () => {
    await cast.device('maya-laptop').send({
      path: '/v1/chat/completions',
      body: { model: 'gpt-5', messages: [{ role: 'user', content: 'hello' }] },
      headers: { 'user-agent': 'OpenAI/JS 7.57.0' },
    });
  });
}

/** What an admin changes and an auditor looks at; all of it is in the audit log. */
function planAdministration({ stage, cast, play, documentFor }: Scenery): void {
  const ada = personNamed('Ada');
  play(0.33, async () => {
    const before = await cast.of(ada).send({ path: '/api/v1/config' });
    await cast.inPerson(ada, 'raise the budget of the data team', {
      method: 'PUT',
      path: '/api/v1/config',
      body: {
        text: documentFor(7.5),
        comment: 'the data team asked for more',
      },
      headers: { 'if-match': String(before.headers['etag']) },
    });
  });
  play(0.5, async () => {
    const added = await cast.inPerson(ada, 'stage a key', {
      path: '/api/v1/keys',
      body: {
        provider: 'openai',
        name: 'rotated',
        secret: 'demo-key-rotated-worth-nothing',
        state: 'staged',
      },
    });
    await stage.clock.sleep(5 * MINUTE_MS);
    await cast.inPerson(ada, 'promote the key', {
      path: `/api/v1/keys/${String(added.json()['id'])}/promote`,
      body: {},
    });
  });
  play(0.66, async () => {
    await cast.inPerson(ada, 'mint a token', {
      path: '/api/v1/tokens',
      body: { name: 'status page', owner: 'service:status-page', scopes: ['read', 'metrics'] },
    });
  });
  play(0.85, async () => {
    const liam = personNamed('Liam');
    const listed = await cast.of(liam).send({ path: '/api/v1/requests?limit=20' });
    const items: unknown = listed.json()['items'];
    const rows: readonly unknown[] = Array.isArray(items) ? items : [];
    const kept = rows.find(isKeptRow);
    if (kept === undefined) return;
    await cast.inPerson(liam, 'read a prompt', {
      path: `/api/v1/requests/${kept.id}/body?reason=${encodeURIComponent('sample check of the quarter')}`,
    });
  });
}

function isKeptRow(row: unknown): row is { readonly id: string } {
  return (
    typeof row === 'object' &&
    row !== null &&
    'id' in row &&
    typeof row.id === 'string' &&
    'capture' in row &&
    row.capture === 'full' &&
    'status' in row &&
    row.status === 200
  );
}

async function post(
  { stage, cast, random }: Scenery,
  device: string,
  path: string,
  body: object,
): Promise<void> {
  const id = stage.nextId();
  const isImage = path.includes('images');
  stage.upstream.expect(id, {
    thinking: null,
    text: '',
    calls: [],
    usage: {
      input: isImage ? 18 : random.whole(90, 160),
      cacheRead: 0,
      cacheWrite: 0,
      output: isImage ? 1_056 : 0,
      reasoning: 0,
    },
    firstByteMs: isImage ? 14_000 : 180,
    writingMs: 0,
    failure: null,
    breaksOff: false,
  });
  const { machine } = cast.device(device).device;
  const agent: Readonly<Record<string, string>> =
    machine === null ? {} : { 'x-postern-agent': machine.agent };
  const answer = await cast.device(device).send({
    path,
    body,
    headers: { 'user-agent': 'OpenAI/Python 2.31.0', [REPLY_HEADER]: id, ...agent },
  });
  stage.onAnswer(answer);
  stage.upstream.forget(id);
}
