/** What people in the demo work on: tasks, files, commands and answers, written for it. */
import type { AgentTools } from './agents.ts';
import type { Seeded } from './seeded.ts';
import type { ToolCall } from './talk.ts';

export interface Topic {
  readonly question: string;
  readonly files: readonly string[];
  readonly search: string;
  readonly test: string;
  readonly change: string;
  readonly done: string;
}

export const CODING_TOPICS: readonly Topic[] = [
  {
    question: 'The checkout page shows the old total after a coupon is removed. Find out why and fix it.',
    files: ['web/src/checkout/total.ts', 'web/src/checkout/coupon-store.ts'],
    search: 'removeCoupon',
    test: 'npm test -- checkout',
    change: 'const total = computed(() => sumOf(cart.items) - discountOf(cart.coupon));',
    done: 'The total was read once and kept. It is computed from the cart now, so removing a coupon changes it at once. The checkout tests pass; I added one for this case.',
  },
  {
    question: 'Add retries with a limit to the invoice mailer. It gives up on the first timeout.',
    files: ['services/mailer/send.go', 'services/mailer/send_test.go'],
    search: 'smtp.Dial',
    test: 'go test ./services/mailer/...',
    change: 'for attempt := 1; attempt <= maxAttempts; attempt++ {',
    done: 'The mailer tries three times now, with a growing pause, and only for errors that can pass by themselves. A permanent refusal still fails at once. All tests pass.',
  },
  {
    question: 'Why does the nightly export take two hours since Tuesday? Look at the query first.',
    files: ['export/src/nightly.py', 'export/sql/orders.sql'],
    search: 'ORDER BY created_at',
    test: 'pytest export -q',
    change: 'WHERE created_at >= :since AND created_at < :until',
    done: 'The filter compared a text with a date, so the index was not used. With typed bounds the plan is an index scan and the export takes four minutes on the copy.',
  },
  {
    question: 'Write the migration that splits full_name into given_name and family_name, without downtime.',
    files: ['db/migrations/0042_names.sql', 'api/src/users/model.ts'],
    search: 'full_name',
    test: 'npm run migrate:check',
    change: 'ALTER TABLE users ADD COLUMN given_name text, ADD COLUMN family_name text;',
    done: 'Two steps: this one adds the columns and fills them in batches, writing both ways meanwhile. The second, which drops the old column, waits for the next release.',
  },
  {
    question:
      'The settings dialog traps the keyboard focus in the wrong place. Make it usable without a mouse.',
    files: ['web/src/settings/dialog.tsx', 'web/src/ui/focus-scope.tsx'],
    search: 'autoFocus',
    test: 'npm run test:browser -- settings',
    change: '<FocusScope contain restore autoFocus={firstFieldRef}>',
    done: 'Focus starts in the first field, stays inside while the dialog is open and returns to the button that opened it. Escape closes it. The browser tests cover all three.',
  },
  {
    question: 'Rename the feature flag new-pricing to tiered-pricing everywhere, including the dashboards.',
    files: ['config/flags.yaml', 'ops/dashboards/pricing.json'],
    search: 'new-pricing',
    test: 'make check-flags',
    change: 'tiered-pricing: { default: false, owner: product }',
    done: 'Renamed in 14 places. The old name is read for one more release, so that running instances do not lose the flag in between.',
  },
  {
    question: 'Review my change to the rate limiter. I am not sure about the clock.',
    files: ['gateway/limit/bucket.rs', 'gateway/limit/clock.rs'],
    search: 'SystemTime::now',
    test: 'cargo test -p limit',
    change: 'let now = Instant::now();',
    done: 'The bucket refilled from wall time, which may jump back. It uses the monotonic clock now. Everything else in the change is fine; one comment was out of date.',
  },
  {
    question: 'Our container image is 1.4 GB. What can go?',
    files: ['deploy/Dockerfile', '.dockerignore'],
    search: 'RUN apt-get',
    test: 'docker build --quiet deploy',
    change: 'FROM gcr.io/distroless/nodejs22-debian12 AS run',
    done: 'Build tools and the package cache stayed in the last layer. With a second stage and a list of ignored folders the image is 212 MB.',
  },
];

