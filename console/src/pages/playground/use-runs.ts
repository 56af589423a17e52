/** The exchanges of this visit; nothing of them is kept by the browser. */
import { useEffect, useRef, useState } from 'react';
import { newRun, perform, type Run, type Sending } from './run.ts';

export interface Exchange {
  readonly id: number;
  /** As typed: words, or a whole body. */
  readonly prompt: string;
  readonly isOwnBody: boolean;
  readonly model: string;
  readonly sent: Sending;
  readonly run: Run;
}

export interface Runs {
  readonly exchanges: readonly Exchange[];
  readonly isBusy: boolean;
  readonly send: (asked: Omit<Exchange, 'id' | 'run'>) => void;
  readonly stop: () => void;
  readonly clear: () => void;
}

/** `onEnd` hears of every request that ended, whichever way. Leaving the page stops what runs. */
export function useRuns(onEnd: () => void): Runs {
  const [exchanges, setExchanges] = useState<readonly Exchange[]>([]);
  const next = useRef(0);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const put = (id: number, run: Run): void => {
    setExchanges((all) => all.map((one) => (one.id === id ? { ...one, run } : one)));
  };
  const send: Runs['send'] = (asked) => {
    next.current += 1;
    const id = next.current;
    const controller = new AbortController();
    running.current = controller;
    setExchanges((all) => [...all, { ...asked, id, run: newRun() }]);
    const paint = perFrame((run: Run) => put(id, run));
    void perform(asked.sent, controller.signal, paint.show).then((run) => {
      paint.cancel();
      put(id, run);
      if (running.current === controller) running.current = null;
      onEnd();
    });
  };
  return {
    exchanges,
    isBusy: exchanges.some(({ run }) => run.endedMs === null),
    send,
    stop: () => running.current?.abort(),
    clear() {
      running.current?.abort();
      setExchanges([]);
    },
  };
}

/** Shows only the newest value, once in a frame: a fast model sends hundreds of pieces in a second. */
function perFrame<Value>(show: (value: Value) => void): {
  readonly show: (value: Value) => void;
  readonly cancel: () => void;
} {
  let frame: number | null = null;
  let newest: Value;
  return {
    show(value) {
      newest = value;
      frame ??= requestAnimationFrame(() => {
        frame = null;
        show(newest);
      });
    },
    cancel() {
      if (frame !== null) cancelAnimationFrame(frame);
      frame = null;
    },
  };
}
