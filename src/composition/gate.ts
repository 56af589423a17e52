/** Ports are known before the parts that serve them exist; what arrives in between waits here. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ListenerKind } from '../doors/index.ts';
import type { Front } from './front.ts';

export interface Gate {
  /** What a listener of this kind does with its requests. */
  on(kind: ListenerKind): (req: IncomingMessage, res: ServerResponse) => void;
  /** From now on requests are served, those that wait first. */
  open(front: Front): void;
}

/** Requests that may wait; a process that starts is not asked more. */
const WAITING_MAX = 1000;

export function createGate(): Gate {
  let front: Front | null = null;
  const waiting: (() => void)[] = [];
  return {
    on: (kind) => (req, res) => {
      if (front !== null) return front(req, res, kind);
      if (waiting.length >= WAITING_MAX) return void res.destroy();
      waiting.push(() => front?.(req, res, kind));
    },
    open(opened) {
      front = opened;
      for (const serve of waiting.splice(0)) serve();
    },
  };
}
