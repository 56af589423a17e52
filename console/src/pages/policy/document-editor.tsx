/** The document in CodeMirror, and two documents compared. Loaded when they are shown (`lazy-editor.tsx`). */
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit } from '@codemirror/language';
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { unifiedMergeView } from '@codemirror/merge';
import { EditorState, type Extension, type Text } from '@codemirror/state';
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  hoverTooltip,
  keymap,
  lineNumbers,
} from '@codemirror/view';
import { useEffect, useRef } from 'react';
import { styleNonce } from '../../csp-nonce.ts';
import { hujsonLanguage } from './hujson-language.ts';
import type { Problem } from './queries.ts';
import { completions, hintAt, type JsonSchema } from './schema-hints.ts';

/** A line to go to; each is a new object, so that the same line can be gone to twice. */
export interface Target {
  readonly line: number;
  readonly column: number;
}

export interface DocumentEditorProps {
  /** For screen readers. */
  readonly label: string;
  readonly text: string;
  readonly onChange: (text: string) => void;
  readonly isReadOnly: boolean;
  /** Of exactly this text; null while it is being checked. */
  readonly problems: readonly Problem[] | null;
  readonly schema: JsonSchema | null;
  readonly target: Target | null;
}

/** Ctrl-Space completes; Tab leaves the editor, as everywhere on the page. */
export function DocumentEditor(props: DocumentEditorProps) {
  const { label, text, onChange, isReadOnly, problems, schema, target } = props;
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef({ text, onChange });
  useEffect(() => {
    latest.current = { text, onChange };
  });
  useEffect(() => {
    if (host.current === null) return undefined;
    const created = new EditorView({
      parent: host.current,
      doc: latest.current.text,
      extensions: [
        shared(label),
        isReadOnly ? EditorState.readOnly.of(true) : editing(schema),
        schema === null ? [] : hints(schema),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          const now = update.state.doc.toString();
          if (now !== latest.current.text) latest.current.onChange(now);
        }),
      ],
    });
    view.current = created;
    return () => {
      created.destroy();
      view.current = null;
    };
  }, [label, isReadOnly, schema]);
  useEffect(() => {
    const doc = view.current?.state.doc;
    if (doc === undefined || doc.toString() === text) return;
    view.current?.dispatch({ changes: { from: 0, to: doc.length, insert: text } });
  }, [text, schema, isReadOnly]);
  useEffect(() => {
    const state = view.current?.state;
    if (state === undefined || problems === null) return;
    const found = problems.map((problem) => diagnosticOf(state.doc, problem));
    view.current?.dispatch(setDiagnostics(state, found));
  }, [problems, schema, isReadOnly]);
  useEffect(() => {
    const state = view.current?.state;
    if (state === undefined || target === null) return;
    const anchor = offsetOf(state.doc, target.line, target.column);
    view.current?.dispatch({
      selection: { anchor },
      effects: EditorView.scrollIntoView(anchor, { y: 'center' }),
    });
    view.current?.focus();
  }, [target]);
  return <div ref={host} className="policy-editor" />;
}

/** What a draft changes, as one text with removed and added lines. */
export function DocumentChanges({
  label,
  before,
  after,
}: {
  readonly label: string;
  readonly before: string;
  readonly after: string;
}) {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (host.current === null) return undefined;
    const view = new EditorView({
      parent: host.current,
      doc: after,
      extensions: [
        shared(label),
        EditorState.readOnly.of(true),
        unifiedMergeView({
          original: before,
          mergeControls: false,
          gutter: true,
          collapseUnchanged: { margin: 3, minSize: 6 },
        }),
      ],
    });
    return () => view.destroy();
  }, [label, before, after]);
  return <div ref={host} className="policy-editor changes" />;
}

function shared(label: string): Extension {
  return [
    EditorView.cspNonce.of(styleNonce()),
    EditorView.contentAttributes.of({ 'aria-label': label, 'aria-multiline': 'true', tabindex: '0' }),
    lineNumbers(),
    EditorView.lineWrapping,
    hujsonLanguage(),
    theme,
  ];
}

function editing(schema: JsonSchema | null): Extension {
  return [
    history(),
    foldGutter(),
    lintGutter(),
    drawSelection(),
    highlightActiveLine(),
    highlightActiveLineGutter(),
    bracketMatching(),
    closeBrackets(),
    indentOnInput(),
    indentUnit.of('  '),
    schema === null ? [] : autocompletion({ override: [completions(schema)], icons: false }),
    keymap.of([
      ...closeBracketsKeymap,
      ...defaultKeymap,
      ...historyKeymap,
      ...foldKeymap,
      ...completionKeymap,
      ...lintKeymap,
    ]),
  ];
}

