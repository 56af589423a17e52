/** Short messages at the edge, read out by screen readers: what was done, and what failed. */
import { X } from 'lucide-react';
import {
  createContext,
  type ReactNode,
  type RefObject,
  use,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { messageOf } from '../api/problem.ts';

/** 6 s for what went well; what failed stays until it is closed. */
const SHOWN_MS = 6_000;
const TOASTS_MAX = 4;

interface Toast {
  readonly id: number;
  readonly text: string;
  readonly isBad: boolean;
}

export interface Toasts {
  /** `Saved as version 12.` */
  readonly good: (text: string) => void;
  readonly bad: (text: string) => void;
  /** A failure of any kind, in its own words. */
  readonly failure: (error: unknown) => void;
}

const ToastContext = createContext<Toasts | null>(null);

export function useToasts(): Toasts {
  const toasts = use(ToastContext);
  if (toasts === null) throw new Error('useToasts outside of the frame');
  return toasts;
}

export function ToastProvider({ children }: { readonly children: ReactNode }) {
  const [shown, setShown] = useState<readonly Toast[]>([]);
  const box = useRef<HTMLDivElement>(null);
  useRoom(box);
  const next = useRef(0);
  const remove = useCallback((id: number) => setShown((all) => all.filter((toast) => toast.id !== id)), []);
  const toasts = useMemo<Toasts>(() => {
    const add = (text: string, isBad: boolean): void => {
      next.current += 1;
      const id = next.current;
      setShown((all) => [...all, { id, text, isBad }].slice(-TOASTS_MAX));
      if (!isBad) setTimeout(() => remove(id), SHOWN_MS);
    };
    return {
      good: (text) => add(text, false),
      bad: (text) => add(text, true),
      failure: (error) => add(messageOf(error), true),
    };
  }, [remove]);
  return (
    <ToastContext value={toasts}>
      {children}
      <div ref={box} className="toasts">
        <Region label="Messages" toasts={shown.filter(({ isBad }) => !isBad)} remove={remove} role="status" />
        <Region label="Failures" toasts={shown.filter(({ isBad }) => isBad)} remove={remove} role="alert" />
      </div>
    </ToastContext>
  );
}

/** Tells the styles how high the messages stand (`--toasts`), so that pages and dialogs leave room for them. */
function useRoom(box: RefObject<HTMLDivElement | null>): void {
  useEffect(() => {
    const { style } = document.documentElement;
    const observer = new ResizeObserver(([entry]) =>
      style.setProperty('--toasts', `${Math.ceil(entry?.contentRect.height ?? 0)}px`),
    );
    if (box.current !== null) observer.observe(box.current);
    return () => {
      observer.disconnect();
      style.removeProperty('--toasts');
    };
  }, [box]);
}

function Region({
  label,
  toasts,
  remove,
  role,
}: {
  readonly label: string;
  readonly toasts: readonly Toast[];
  readonly remove: (id: number) => void;
  readonly role: 'status' | 'alert';
}) {
  return (
    <div role={role} aria-label={label}>
      {toasts.map(({ id, text, isBad }) => (
        <div key={id} className={isBad ? 'toast bad' : 'toast'}>
          <p>{text}</p>
          <button
            type="button"
            className="icon-button"
            aria-label="Close the message"
            onClick={() => remove(id)}
          >
            <X aria-hidden size={16} />
          </button>
        </div>
      ))}
    </div>
  );
}
