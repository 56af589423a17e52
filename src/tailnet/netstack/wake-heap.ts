/** What a heap orders: `wakeAt` and `wakeIndex` belong to the heap. */
export interface Wakeable {
  wakeAt: number;
  wakeIndex: number;
}

/**
 * Who has to be woken first. A timer that moves later costs nothing: its owner is woken at the old time,
 * finds nothing due, and is put in again. So a retransmission timer, which moves with every
 * acknowledgment, is free.
 */
export class WakeHeap<Item extends Wakeable> {
  readonly #items: Item[] = [];

  /** The earliest time, or Infinity. */
  get nextAt(): number {
    return this.#items[0]?.wakeAt ?? Number.POSITIVE_INFINITY;
  }

  /** `item` wants to be woken at `at`; does nothing if it is woken sooner anyway. */
  schedule(item: Item, at: number): void {
    if (at >= item.wakeAt && item.wakeIndex >= 0) return;
    if (at === Number.POSITIVE_INFINITY) return;
    item.wakeAt = at;
    if (item.wakeIndex < 0) {
      item.wakeIndex = this.#items.length;
      this.#items.push(item);
    }
    this.#rise(item.wakeIndex);
  }

  /** Takes out and returns one whose time has come, or undefined. */
  takeDue(now: number): Item | undefined {
    const first = this.#items[0];
    if (first === undefined || first.wakeAt > now) return undefined;
    this.remove(first);
    return first;
  }

  remove(item: Item): void {
    const index = item.wakeIndex;
    if (index < 0) return;
    item.wakeIndex = -1;
    item.wakeAt = Number.POSITIVE_INFINITY;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#items[index] = last;
    last.wakeIndex = index;
    this.#rise(index);
    this.#sink(last.wakeIndex);
  }

  #rise(from: number): void {
    let index = from;
    const item = this.#items[index];
    if (item === undefined) return;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = this.#items[above];
      if (parent === undefined || parent.wakeAt <= item.wakeAt) break;
      this.#items[index] = parent;
      parent.wakeIndex = index;
      index = above;
    }
    this.#items[index] = item;
    item.wakeIndex = index;
  }

  #sink(from: number): void {
    let index = from;
    const item = this.#items[index];
    if (item === undefined) return;
    for (;;) {
      const left = 2 * index + 1;
      const leftItem = this.#items[left];
      const rightItem = this.#items[left + 1];
      const isRight = leftItem !== undefined && rightItem !== undefined && rightItem.wakeAt < leftItem.wakeAt;
      const child = isRight ? rightItem : leftItem;
      if (child === undefined || child.wakeAt >= item.wakeAt) break;
      this.#items[index] = child;
      child.wakeIndex = index;
      index = isRight ? left + 1 : left;
    }
    this.#items[index] = item;
    item.wakeIndex = index;
  }
}
