/**
 * Who has to be woken when: a binary heap in which everybody stands once, so that it never grows
 * beyond the number of members, however often their times change.
 */

/** A member's place in the heap; kept by the heap alone. */
export interface WakePlace {
  wakeAt: number;
  /** -1 outside the heap. */
  heapIndex: number;
}

/** Members in the order of `wakeAt`. */
export class WakeHeap<Member extends WakePlace> {
  readonly #members: Member[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** When the first member is due; Infinity if there is none. */
  nextWake(): number {
    return this.#members[0]?.wakeAt ?? Infinity;
  }

  /** The first member if it is due, without taking it out. */
  due(now: number): Member | null {
    const first = this.#members[0];
    return first === undefined || first.wakeAt > now ? null : first;
  }

  /** Puts a member in, or moves it to another time. */
  set(member: Member, wakeAt: number): void {
    if (member.heapIndex < 0) {
      member.heapIndex = this.#members.length;
      this.#members.push(member);
    }
    member.wakeAt = wakeAt;
    this.#settle(member);
  }

  /** Takes a member out, if it is in. */
  remove(member: Member): void {
    const index = member.heapIndex;
    if (index < 0) return;
    member.heapIndex = -1;
    const last = this.#members.pop();
    if (last === undefined || last === member) return;
    last.heapIndex = index;
    this.#members[index] = last;
    this.#settle(last);
  }

  #settle(member: Member): void {
    this.#rise(member);
    this.#sink(member);
  }

  #rise(member: Member): void {
    while (member.heapIndex > 0) {
      const parent = this.#members[(member.heapIndex - 1) >> 1];
      if (parent === undefined || parent.wakeAt <= member.wakeAt) return;
      this.#swap(parent, member);
    }
  }

  #sink(member: Member): void {
    for (;;) {
      const left = this.#members[2 * member.heapIndex + 1];
      const right = this.#members[2 * member.heapIndex + 2];
      const least = right !== undefined && left !== undefined && right.wakeAt < left.wakeAt ? right : left;
      if (least === undefined || least.wakeAt >= member.wakeAt) return;
      this.#swap(member, least);
    }
  }

  #swap(above: Member, below: Member): void {
    const index = above.heapIndex;
    this.#members[index] = below;
    this.#members[below.heapIndex] = above;
    above.heapIndex = below.heapIndex;
    below.heapIndex = index;
  }
}
