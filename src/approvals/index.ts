/** Approvals: what a person decides before it happens, and the messages that call that person. */
export type * from './approval.ts';
export type * from './ports.ts';
export type { ApprovalEvents, ApprovalNews } from './events.ts';
export type { DecidableBy } from './deciding.ts';
export type { ApprovalErrorCode } from './errors.ts';
export { createApprovals, type Approvals } from './approvals.ts';
export { createNotifier, type DeadLetter, type Notifier, type NotifierOptions } from './notify/notifier.ts';
export type { Notice } from './notify/notice.ts';
export { createMailer, type Mailer, type MailerOptions, type MailSettings } from './notify/mail.ts';
