/** The document's own tests against the draft. */
import { CircleAlert, CircleCheck, CircleDashed } from 'lucide-react';
import { Card, EmptyState } from '../../ui/index.ts';
import type { Draft } from './draft.ts';
import { isRecord, itemsOf, readDocument, textOf, textsOf } from './hujson.ts';
import type { TestFailure } from './queries.ts';

export function TestsTab({ draft }: { readonly draft: Draft }) {
  const document = readDocument(draft.text);
  const tests = itemsOf(document?.['tests']);
  if (document === null)
    return (
      <Card title="Tests">
        <EmptyState title="The draft cannot be read">
          Mend the problem on the tab Document first; then its tests can run.
        </EmptyState>
      </Card>
    );
  return (
    <Card
      title="Tests"
      hint="What must hold, written into the document. They run before every save, and one that fails refuses it."
    >
      {tests.length === 0 ? (
        <EmptyState title="No tests yet">
          Add some to <code>tests</code>: who must be able to use which model, and who must not. For example{' '}
          <code>{'{ "src": "bob@example.com", "accept": ["openai/gpt-5"], "deny": ["anthropic/*"] }'}</code>
        </EmptyState>
      ) : (
        <ol className="policy-tests">
          {tests.map((test, index) => (
            <TestLine
              key={index}
              test={test}
              failures={draft.check?.failures.filter(({ path }) => isWithin(path, `tests[${index}]`)) ?? null}
            />
          ))}
        </ol>
      )}
    </Card>
  );
}

function isWithin(path: string, test: string): boolean {
  return path === test || path.startsWith(`${test}.`);
}

function TestLine({
  test,
  failures,
}: {
  readonly test: unknown;
  /** Null: not checked. */
  readonly failures: readonly TestFailure[] | null;
}) {
  const members = isRecord(test) ? test : {};
  const { src } = members;
  const who = typeof src === 'string' ? src : JSON.stringify(src ?? null);
  const holds = failures === null ? null : failures.length === 0;
  const Icon = holds === null ? CircleDashed : holds ? CircleCheck : CircleAlert;
  return (
    <li>
      <Icon aria-hidden size={18} className={holds === null ? 'soft' : holds ? 'good' : 'bad'} />
      <div>
        <p className="stranger">
          <strong>{who}</strong> <span className="soft">{wordsOf(members)}</span>
          <span className="visually-hidden">
            {holds === null ? ', not checked' : holds ? ', holds' : ', does not hold'}
          </span>
        </p>
        {textOf(members['comment']) !== '' && <p className="soft">{textOf(members['comment'])}</p>}
        {failures?.map((failure, index) => (
          <div key={index} className="stack">
            <p className="bad stranger">
              {failure.model ?? failure.path}: should be {failure.expected}, is {failure.got}.
            </p>
            {failure.detail !== '' && (
              <details>
                <summary>Why</summary>
                <pre className="policy-detail">{failure.detail}</pre>
              </details>
            )}
          </div>
        ))}
      </div>
    </li>
  );
}

function wordsOf(test: Readonly<Record<string, unknown>>): string {
  const accept = textsOf(test['accept']);
  const deny = textsOf(test['deny']);
  const calls = itemsOf(test['tools']).length;
  return [
    accept.length > 0 ? `may use ${accept.join(', ')}` : '',
    deny.length > 0 ? `may not use ${deny.join(', ')}` : '',
    textOf(test['role']) === '' ? '' : `has the role ${textOf(test['role'])}`,
    calls > 0 ? `${calls} tool ${calls === 1 ? 'call' : 'calls'}` : '',
  ]
    .filter((part) => part !== '')
    .join('; ');
}
