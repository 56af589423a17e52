/** Text of programs and strangers: always text, never markup. */
import { Check, Copy } from 'lucide-react';
import { type ReactNode, useRef, useState } from 'react';
import { useToasts } from './toasts.tsx';
import { Button, IconButton } from './buttons.tsx';

/** Copies; where the browser allows none (plain HTTP), `selects` is selected and a toast says so. */
export function CopyButton({
  text,
  label = 'Copy',
  small = true,
  iconOnly = false,
  selects,
}: {
  readonly text: string;
  /** Its name: `Copy the request id`. */
  readonly label?: string;
  readonly small?: boolean;
  readonly iconOnly?: boolean;
  readonly selects?: () => Element | null;
}) {
  const [copied, setCopied] = useState(false);
  const toast = useToasts();
  const copy = (): void => {
    copyText(text).then(
      () => {
        setCopied(true);
        setTimeout(() => setCopied(false), 1_500);
      },
      () => {
        const element = selects?.() ?? null;
        if (element !== null) getSelection()?.selectAllChildren(element);
        toast.bad(
          element === null
            ? 'The browser does not allow copying here.'
            : 'The browser does not allow copying here: the text is selected, copy it with the keyboard.',
        );
      },
    );
  };
  if (iconOnly)
    return <IconButton label={copied ? 'Copied' : label} icon={copied ? Check : Copy} onPress={copy} />;
  return (
    <Button small={small} icon={copied ? Check : Copy} onPress={copy} aria-label={label}>
      {copied ? 'Copied' : 'Copy'}
    </Button>
  );
}

async function copyText(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
}

/** Text as it is, with its name and a button that copies it. */
export function CodeBlock({
  title,
  text,
  wrap = true,
  maxHeight,
}: {
  readonly title: string;
  readonly text: string;
  readonly wrap?: boolean;
  /** CSS pixels; what is longer scrolls. */
  readonly maxHeight?: number;
}) {
  const code = useRef<HTMLElement>(null);
  return (
    <figure className="code-block">
      <figcaption>
        <span>{title}</span>
        <CopyButton key={text} text={text} label={`Copy: ${title}`} selects={() => code.current} />
      </figcaption>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reached by the keyboard */}
      <pre
        className={wrap ? 'wrap' : undefined}
        style={maxHeight === undefined ? undefined : { maxHeight }}
        tabIndex={0}
        role="region"
        aria-label={title}
      >
        <code ref={code}>{text}</code>
      </pre>
    </figure>
  );
}

/** An identifier in monospace; `title` has all of it where it is cut. */
export function Mono({ children }: { readonly children: string }) {
  return (
    <code className="mono" title={children}>
      {children}
    </code>
  );
}

/** A key of the keyboard. */
export function Key({ children }: { readonly children: ReactNode }) {
  return <kbd>{children}</kbd>;
}
