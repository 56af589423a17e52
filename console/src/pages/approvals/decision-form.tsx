/** The decision: for how long it holds, with which change, and why. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Check, X } from 'lucide-react';
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { isProblem, messageOf } from '../../api/problem.ts';
import { useAction } from '../../presence/index.ts';
import { Button, Card, Checkbox, CodeBlock, Notice, Select, TextField } from '../../ui/index.ts';
import { approvalQuery, type Decision, decideApproval } from './approval-queries.ts';
import { type ApprovalDetail, spansUpTo, spanText, stateText, titleOf } from './approval-texts.ts';
import { editOf, spread } from './arguments-text.ts';
import { documentQuery } from '../policy/queries.ts';
import { textOfEdited } from './call-card.tsx';
import { DiffBlock } from './diff-block.tsx';

const REASON_MAX = 1_000;
/** Characters; the API takes as much as the arguments that it replaces may be. */
const EDIT_MAX = 400_000;

export function DecisionForm({
  detail,
  onlyDeny = false,
}: {
  readonly detail: ApprovalDetail;
  readonly onlyDeny?: boolean;
}) {
  const isReadable = detail.content === 'shown' || detail.content === 'forgotten';
  const canApprove = isReadable && !onlyDeny;
  const isFileOnly = useIsFileOnly(detail) && canApprove;
  const scopes = scopesOf(detail);
  const [scope, setScope] = useState(scopes[0]?.id ?? 'once');
  const [reason, setReason] = useState('');
  const edits = useEdit(detail);
  const queries = useQueryClient();
  const decide = useAction({
    run: (body: Decision) => decideApproval(detail.id, body),
    done: (decided) => `${titleOf(decided)}: ${stateText(decided)}.`,
    changes: ['approvals', 'audit'],
    onDone: (decided) => {
      const { queryKey } = approvalQuery(detail.id);
      queries.setQueryData(queryKey, (shown) => (shown === undefined ? shown : { ...shown, ...decided }));
      if (decided.edits !== detail.edits) void queries.invalidateQueries({ queryKey });
    },
    // What became of it meanwhile is shown instead of what was decided about.
    onFailure: (error) => {
      if (!isProblem(error, 'config_is_file'))
        void queries.invalidateQueries({ queryKey: ['approval', detail.id] });
      return false;
    },
  });
  const why = reason.trim() === '' ? {} : { reason: reason.trim() };
  const approve = (): void => {
    if (edits.edit.kind === 'fault') return;
    decide.start({
      verdict: 'approve',
      ...scopeBody(scope),
      seen_edits: detail.edits,
      ...(edits.edit.kind === 'edited' ? { edited: edits.edit.value } : {}),
      ...why,
    });
  };
  return (
    <Card
      title="Decide"
      hint={canApprove || onlyDeny ? undefined : 'Read the whole call before you approve it.'}
    >
      <div className="approval-form">
        {canApprove && edits.part}
        {canApprove && !isFileOnly && (
          <Select label="If approved, it holds" options={scopes} value={scope} onChange={setScope} />
        )}
        <TextField
          label="Reason (told to who asked)"
          value={reason}
          onChange={setReason}
          maxLength={REASON_MAX}
        />
        {isFileOnly && <GrantInFile detail={detail} />}
        <GrantToWrite error={decide.error} />
        <div className="approval-decide">
          <Button
            kind="danger"
            icon={X}
            busy={decide.isBusy}
            onPress={() => decide.start({ verdict: 'deny', ...why })}
          >
            Deny
          </Button>
          {canApprove && !isFileOnly && (
            <Button
              kind="primary"
              icon={Check}
              busy={decide.isBusy}
              isDisabled={edits.edit.kind === 'fault'}
              onPress={approve}
            >
              {edits.edit.kind === 'edited' ? 'Approve as changed' : 'Approve'}
            </Button>
          )}
        </div>
      </div>
    </Card>
  );
}