function hints(schema: JsonSchema): Extension {
  return hoverTooltip((view, offset) => {
    const hint = hintAt(schema, view.state.doc.toString(), offset);
    if (hint === null) return null;
    return {
      pos: hint.from,
      above: true,
      create: () => {
        const dom = document.createElement('div');
        dom.className = 'policy-hint';
        dom.textContent = hint.text;
        return { dom };
      },
    };
  });
}

/** The server counts lines and columns from 1; a problem without a place is shown at the beginning. */
function diagnosticOf(doc: Text, { line, column, severity, message, fix }: Problem): Diagnostic {
  const from = offsetOf(doc, line, column);
  const rest = doc.lineAt(from).text.slice(from - doc.lineAt(from).from);
  const length = /^(?:"(?:[^"\\]|\\.)*"|[\w.-]+)/.exec(rest)?.[0].length ?? 1;
  return {
    from,
    to: Math.min(from + length, doc.length),
    severity: severity === 'note' ? 'info' : severity,
    message: fix === '' ? message : `${message}\n${fix}`,
  };
}

function offsetOf(doc: Text, line: number, column: number): number {
  const at = doc.line(Math.min(Math.max(1, line), doc.lines));
  return Math.min(at.from + Math.max(0, column - 1), at.to);
}

const theme = EditorView.theme({
  '&': { color: 'var(--front)', backgroundColor: 'var(--card)', fontSize: '0.84rem' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
  '.cm-content': { fontFamily: 'var(--mono)', padding: '0.6rem 0', caretColor: 'var(--front)' },
  '.cm-scroller': { lineHeight: '1.6' },
  '.cm-cursor': { borderLeftColor: 'var(--front)' },
  '.cm-gutters': { backgroundColor: 'var(--back)', color: 'var(--soft)', borderColor: 'var(--line)' },
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--hover) 55%, transparent)' },
  '.cm-activeLineGutter': { backgroundColor: 'var(--hover)', color: 'var(--front)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'var(--accent-ground) !important',
  },
  '.cm-matchingBracket': {
    backgroundColor: 'var(--neutral-ground) !important',
    outline: '1px solid var(--edge)',
  },
  '.cm-tooltip': {
    maxWidth: '30rem',
    border: '1px solid var(--line)',
    borderRadius: 'var(--radius-small)',
    backgroundColor: 'var(--raised)',
    color: 'var(--front)',
    boxShadow: 'var(--shadow-over)',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]': {
    backgroundColor: 'var(--accent)',
    color: 'var(--on-accent)',
  },
  '.cm-completionDetail': { color: 'inherit', opacity: '0.8', fontStyle: 'normal' },
  '.cm-completionInfo': { padding: '0.5rem 0.7rem', fontFamily: 'var(--font)' },
  '.cm-diagnostic': { padding: '0.4rem 0.7rem', whiteSpace: 'pre-wrap' },
  '.cm-diagnostic-error': { borderLeftColor: 'var(--bad)' },
  '.cm-diagnostic-warning': { borderLeftColor: 'var(--warn)' },
  '.cm-foldPlaceholder': {
    backgroundColor: 'var(--neutral-ground)',
    borderColor: 'var(--line)',
    color: 'var(--soft)',
  },
  '.cm-changedLine, &.cm-merge-b .cm-changedLine': { backgroundColor: 'var(--good-ground)' },
  '.cm-insertedLine': { backgroundColor: 'var(--good-ground)' },
  '.cm-changedText, &.cm-merge-b .cm-changedText': {
    background: 'none',
    borderBottom: '1px solid var(--good)',
  },
  '.cm-deletedChunk': { backgroundColor: 'var(--bad-ground)', paddingLeft: '6px' },
  '.cm-deletedChunk .cm-deletedText': { background: 'none', borderBottom: '1px solid var(--bad)' },
  '.cm-collapsedLines::before, .cm-collapsedLines::after': { content: 'none !important' },
  '.cm-collapsedLines': {
    background: 'var(--neutral-ground)',
    color: 'var(--soft)',
    fontFamily: 'var(--font)',
  },
});
