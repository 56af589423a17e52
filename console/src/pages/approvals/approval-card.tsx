/** One question in the inbox: enough to tell what it is about and to refuse it; approving begins with reading. */
import { Bot, Radio } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'react-router';
import { Relative } from '../../format/index.ts';
import { Badge, Button, LinkButton } from '../../ui/index.ts';
import { type Approval, KIND_NAMES, titleOf, visible, wantOf } from './approval-texts.ts';
import { DenyDialog } from './deny-dialog.tsx';

export function ApprovalCard({ approval }: { readonly approval: Approval }) {
  const [isDenying, setDenying] = useState(false);
  const { id, kind, agent, preview, held, votes, quorum, session_id: session } = approval;
  const to = `/approvals/${encodeURIComponent(id)}`;
  return (
    <li className="approval-card" data-id={id}>
      <div className="approval-card-main">
        <p className="approval-marks">
          <Badge tone="warn">{KIND_NAMES[kind]}</Badge>
          {held && (
            <span className="approval-held">
              <Radio aria-hidden size={14} /> a stream waits for it
            </span>
          )}
          {quorum > 1 && (
            <Badge tone="info">
              {votes.length} of {quorum} approve
            </Badge>
          )}
        </p>
        <h2 className="approval-title">
          <Link to={to} className="stranger">
            {visible(approval.label)} asks for {wantOf(approval)}
          </Link>
        </h2>
        {preview !== '' && <code className="approval-preview stranger">{visible(preview)}</code>}
        <p className="soft approval-context">
          {agent !== null && (
            <span className="stranger">
              <Bot aria-hidden size={14} /> {visible(agent)}
            </span>
          )}
          {session !== null && <span className="stranger">session {visible(session)}</span>}
          <span>
            asked <Relative at={approval.created_at} />
          </span>
          <span>
            ends <Relative at={approval.expires_at} />
          </span>
        </p>
      </div>
      <div className="approval-buttons">
        <LinkButton to={`${to}?read=1`} kind="primary">
          Look and decide
        </LinkButton>
        <Button onPress={() => setDenying(true)} aria-label={`Deny: ${titleOf(approval)}`}>
          Deny
        </Button>
      </div>
      {isDenying && <DenyDialog approval={approval} onClose={() => setDenying(false)} />}
    </li>
  );
}
