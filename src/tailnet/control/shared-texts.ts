/** JSON that many viewers are sent is written once for each object, and forgotten with it. */
import { nodeJson } from './map-wire.ts';
import type { PeerView } from './map-viewer.ts';

export class SharedTexts {
  readonly #texts = new WeakMap<object, string>();
  readonly #peers = new WeakMap<PeerView, string>();

  /** Of an object that nobody alters. */
  of(value: object): string {
    let text = this.#texts.get(value);
    if (text === undefined) this.#texts.set(value, (text = JSON.stringify(value)));
    return text;
  }

  /** `tailcfg.Node` as peers see it. */
  peer(view: PeerView): string {
    let text = this.#peers.get(view);
    if (text === undefined) this.#peers.set(view, (text = nodeJson({ ...view, capabilities: null })));
    return text;
  }
}
