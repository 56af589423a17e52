/** HuJSON for CodeMirror: colours, folding and brackets. */
import {
  foldService,
  HighlightStyle,
  indentService,
  LanguageSupport,
  matchBrackets,
  StreamLanguage,
  type StringStream,
  syntaxHighlighting,
} from '@codemirror/language';
import { tags } from '@lezer/highlight';

interface State {
  inComment: boolean;
}

const hujson = StreamLanguage.define<State>({
  name: 'hujson',
  startState: () => ({ inComment: false }),
  token(stream, state) {
    if (state.inComment) return comment(stream, state);
    if (stream.eatSpace()) return null;
    if (stream.match('//')) {
      stream.skipToEnd();
      return 'comment';
    }
    if (stream.match('/*')) return comment(stream, state);
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return stream.match(/^\s*:/, false) ? 'propertyName' : 'string';
    if (stream.match(/^-?\d[\d.eE+-]*/)) return 'number';
    if (stream.match(/^(?:true|false|null)\b/)) return 'atom';
    stream.next();
    return null;
  },
  languageData: {
    commentTokens: { line: '//', block: { open: '/*', close: '*/' } },
    closeBrackets: { brackets: ['{', '[', '"'] },
    indentOnInput: /^\s*[}\]]$/,
  },
});

function comment(stream: StringStream, state: State): string {
  state.inComment = !stream.match(/^.*?\*\//);
  if (state.inComment) stream.skipToEnd();
  return 'comment';
}

/** One step deeper after a line that opens; back where one closes. */
const indentation = indentService.of((context, pos) => {
  const line = context.lineAt(pos, -1);
  if (pos === 0) return 0;
  const [before, after] = [context.state.doc.lineAt(Math.max(0, pos - 1)), context.textAfterPos(pos)];
  const above =
    before.from === line.from && before.from > 0 && before.text.trim() === ''
      ? context.state.doc.lineAt(before.from - 1)
      : before;
  const opens = /[{[]\s*(?:\/\/.*)?$/.test(above.text) ? context.unit : 0;
  const closes = /^\s*[}\]]/.test(after) ? context.unit : 0;
  return Math.max(0, context.lineIndent(above.from) + opens - closes);
});

/** Objects and arrays that begin at the end of a line fold. */
const folding = foldService.of((state, from, to) => {
  const opens = /[{[]\s*(?:\/\/.*)?$/.exec(state.doc.sliceString(from, to));
  if (opens === null) return null;
  const match = matchBrackets(state, from + opens.index, 1, { brackets: '{}[]' });
  if (match?.matched !== true || match.end === undefined || match.end.from <= to) return null;
  return { from: from + opens.index + 1, to: match.end.from };
});

const colours = HighlightStyle.define([
  { tag: tags.comment, color: 'var(--soft)', fontStyle: 'italic' },
  { tag: tags.propertyName, color: 'var(--accent-strong)' },
  { tag: tags.string, color: 'var(--good)' },
  { tag: [tags.number, tags.atom], color: 'var(--warn)' },
]);

/** The language with its colours, which are those of the page. */
export function hujsonLanguage(): LanguageSupport {
  return new LanguageSupport(hujson, [indentation, folding, syntaxHighlighting(colours)]);
}
