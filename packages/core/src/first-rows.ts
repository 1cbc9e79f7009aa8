/**
 * Keeps the `limit` smallest of the items added, and no others in memory: a heap with the largest kept one on top.
 */
export class FirstRows<T> {
  readonly #limit: number;
  readonly #compare: (a: T, b: T) => number;
  readonly #heap: T[] = [];

  constructor(limit: number, compare: (a: T, b: T) => number) {
    this.#limit = limit;
    this.#compare = compare;
  }

  /** How many are kept now. */
  get size(): number {
    return this.#heap.length;
  }

  /** Adds an item, and drops the largest if there are too many. */
  add(item: T): void {
    const heap = this.#heap;
    if (heap.length < this.#limit) {
      heap.push(item);
      this.#raise(heap.length - 1);
      return;
    }
    const largest = heap[0];
    if (largest === undefined || this.#compare(item, largest) >= 0) return;
    heap[0] = item;
    this.#sink(0);
  }

  /** The kept items, smallest first. */
  sorted(): readonly T[] {
    return [...this.#heap].sort(this.#compare);
  }

  #raise(start: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfLarger(at, parent)) return;
      at = parent;
    }
  }

  #sink(start: number): void {
    let at = start;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      const largest = this.#isLarger(right, left) ? right : left;
      if (!this.#swapIfLarger(largest, at)) return;
      at = largest;
    }
  }

  #isLarger(a: number, b: number): boolean {
    const first = this.#heap[a];
    const second = this.#heap[b];
    return first !== undefined && second !== undefined && this.#compare(first, second) > 0;
  }

  #swapIfLarger(child: number, parent: number): boolean {
    const lower = this.#heap[child];
    const upper = this.#heap[parent];
    if (lower === undefined || upper === undefined || this.#compare(lower, upper) <= 0) return false;
    this.#heap[child] = upper;
    this.#heap[parent] = lower;
    return true;
  }
}
