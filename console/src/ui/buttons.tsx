/** Buttons, and links that look like them. */
import { LoaderCircle, type LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';
import { Button as AriaButton, type ButtonProps as AriaButtonProps } from 'react-aria-components/Button';
import { Tooltip, TooltipTrigger } from 'react-aria-components/Tooltip';
import { Link } from 'react-router';

type Kind = 'primary' | 'secondary' | 'quiet' | 'danger';

export interface ButtonProps extends Omit<AriaButtonProps, 'children' | 'className' | 'style'> {
  readonly kind?: Kind;
  readonly small?: boolean;
  /** Drawn before the text. */
  readonly icon?: LucideIcon;
  /** Under way: it stays reachable, says so, and does nothing. */
  readonly busy?: boolean;
  readonly children: ReactNode;
}

/** A button with text; `kind` is `secondary` unless told. At most one `primary` in a view. */
export function Button(props: ButtonProps) {
  const { kind = 'secondary', small, icon, busy = false, children, onPress, ...rest } = props;
  const Icon = busy ? LoaderCircle : icon;
  return (
    <AriaButton
      {...rest}
      {...(busy || onPress === undefined ? {} : { onPress })}
      className={`button ${kind}${small === true ? ' small' : ''}`}
    >
      {Icon !== undefined && <Icon aria-hidden size={16} className={busy ? 'spin' : undefined} />}
      <span>{children}</span>
      {busy && <span className="visually-hidden">, under way</span>}
    </AriaButton>
  );
}

export interface IconButtonProps extends Omit<
  AriaButtonProps,
  'children' | 'className' | 'style' | 'aria-label'
> {
  /** What it does: its name for everybody, shown when it is pointed at. */
  readonly label: string;
  readonly icon: LucideIcon;
  readonly danger?: boolean;
}

/** A button that is only a picture; its label is a tooltip and its name. */
export function IconButton({ label, icon: Icon, danger = false, ...rest }: IconButtonProps) {
  return (
    <WithTooltip text={label}>
      <AriaButton {...rest} aria-label={label} className={`icon-button${danger ? ' danger' : ''}`}>
        <Icon aria-hidden size={18} />
      </AriaButton>
    </WithTooltip>
  );
}

/** A short hint at a control, by pointer and keyboard focus. Not for what must be read. */
export function WithTooltip({ text, children }: { readonly text: string; readonly children: ReactNode }) {
  return (
    <TooltipTrigger delay={500}>
      {children}
      <Tooltip className="tooltip" offset={6}>
        {text}
      </Tooltip>
    </TooltipTrigger>
  );
}

/** A link within the console that looks like a button. */
export function LinkButton({
  to,
  kind = 'secondary',
  small,
  icon: Icon,
  children,
}: {
  readonly to: string;
  readonly kind?: Kind;
  readonly small?: boolean;
  readonly icon?: LucideIcon;
  readonly children: ReactNode;
}) {
  return (
    <Link to={to} className={`button ${kind}${small === true ? ' small' : ''}`}>
      {Icon !== undefined && <Icon aria-hidden size={16} />}
      <span>{children}</span>
    </Link>
  );
}