export const ASKED: readonly string[] = [
  'Summarise the last sprint review in five sentences for people who were not there.',
  'Which of these support tickets are about the same fault? Group them.',
  'What does a p-value of 0.03 mean for the signup test, in plain words?',
  'Draft an answer to the customer who was charged twice. Friendly, short, no promises.',
  'Turn this list of requirements into acceptance criteria.',
  'Compare the churn of the two cohorts and say which difference is worth a look.',
  'Explain the change of the exchange rate in the revenue of September.',
  'Write a query that counts active teams by week.',
];

export const ANSWERED: readonly string[] = [
  'Three things stand out. Most of the difference comes from two accounts; without them the lines lie on each other. The rest is within what one would expect by chance.',
  'In short: the work is on time, one risk is open, and the decision about the import is needed by Thursday.',
  'There are two groups. The first five are about the login after the password change, the other three about late mails. I would answer the first group together.',
  'Here is a draft. It thanks them, says what happened and when the money is back, and offers a way to reach us. I left the amount open.',
  'The query groups by the week of the event and counts distinct teams with at least one action. Weeks without any appear with zero.',
];

export const FOLLOW_UPS: readonly string[] = [
  'Good. Do the same for the other module.',
  'Can you make it shorter?',
  'Add a test for the empty case, too.',
  'What would happen if two people did this at the same time?',
  'Please explain the second point.',
];

const THOUGHTS: readonly string[] = [
  'The question names a symptom. I should look at where the value is computed before I change anything.',
  'Two places could cause this. The tests will tell which one; I read the smaller file first.',
  'This looks right, but the edge case with an empty list is not covered. I check that.',
  'The user wants a small change. I keep to the style of the file and run the tests that cover it.',
];

export function thoughtOf(random: Seeded): string {
  return random.pick(THOUGHTS);
}

/** The next thing that an agent does about its topic, and what its tool will say. */
export function nextStep(
  tools: AgentTools,
  topic: Topic,
  at: { readonly step: number; readonly id: string; readonly random: Seeded },
): { readonly call: ToolCall; readonly output: string; readonly said: string } {
  const { id, random } = at;
  const file = topic.files[at.step % topic.files.length] ?? 'README.md';
  switch (at.step % 5) {
    case 0:
      return {
        said: 'I look for where this happens.',
        call: { id, name: tools.search.tool.name, arguments: { [tools.search.pattern]: topic.search } },
        output: topic.files.map((name) => `${name}:${random.whole(12, 240)}: ${topic.search}`).join('\n'),
      };
    case 1:
    case 2:
      return {
        said: '',
        call: { id, name: tools.read.tool.name, arguments: { [tools.read.path]: file } },
        output: listing(file, topic, random),
      };
    case 3:
      return {
        said: 'Now the change.',
        call: {
          id,
          name: tools.edit.tool.name,
          arguments: { [tools.edit.path]: file, [tools.edit.text]: topic.change },
        },
        output: `${file} was changed (1 replacement).`,
      };
    default:
      return {
        said: 'I run the tests.',
        call: { id, name: tools.run.tool.name, arguments: { [tools.run.command]: topic.test } },
        output: `${topic.test}\n\n${random.whole(18, 140)} passed, 0 failed (${random.whole(2, 40)} s)`,
      };
  }
}

/** Some lines that look like the file; long enough to be a file, short enough for a thousand of them. */
function listing(file: string, topic: Topic, random: Seeded): string {
  const lines = [`// ${file}`];
  for (let i = 0; i < random.whole(10, 28); i += 1) {
    lines.push(
      i % 7 === 3
        ? `  ${topic.change}`
        : `  const step${i} = await prepare(${random.whole(1, 99)}, '${topic.search}'); // ${random.whole(100, 999)}`,
    );
  }
  return lines.join('\n');
}
