/** The policy of a tailnet: written, checked while it is typed, asked about, and put in force after its changes were read. */
import { useQuery } from '@tanstack/react-query';
import { CircleAlert, CircleCheck } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useBlocker } from 'react-router';
import { useAccess } from '../../access.ts';
import { api, dataOf } from '../../api/client.ts';
import { messageOf } from '../../api/problem.ts';
import { counted } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import {
  Badge,
  Button,
  Card,
  ConfirmDialog,
  CopyButton,
  Dialog,
  ErrorState,
  Loaded,
  Notice,
} from '../../ui/index.ts';
import type { Target } from '../policy/document-editor.tsx';
import { DocumentChanges, DocumentEditor } from '../policy/lazy-editor.tsx';
import type { Problem } from '../policy/queries.ts';
import '../policy/policy.css';
import { ExplainCard } from './explain-card.tsx';
import { defaultPolicyQuery, policyCheckQuery, type Tailnet } from './network-queries.ts';
import { POLICY_SCHEMA } from './policy-schema.ts';

/** 350 ms after the last letter the draft is checked. */
const CHECK_AFTER_MS = 350;
/** More are counted, not listed. */
const SHOWN_MAX = 50;

export function PolicyTab({ tailnet }: { readonly tailnet: Tailnet }) {
  const standard = useQuery(defaultPolicyQuery());
  return (
    <Loaded query={standard} what="The policy could not be loaded" lines={10}>
      {({ policy }) => <Policy tailnet={tailnet} inForce={tailnet.policy ?? policy} />}
    </Loaded>
  );
}

interface Draft {
  /** What it changes, and the tag of that. */
  readonly base: string;
  readonly baseTag: string;
  readonly text: string;
}

function Policy({ tailnet, inForce }: { readonly tailnet: Tailnet; readonly inForce: string }) {
  const { isAdmin } = useAccess();
  const [draft, setDraft] = useState<Draft | null>(null);
  const [target, setTarget] = useState<Target | null>(null);
  const [isSaving, setSaving] = useState(false);
  const isDirty = draft !== null && draft.text !== draft.base;
  const base = isDirty ? draft.base : inForce;
  const baseTag = isDirty ? draft.baseTag : tailnet.policy_etag;
  const text = isDirty ? draft.text : inForce;
  const isOvertaken = isDirty && draft.base !== inForce;
  const check = useCheck(tailnet, text, isAdmin);
  return (
    <>
      <LeaveGuard isDirty={isDirty} />
      {isOvertaken && (
        <Notice tone="warn">
          <div className="row">
            <p className="policy-grow">
              <strong>Somebody saved another policy meanwhile.</strong> Nothing was overwritten: take theirs,
              or go on with your text and look at the changes again.
            </p>
            <Button small onPress={() => setDraft({ base: inForce, baseTag: tailnet.policy_etag, text })}>
              Go on with my text
            </Button>
            <Button small onPress={() => setDraft(null)}>
              Take theirs
            </Button>
          </div>
        </Notice>
      )}
      <Card
        title="Network policy"
        hint={
          isAdmin
            ? 'Tailscale’s policy file (HuJSON). Devices obey a saved one within a second.'
            : 'Read-only for you: admins change it.'
        }
        actions={<CopyButton text={text} label="Copy the policy" />}
      >
        <div className="stack">
          <div className="draft-bar">
            <p role="status" className="policy-grow row">
              <Badge tone={isDirty ? 'info' : 'neutral'}>
                {isDirty ? 'Draft' : tailnet.policy === null ? 'As every new tailnet' : 'In force'}
              </Badge>
              {check.state}
            </p>
            {isDirty && (
              <div className="actions">
                <Button small kind="quiet" onPress={() => setDraft(null)}>
                  Discard
                </Button>
                <Button
                  small
                  kind="primary"
                  isDisabled={isOvertaken || !check.isValid}
                  onPress={() => setSaving(true)}
                >
                  Review and save
                </Button>
              </div>
            )}
          </div>
          {check.error !== null && check.error !== undefined && (
            <ErrorState error={check.error} what="The draft could not be checked" retry={check.again} />
          )}
          <Faults problems={check.problems ?? []} onGo={setTarget} />
          <DocumentEditor
            label="Network policy"
            text={text}
            onChange={(next) => setDraft({ base, baseTag, text: next })}
            isReadOnly={!isAdmin}
            problems={check.problems}
            schema={POLICY_SCHEMA}
            target={target}
          />
        </div>
      </Card>
      {isAdmin && <ExplainCard tailnet={tailnet} draft={isDirty ? text : null} />}
      {isSaving && (
        <SaveDialog
          tailnet={tailnet}
          before={base}
          beforeTag={baseTag}
          after={text}
          onClose={() => setSaving(false)}
          onSaved={() => {
            setSaving(false);
            setDraft(null);
          }}
        />
      )}
    </>
  );
}

