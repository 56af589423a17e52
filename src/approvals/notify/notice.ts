/**
 * What people and programs are told. A notice holds who wants what and a short redacted preview, and
 * a link to look at; never the arguments, and nothing that decides anything.
 */
import { amountText } from '../../policy/index.ts';
import type { ApprovalNews } from '../events.ts';

export interface Notice {
  /** `approval.requested`, `approval.decided`, or of another part: `budget.exhausted` … */
  readonly event: string;
  /** One line. */
  readonly title: string;
  /** For people, one fact a line. */
  readonly lines: readonly string[];
  /** Where to look; null for none. */
  readonly link: { readonly url: string; readonly text: string } | null;
  /** For programs: a small JSON object. */
  readonly data: Readonly<Record<string, unknown>>;
}

export function requestedNotice(news: ApprovalNews, url: string): Notice {
  return {
    event: 'approval.requested',
    title: `${news.label} asks for ${subjectText(news)}`,
    lines: [...factLines(news), `Decide before ${timeText(news.expiresAt)}.`],
    link: { url, text: 'Look at it' },
    data: { ...dataOf(news), url },
  };
}

export function decidedNotice(news: ApprovalNews, by: string, url: string): Notice {
  return {
    event: 'approval.decided',
    title: `${subjectText(news)} for ${news.label} was ${news.state} by ${by}`,
    lines: factLines(news),
    link: { url, text: 'Look at it' },
    data: { ...dataOf(news), decided_by: by, url },
  };
}

/** The subject in words. */
export function subjectText(news: Pick<ApprovalNews, 'subjectKind' | 'subject' | 'amount' | 'unit'>): string {
  switch (news.subjectKind) {
    case 'tool':
      return `the tool ${news.subject}`;
    case 'model':
      return `the model ${news.subject}`;
    case 'budget':
      return `${amountText(news.amount ?? 0, news.unit)} more in the budget ${news.subject}`;
    case 'request':
    default:
      return 'a request';
  }
}

function factLines(news: ApprovalNews): string[] {
  return [
    `Who: ${news.label} (${news.principal})`,
    ...(news.agent === null ? [] : [`Agent: ${news.agent}`]),
    ...(news.model === null || news.subjectKind === 'model' ? [] : [`Model: ${news.model}`]),
    ...(news.preview === '' ? [] : [`What: ${news.preview}`]),
  ];
}

function dataOf(news: ApprovalNews): Record<string, unknown> {
  return {
    id: news.id,
    tailnet: news.tailnet,
    state: news.state,
    principal: news.principal,
    label: news.label,
    agent: news.agent,
    session: news.sessionId,
    kind: news.subjectKind,
    subject: news.subject,
    amount: news.amount,
    unit: news.unit,
    amount_text: news.amount === null ? null : amountText(news.amount, news.unit),
    model: news.model,
    approval: news.entry,
    preview: news.preview,
    expires_at: timeText(news.expiresAt),
    held: news.held,
  };
}

function timeText(time: number): string {
  return new Date(time).toISOString();
}