function useEdit(detail: ApprovalDetail) {
  const { arguments: words, edited_arguments: edited, kind } = detail;
  const isWhole = words !== null && words !== '' && detail.arguments_cut !== true;
  const canEdit = kind === 'tool' && detail.allow_edit && isWhole;
  const original = words ?? '';
  const before = edited === undefined ? spread(original) : textOfEdited(edited);
  const [isOpen, setOpen] = useState(false);
  const [text, setText] = useState(before);
  const edit = canEdit && isOpen ? editOf(text, before, original) : ({ kind: 'unchanged' } as const);
  const part = canEdit ? (
    <div className="approval-edit">
      <Checkbox label="Change what runs" checked={isOpen} onChange={setOpen} />
      {isOpen && (
        <>
          <TextField
            label="What runs in its place"
            value={text}
            onChange={setText}
            rows={Math.min(18, Math.max(5, text.split('\n').length))}
            error={edit.kind === 'fault' ? edit.message : null}
            hint="Earlier approvals of others do not count for a change."
            maxLength={EDIT_MAX}
            mono
          />
          {edit.kind === 'edited' && (
            <DiffBlock before={before} after={textOfEdited(edit.value)} label="Your change" />
          )}
        </>
      )}
    </div>
  ) : null;
  return { edit, part };
}

/**
 * Whether a watched file owns the document, so that a model cannot be granted here. An approver who may not read
 * the document is told by the answer instead.
 */
function useIsFileOnly({ kind }: ApprovalDetail): boolean {
  const { seesAll } = useAccess();
  const document = useQuery({ ...documentQuery(), enabled: seesAll && kind === 'model', retry: false });
  return kind === 'model' && document.data?.source === 'file';
}

/** Said before anybody tries: what to write in the file instead of approving here. */
function GrantInFile({ detail: { principal, subject } }: { readonly detail: ApprovalDetail }) {
  const grant = {
    src: [principal],
    app: { 'postern.dev/cap/gateway': [{ role: 'user', models: [subject] }] },
  };
  return (
    <Notice tone="warn">
      <p>
        A watched file on the server (<code>--config</code>) owns the document, so a model cannot be granted
        here. Add this to its <code>grants</code>, or deny the question.
      </p>
      <CodeBlock title="To add to grants" text={JSON.stringify(grant, null, 2)} />
    </Notice>
  );
}

/** A model cannot be granted here where a file owns the document: what to write there. */
function GrantToWrite({ error }: { readonly error: unknown }) {
  if (!isProblem(error, 'config_is_file')) return null;
  const grant = error.members['grant'];
  return (
    <Notice tone="warn">
      <p>{messageOf(error)}</p>
      {grant !== undefined && <CodeBlock title="To add to grants" text={JSON.stringify(grant, null, 2)} />}
    </Notice>
  );
}

function scopesOf(detail: ApprovalDetail): readonly { readonly id: string; readonly label: string }[] {
  const { kind, scopes, session_id: session, max_duration_sec: most } = detail;
  if (kind === 'budget') return [{ id: 'once', label: 'once: the budget is refilled by it' }];
  const exactly = kind === 'model' ? '' : ', for exactly this call';
  return [
    ...(kind === 'model' ? [] : [{ id: 'once', label: `once${exactly}` }]),
    ...(scopes.includes('session') && session !== null
      ? [{ id: 'session', label: `for this session${exactly}` }]
      : []),
    ...(scopes.includes('time')
      ? spansUpTo(most).map((seconds) => ({
          id: `time ${seconds}`,
          label: `for ${spanText(seconds)}${exactly}`,
        }))
      : []),
  ];
}

function scopeBody(chosen: string): { scope: 'once' | 'session' | 'time'; duration_sec?: number } {
  if (chosen === 'session') return { scope: 'session' };
  const seconds = /^time (\d+)$/.exec(chosen)?.[1];
  return seconds === undefined ? { scope: 'once' } : { scope: 'time', duration_sec: Number(seconds) };
}