interface Checked {
  /** Of exactly this text, failing tests among them; null while it is being checked. */
  readonly problems: readonly Problem[] | null;
  readonly isValid: boolean;
  readonly state: React.ReactNode;
  readonly error: unknown;
  readonly again: () => void;
}

function useCheck(tailnet: Tailnet, text: string, isAdmin: boolean): Checked {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), CHECK_AFTER_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const query = useQuery({ ...policyCheckQuery(tailnet.name, settled), enabled: isAdmin });
  const check = query.data?.text === text ? query.data : null;
  const problems =
    check === null
      ? null
      : [
          ...check.problems,
          ...check.failures.map(({ path, line, message }): Problem => ({
            severity: 'error',
            path,
            line,
            column: 1,
            code: 'test_failed',
            message: `a test does not hold: ${message}`,
            fix: '',
          })),
        ];
  const errors = problems?.filter(({ severity }) => severity === 'error').length ?? 0;
  return {
    problems,
    isValid: check?.valid === true,
    state: !isAdmin ? null : check === null ? (
      <span className="soft">{query.error === null ? 'Checking …' : 'Not checked'}</span>
    ) : check.valid ? (
      <span className="good">No errors, and every test holds.</span>
    ) : (
      <span className="bad">{counted(errors, 'error')}</span>
    ),
    error: settled === text ? query.error : null,
    again: () => void query.refetch(),
  };
}

function Faults({
  problems,
  onGo,
}: {
  readonly problems: readonly Problem[];
  readonly onGo: (target: Target) => void;
}) {
  if (problems.length === 0) return null;
  return (
    <ul className="problems" aria-label="Problems">
      {problems.slice(0, SHOWN_MAX).map(({ severity, line, column, message, fix }, index) => (
        <li key={index}>
          <CircleAlert aria-hidden size={16} className={severity === 'error' ? 'bad' : 'warn'} />
          <p className="stranger">
            <span className="visually-hidden">{severity}: </span>
            <button type="button" className="link" onClick={() => onGo({ line, column })}>
              line {line}, column {column}
            </button>
            : {message}
            {fix !== '' && <span className="soft"> {fix}</span>}
          </p>
        </li>
      ))}
      {problems.length > SHOWN_MAX && <li className="soft">and {problems.length - SHOWN_MAX} more</li>}
    </ul>
  );
}

function SaveDialog({
  tailnet,
  before,
  beforeTag,
  after,
  onSaved,
  onClose,
}: {
  readonly tailnet: Tailnet;
  readonly before: string;
  readonly beforeTag: string;
  readonly after: string;
  readonly onSaved: () => void;
  readonly onClose: () => void;
}) {
  const save = useAction({
    run: () =>
      dataOf(
        api.PATCH('/api/v1/tailnets/{tailnet}', {
          params: { path: { tailnet: tailnet.name } },
          headers: { 'if-match': beforeTag },
          body: { policy: after },
        }),
      ),
    done: 'The policy is in force.',
    changes: ['tailnets', 'audit'],
    onDone: onSaved,
    onFailure: () => true,
  });
  return (
    <Dialog
      title={`Save the policy of ${tailnet.name}`}
      isOpen
      wide
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Go on editing</Button>
          <Button kind="primary" busy={save.isBusy} onPress={() => save.start()}>
            Save and put in force
          </Button>
        </>
      }
    >
      {save.error !== null && !save.isBusy && <Notice tone="bad">{messageOf(save.error)}</Notice>}
      <p className="row good">
        <CircleCheck aria-hidden size={16} /> No errors, and every test holds.
      </p>
      <DocumentChanges label="Changes of the policy" before={before} after={after} />
    </Dialog>
  );
}

/** Asks before a draft is lost by leaving. */
function LeaveGuard({ isDirty }: { readonly isDirty: boolean }) {
  const blocker = useBlocker(
    ({ currentLocation, nextLocation }) =>
      isDirty &&
      (nextLocation.pathname !== currentLocation.pathname || nextLocation.search !== currentLocation.search),
  );
  useEffect(() => {
    if (!isDirty) return undefined;
    const warn = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener('beforeunload', warn);
    return () => removeEventListener('beforeunload', warn);
  }, [isDirty]);
  return (
    <ConfirmDialog
      title="Leave the draft?"
      isOpen={blocker.state === 'blocked'}
      onClose={() => blocker.reset?.()}
      onConfirm={() => blocker.proceed?.()}
      confirm="Leave and lose it"
    >
      <p>What you changed in the policy is not saved.</p>
    </ConfirmDialog>
  );
}
