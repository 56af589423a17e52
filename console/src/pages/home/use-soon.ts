/** Asking again after events, but not for each of a hundred. */
import { useEffect, useEffectEvent, useRef } from 'react';

/** 2 s: records are written a moment after their event. */
const SOON_MS = 2_000;

/** Runs `action` 2 s after the first call, and once more after later ones. */
export function useSoon(action: () => void): () => void {
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const isDueAgain = useRef(false);
  const run = useEffectEvent(action);
  const fire = useRef(() => {});
  useEffect(() => {
    fire.current = () => {
      run();
      timer.current = isDueAgain.current ? setTimeout(() => fire.current(), SOON_MS) : null;
      isDueAgain.current = false;
    };
    return () => {
      if (timer.current !== null) clearTimeout(timer.current);
      timer.current = null;
    };
  }, []);
  return () => {
    if (timer.current === null) timer.current = setTimeout(() => fire.current(), SOON_MS);
    else isDueAgain.current = true;
  };
}
