/**
 * Notices as HTTP requests. A webhook of Postern's own gets JSON and a signature; a Slack-compatible
 * one gets text and a link button (api.slack.com/messaging/webhooks, "incoming webhooks").
 *
 * Signature: `X-Postern-Signature: t=<unix seconds>,v1=<hex>`, where v1 is HMAC-SHA-256 under the
 * secret over `<t>.<body>`. A receiver compares it in constant time and refuses an old `t`.
 */
import type { UnixMs } from '../../base/clock.ts';
import type { Secret } from '../../base/secret.ts';
import { hmacSha256 } from '../../crypto/index.ts';
import type { Notice } from './notice.ts';

export interface HttpMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Delivery {
  readonly id: string;
  /** From 1. */
  readonly attempt: number;
  readonly now: UnixMs;
}

/** `secret` null sends it unsigned: the document names none. */
export function webhookMessage(notice: Notice, delivery: Delivery, secret: Secret | null): HttpMessage {
  const body = JSON.stringify({
    event: notice.event,
    id: delivery.id,
    at: new Date(delivery.now).toISOString(),
    title: notice.title,
    data: notice.data,
  });
  return {
    headers: {
      'content-type': 'application/json',
      'x-postern-event': notice.event,
      'x-postern-delivery': delivery.id,
      'x-postern-attempt': String(delivery.attempt),
      ...(secret === null ? {} : { 'x-postern-signature': signature(body, delivery.now, secret) }),
    },
    body,
  };
}

function signature(body: string, now: UnixMs, secret: Secret): string {
  const seconds = Math.floor(now / 1_000);
  const mac = hmacSha256(Buffer.from(secret.reveal(), 'utf8'), `${seconds}.${body}`);
  return `t=${seconds},v1=${Buffer.from(mac).toString('hex')}`;
}

/** Characters of one text of a message; Slack's own limit for a section is 3,000. */
const SLACK_TEXT_MAX = 2_900;

/** Understood by Slack, and by Mattermost, Rocket.Chat and others at least in its `text`. */
export function slackMessage(notice: Notice): HttpMessage {
  const text = slackText([notice.title, ...notice.lines].join('\n')).slice(0, SLACK_TEXT_MAX);
  const { link } = notice;
  const section = { type: 'section', text: { type: 'mrkdwn', text } };
  const button =
    link === null
      ? []
      : [
          {
            type: 'actions',
            elements: [{ type: 'button', text: { type: 'plain_text', text: link.text }, url: link.url }],
          },
        ];
  return {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      text: link === null ? text : `${text}\n<${link.url}|${link.text}>`,
      blocks: [section, ...button],
    }),
  };
}

/** Names and previews come from strangers: no links, mentions or formatting of theirs. */
function slackText(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replace(/[*_~`]/g, '\u{200B}$&');
}
