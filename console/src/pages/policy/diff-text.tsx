/** A unified diff as the server made it. */

const KINDS: Readonly<Record<string, string>> = { '+': 'added', '-': 'removed', '@': 'place' };

export function DiffText({ label, text }: { readonly label: string; readonly text: string }) {
  const lines = text.replace(/\n$/, '').split('\n');
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reached by the keyboard
    <pre className="diff-text" role="region" aria-label={label} tabIndex={0}>
      {lines.map((line, index) => (
        <span key={index} className={/^(?:\+\+\+|---) /.test(line) ? 'place' : KINDS[line.slice(0, 1)]}>
          {line}
          {'\n'}
        </span>
      ))}
    </pre>
  );
}
