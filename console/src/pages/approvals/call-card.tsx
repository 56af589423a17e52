/** What would run, as it was written; what the user asked last; and what an approver changed. */
import { Eye } from 'lucide-react';
import { Button, Card, CodeBlock, Notice } from '../../ui/index.ts';
import { type ApprovalDetail, visible } from './approval-texts.ts';
import { spread } from './arguments-text.ts';
import { DiffBlock } from './diff-block.tsx';

const SHOWN_MAX_PX = 480;

export function CallCard({
  detail,
  onLook,
  isLooking,
}: {
  readonly detail: ApprovalDetail;
  readonly onLook: () => void;
  readonly isLooking: boolean;
}) {
  const { content, preview } = detail;
  return (
    <Card title={detail.kind === 'tool' ? 'What would run' : 'What is asked for'}>
      <div className="approval-content">
        {content === 'shown' ? (
          <Words detail={detail} />
        ) : (
          preview !== '' && <code className="approval-preview stranger">{visible(preview)}</code>
        )}
        {content === 'presence_required' && (
          <div className="approval-look">
            <p className="soft">
              This line is shortened, and what looks like a secret is taken out. The whole is shown to you in
              person only, and that you read it is recorded.
            </p>
            <Button kind="primary" icon={Eye} busy={isLooking} onPress={onLook}>
              Show the whole call
            </Button>
          </div>
        )}
        {content === 'hidden' && <p className="soft">Its arguments are shown to its approvers only.</p>}
        {content === 'forgotten' && <p className="soft">What it held is not kept any more.</p>}
      </div>
    </Card>
  );
}

function Words({ detail }: { readonly detail: ApprovalDetail }) {
  const { arguments: words, edited_arguments: edited, excerpt, note } = detail;
  const original = words === null || words === '' ? null : spread(words);
  return (
    <>
      {excerpt !== null && excerpt !== '' && (
        <figure className="approval-quote">
          <figcaption className="soft">
            {detail.kind === 'tool' || detail.kind === 'request' ? 'What the user asked last' : 'Why'}
          </figcaption>
          <blockquote className="stranger">{visible(excerpt)}</blockquote>
        </figure>
      )}
      {detail.excerpt_withheld !== null && (
        <p className="soft">What was asked before is not shown: {visible(detail.excerpt_withheld)}</p>
      )}
      {note !== null && note !== '' && (
        <Notice tone="info">
          <p className="stranger">{visible(note)}</p>
        </Notice>
      )}
      {original !== null && edited === undefined && (
        <CodeBlock title="Arguments" text={original} maxHeight={SHOWN_MAX_PX} />
      )}
      {original !== null && edited !== undefined && (
        <>
          <Notice tone="warn">
            <p>An approver changed it. This would run instead:</p>
          </Notice>
          <DiffBlock before={original} after={textOfEdited(edited)} label="Arguments, as changed" />
        </>
      )}
      {detail.arguments_cut === true && (
        <Notice tone="warn">
          <p>Only the beginning is kept: the call is larger than what is kept for approvers.</p>
        </Notice>
      )}
    </>
  );
}

/** An edit as the arguments are laid out. */
export function textOfEdited(edited: unknown): string {
  return typeof edited === 'string' ? visible(edited) : spread(JSON.stringify(edited));
}
