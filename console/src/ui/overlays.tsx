/** What lies over the page: dialogs, drawers and menus. Escape and a press outside close them. */
import { X } from 'lucide-react';
import type { ReactNode } from 'react';
import { Button as AriaButton } from 'react-aria-components/Button';
import { Dialog as AriaDialog, Heading } from 'react-aria-components/Dialog';
import { Menu as AriaMenu, MenuItem, MenuTrigger, Popover } from 'react-aria-components/Menu';
import { Modal, ModalOverlay } from 'react-aria-components/Modal';
import { Button } from './buttons.tsx';

interface OverlayProps {
  readonly title: string;
  readonly isOpen: boolean;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

/** A dialog in the middle; `footer` holds its buttons, the main one last. */
export function Dialog({
  title,
  isOpen,
  onClose,
  children,
  footer,
  wide = false,
  isDismissable = true,
}: OverlayProps & {
  readonly footer?: ReactNode;
  readonly wide?: boolean;
  /** False for what is shown once: only its buttons close it, no press beside it and no Escape. */
  readonly isDismissable?: boolean;
}) {
  const kind = wide ? 'dialog wide' : 'dialog';
  return (
    <Overlay isOpen={isOpen} onClose={onClose} kind={kind} title={title} isDismissable={isDismissable}>
      <div className="dialog-body">{children}</div>
      {footer !== undefined && <footer className="dialog-footer">{footer}</footer>}
    </Overlay>
  );
}

/** A panel at the right edge (the whole width of a phone), for details beside a list. */
export function Drawer({ title, isOpen, onClose, children }: OverlayProps) {
  return (
    <Overlay isOpen={isOpen} onClose={onClose} kind="drawer" title={title}>
      <div className="dialog-body">{children}</div>
    </Overlay>
  );
}

function Overlay({
  isOpen,
  onClose,
  kind,
  title,
  isDismissable = true,
  children,
}: OverlayProps & { readonly kind: string; readonly isDismissable?: boolean }) {
  return (
    <ModalOverlay
      className={`overlay over-${kind}`}
      isOpen={isOpen}
      isDismissable={isDismissable}
      isKeyboardDismissDisabled={!isDismissable}
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
    >
      <Modal className={kind}>
        <AriaDialog className="dialog-content">
          <header className="dialog-head">
            <Heading slot="title">{title}</Heading>
            <AriaButton className="icon-button" aria-label="Close" onPress={onClose}>
              <X aria-hidden size={18} />
            </AriaButton>
          </header>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

/** Asks before something that cannot be undone; says in `children` what it touches. */
export function ConfirmDialog({
  title,
  isOpen,
  onClose,
  onConfirm,
  confirm,
  busy = false,
  danger = true,
  children,
}: OverlayProps & {
  readonly onConfirm: () => void;
  /** The verb: `Revoke the key`. */
  readonly confirm: string;
  readonly busy?: boolean;
  readonly danger?: boolean;
}) {
  return (
    <Dialog
      title={title}
      isOpen={isOpen}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind={danger ? 'danger' : 'primary'} onPress={onConfirm} busy={busy}>
            {confirm}
          </Button>
        </>
      }
    >
      {children}
    </Dialog>
  );
}

export interface MenuAction {
  readonly id: string;
  readonly label: string;
  readonly onAction: () => void;
  readonly danger?: boolean;
  readonly isDisabled?: boolean;
}

/** A button (`trigger`: Button or IconButton) that opens a list of actions. */
export function Menu({
  label,
  trigger,
  actions,
}: {
  readonly label: string;
  readonly trigger: ReactNode;
  readonly actions: readonly MenuAction[];
}) {
  return (
    <MenuTrigger>
      {trigger}
      <Popover className="popover">
        <AriaMenu className="list-box" aria-label={label} items={actions}>
          {(action) => (
            <MenuItem
              id={action.id}
              className={action.danger === true ? 'option danger' : 'option'}
              isDisabled={action.isDisabled === true}
              onAction={action.onAction}
            >
              {action.label}
            </MenuItem>
          )}
        </AriaMenu>
      </Popover>
    </MenuTrigger>
  );
}
