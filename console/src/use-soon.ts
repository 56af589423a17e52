/** Asking again after events, but not for each of a hundred; and when a time has come. */
import { useEffect, useEffectEvent, useRef } from 'react';

/** 2 s: records are written a moment after their event. */
const SOON_MS = 2_000;

/** Runs `action` 2 s (or `afterMs`) after the first call, and once more after later ones. */
export function useSoon(action: () => void, afterMs = SOON_MS): () => void {
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const isDueAgain = useRef(false);
  const run = useEffectEvent(action);
  const fire = useRef(() => {});
  useEffect(() => {
    fire.current = () => {
      run();
      timer.current = isDueAgain.current ? setTimeout(() => fire.current(), afterMs) : null;
      isDueAgain.current = false;
    };
    return () => {
      if (timer.current !== null) clearTimeout(timer.current);
      timer.current = null;
    };
  }, [afterMs]);
  return () => {
    if (timer.current === null) timer.current = setTimeout(() => fire.current(), afterMs);
    else isDueAgain.current = true;
  };
}

/** 1 s after the time: clocks differ, and the server's counts. */
const LATE_MS = 1_000;
/** 1 day; a timer cannot run much longer than three weeks. */
const WAIT_MAX_MS = 86_400_000;

/** Runs `action` when the earliest of these times (RFC 3339) that lie ahead has passed. */
export function useDue(times: readonly string[], action: () => void): void {
  const run = useEffectEvent(action);
  const next = times
    .map((time) => Date.parse(time))
    .filter((time) => time > Date.now())
    .reduce((earliest, time) => Math.min(earliest, time), Number.POSITIVE_INFINITY);
  useEffect(() => {
    const waitMs = next - Date.now() + LATE_MS;
    if (waitMs > WAIT_MAX_MS) return undefined;
    const timer = setTimeout(() => run(), waitMs);
    return () => clearTimeout(timer);
  }, [next]);
}
