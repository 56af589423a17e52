/**
 * What a call holds, as it is kept: sealed (AEAD) under a key of its own, each part bound to its
 * approval, so that neither a reader of the database nor one who moves its rows learns or changes
 * what an approver is shown.
 */
import { open, seal } from '../crypto/index.ts';
import type { ApprovalRow } from '../store/approval-shapes.ts';
import type { JsonValue } from '../wire/hujson.ts';
import type { ApprovalContent, ApprovalQuestion } from './approval.ts';

/** Characters kept of what the user asked last. */
const EXCERPT_MAX_CHARS = 2_000;
/** UTF-16 units kept of a whole request: enough to judge it, and its bodies are kept elsewhere. */
const REQUEST_MAX_CHARS = 64 * 1024;

type Part = 'preview' | 'content' | 'edit';
type RowName = Pick<ApprovalRow, 'tailnet' | 'id'>;

interface StoredContent {
  readonly text: string;
  readonly cut: boolean;
  readonly excerpt: string | null;
  /** Absent in what an earlier version wrote. */
  readonly withheld?: string | null;
  /** As above. */
  readonly note?: string | null;
}

export class ContentSealer {
  readonly #key: Uint8Array;

  /** `key` has 32 bytes. */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  sealPreview(row: RowName, preview: string): Uint8Array {
    return this.#seal(row, 'preview', preview);
  }

  sealQuestion(row: RowName, question: ApprovalQuestion): Uint8Array {
    const { argumentsText, context, subject } = question;
    const cut = subject.kind === 'request' && argumentsText.length > REQUEST_MAX_CHARS;
    const content: StoredContent = {
      text: cut ? argumentsText.slice(0, REQUEST_MAX_CHARS) : argumentsText,
      cut,
      excerpt: context.excerpt === null ? null : context.excerpt.slice(0, EXCERPT_MAX_CHARS),
      withheld: context.excerptWithheld,
      note: context.note,
    };
    return this.#seal(row, 'content', JSON.stringify(content));
  }

  sealEdit(row: RowName, edited: JsonValue): Uint8Array {
    return this.#seal(row, 'edit', JSON.stringify(edited));
  }

  /** Throws `crypto_open_failed` where the row was altered, or sealed with another master key. */
  openPreview(row: ApprovalRow): string {
    return row.sealedPreview === null ? '' : this.#open(row, 'preview', row.sealedPreview);
  }

  /** Null once forgotten. Throws as `openPreview`. */
  openContent(row: ApprovalRow): ApprovalContent | null {
    if (row.sealedContent === null) return null;
    const {
      text,
      cut,
      excerpt,
      withheld = null,
      note = null,
    } = readStored(this.#open(row, 'content', row.sealedContent));
    return {
      argumentsText: text,
      argumentsCut: cut,
      excerpt,
      excerptWithheld: withheld,
      note,
      edited: this.openEdit(row),
    };
  }

  /** Undefined where nobody edited. Throws as `openPreview`. */
  openEdit(row: ApprovalRow): JsonValue | undefined {
    if (row.sealedEdit === null) return undefined;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `JSON.parse` gives nothing else, and the seal says that we wrote it.
    return JSON.parse(this.#open(row, 'edit', row.sealedEdit)) as JsonValue;
  }

  #seal(row: RowName, part: Part, text: string): Uint8Array {
    return seal(this.#key, Buffer.from(text, 'utf8'), contextOf(row, part));
  }

  #open(row: RowName, part: Part, sealed: Uint8Array): string {
    return Buffer.from(open(this.#key, sealed, contextOf(row, part))).toString('utf8');
  }
}

function contextOf({ tailnet, id }: RowName, part: Part): string {
  return JSON.stringify(['approval', tailnet, id, part]);
}

function readStored(text: string): StoredContent {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the seal says that `sealQuestion` wrote it.
  return JSON.parse(text) as StoredContent;
}
