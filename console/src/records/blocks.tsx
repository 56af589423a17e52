/**
 * A conversation for people: messages of blocks, each text a preview that is asked for whole when
 * somebody wants it. Everything here was written by strangers and is shown as text, never as markup.
 */
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import type { Schema } from '../api/client.ts';
import { bytes } from '../format/index.ts';
import { Badge, Button, JsonTree, Notice } from '../ui/index.ts';
import { messageOf } from '../api/problem.ts';
import './records.css';

export type Block = Schema<'ConversationBlock'>;
export type Message = Schema<'ConversationMessage'>;
export type ConversationAnswer = NonNullable<Schema<'ConversationAnswer'>>;

/** Asks for one text whole; null where this page cannot. */
export type LoadItem = ((item: string) => Promise<{ readonly text: string; readonly cut: boolean }>) | null;

/** Characters that a text shows before it is unfolded: about ten lines. */
const FOLDED_MAX = 900;

const WHO = { system: 'System', user: 'User', assistant: 'Model', tool: 'Tool' } as const;

export interface TalkProps {
  readonly load: LoadItem;
  /** Names of tools by the id of their call. */
  readonly toolNames?: ReadonlyMap<string, string>;
}

/** One message. */
export function MessageView({
  message,
  note,
  ...talk
}: TalkProps & { readonly message: Message; readonly note?: ReactNode }) {
  const isToolResult =
    message.blocks.length > 0 && message.blocks.every(({ type }) => type === 'tool_result');
  const role = isToolResult ? 'tool' : message.role;
  return (
    <div className={`talk-message ${role}`}>
      <div className="talk-who">
        <span>{WHO[role]}</span>
        {note}
      </div>
      <Blocks blocks={message.blocks} {...talk} />
    </div>
  );
}

/** What the model answered. */
export function AnswerView({ answer, ...talk }: TalkProps & { readonly answer: ConversationAnswer }) {
  return (
    <div className="talk-message assistant">
      <div className="talk-who">
        <span>Model</span>
        {answer.stop_reason !== null && <span className="soft">stopped: {answer.stop_reason}</span>}
        {answer.cut && <Badge tone="warn">cut off</Badge>}
      </div>
      {answer.error !== null && (
        <Notice tone="bad">
          <span className="stranger">{answer.error}</span>
        </Notice>
      )}
      <Blocks blocks={answer.blocks} {...talk} />
    </div>
  );
}

export function Blocks({ blocks, ...talk }: TalkProps & { readonly blocks: readonly Block[] }) {
  return blocks.map((block, index) => <BlockView key={`${block.item}${index}`} block={block} {...talk} />);
}

function BlockView({ block, load, toolNames }: TalkProps & { readonly block: Block }) {
  switch (block.type) {
    case 'text':
      return <BlockText block={block} load={load} />;
    case 'thinking':
      return (
        <details className="talk-block">
          <summary className="soft">Thinking, {bytes(block.bytes)}</summary>
          <BlockText block={block} load={load} />
        </details>
      );
    case 'tool_call':
      return <ToolCall block={block} load={load} />;
    case 'tool_result':
      return <ToolResult block={block} load={load} toolNames={toolNames} />;
    case 'image':
    case 'audio':
    case 'document':
    case 'other':
    default:
      return (
        <div className="talk-call">
          <div className="talk-call-head">
            <Badge>{block.type}</Badge>
            <span className="stranger">{block.name ?? ''}</span>
            <span className="soft">{bytes(block.bytes)}</span>
          </div>
          {block.text !== '' && (
            <div className="talk-call-body">
              <BlockText block={block} load={load} machine />
            </div>
          )}
        </div>
      );
  }
}

function ToolCall({ block, load }: { readonly block: Block; readonly load: LoadItem }) {
  const value = block.cut ? undefined : objectOf(block.text);
  return (
    <section className="talk-call" aria-label={`Call of ${block.name ?? 'a tool'}`}>
      <div className="talk-call-head">
        <Badge tone="info">call</Badge>
        <strong className="stranger mono">{block.name ?? 'unnamed tool'}</strong>
      </div>
      <div className="talk-call-body">
        {value === undefined ? (
          <BlockText block={block} load={load} machine />
        ) : (
          <JsonTree value={value} label={`Arguments of ${block.name ?? 'the call'}`} />
        )}
      </div>
    </section>
  );
}

function ToolResult({
  block,
  load,
  toolNames,
}: {
  readonly block: Block;
  readonly load: LoadItem;
  readonly toolNames: ReadonlyMap<string, string> | undefined;
}) {
  const name = block.name ?? (block.call_id === null ? undefined : toolNames?.get(block.call_id)) ?? 'a tool';
  return (
    <section className="talk-call" aria-label={`Result of ${name}`}>
      <div className="talk-call-head">
        <Badge tone={block.is_error === true ? 'bad' : 'neutral'}>
          {block.is_error === true ? 'failed' : 'result'}
        </Badge>
        <strong className="stranger mono">{name}</strong>
        <span className="soft">{bytes(block.bytes)}</span>
      </div>
      <div className="talk-call-body">
        <BlockText block={block} load={load} machine />
      </div>
    </section>
  );
}

type Extent = 'folded' | 'preview' | 'whole';

function BlockText({
  block,
  load,
  machine = false,
}: {
  readonly block: Block;
  readonly load: LoadItem;
  readonly machine?: boolean;
}) {
  const [extent, setExtent] = useState<Extent>('folded');
  const isLong = block.text.length > FOLDED_MAX;
  const className = machine ? 'talk-text machine' : 'talk-text';
  if (extent === 'whole' && load !== null)
    return <WholeText block={block} load={load} className={className} onFold={() => setExtent('folded')} />;
  const shown = extent === 'folded' && isLong ? `${block.text.slice(0, FOLDED_MAX)}…` : block.text;
  return (
    <div className="talk-block">
      <div className={className}>{shown}</div>
      {extent === 'folded' && isLong && (
        <button type="button" className="link talk-more" onClick={() => setExtent('preview')}>
          Show more
        </button>
      )}
      {block.cut && (extent === 'preview' || !isLong) && (
        <WholeOffer block={block} load={load} onPress={() => setExtent('whole')} />
      )}
    </div>
  );
}

function WholeOffer({
  block,
  load,
  onPress,
}: {
  readonly block: Block;
  readonly load: LoadItem;
  readonly onPress: () => void;
}) {
  if (load === null) return <span className="soft">… of {bytes(block.bytes)}</span>;
  return (
    <button type="button" className="link talk-more" onClick={onPress}>
      Show all {bytes(block.bytes)}
    </button>
  );
}

function WholeText({
  block,
  load,
  className,
  onFold,
}: {
  readonly block: Block;
  readonly load: NonNullable<LoadItem>;
  readonly className: string;
  readonly onFold: () => void;
}) {
  const whole = useQuery({ queryKey: ['sessions', 'item', block.item], queryFn: () => load(block.item) });
  return (
    <div className="talk-block">
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reached by the keyboard */}
      <div className={`${className} whole`} tabIndex={0} role="region" aria-label="The whole text">
        {whole.data?.text ?? block.text}
      </div>
      {whole.error !== null && <Notice tone="bad">{messageOf(whole.error)}</Notice>}
      {whole.data?.cut === true && <span className="soft">Longer than can be shown.</span>}
      <div className="row">
        <Button small busy={whole.isPending} onPress={onFold}>
          Fold
        </Button>
      </div>
    </div>
  );
}

/** Arguments as an object, or undefined for what is none. */
function objectOf(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
