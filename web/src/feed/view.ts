// The rows that pass a filter. They grow with the feed; only a new filter looks at all rows again. Figures are not made of
// them: what this page saw is not all that there was.

import type { Feed, Row } from "./store.ts";

export type Filter = {
  chain: string;
  status: string;
  /** The record key, exactly. */
  key: string;
  /** In the first line, the run's id, the key, the chain or the error class. */
  text: string;
};

export const noFilter: Filter = { chain: "", status: "", key: "", text: "" };

export class View {
  private seqs: number[] = [];
  private head = 0;
  private scanned: number;
  private readonly passes: (row: Row) => boolean;

  constructor(
    private readonly feed: Feed,
    filter: Filter,
  ) {
    this.passes = test(filter);
    this.scanned = feed.first;
  }

  /** Takes in what arrived. */
  advance() {
    const { feed } = this;
    for (let seq = Math.max(this.scanned, feed.first); seq < feed.end; seq++) {
      const row = feed.row(seq);
      if (row && this.passes(row)) this.seqs.push(seq);
    }
    this.scanned = feed.end;
    while (this.head < this.seqs.length && (this.seqs[this.head] ?? 0) < feed.first) this.head += 1;
    if (this.head > 20_000) {
      this.seqs = this.seqs.slice(this.head);
      this.head = 0;
    }
  }

  /** How many there are below `end`. */
  size(end = Infinity): number {
    return this.below(end) - this.head;
  }

  /** The row at this place, 0 being the newest below `end`. */
  at(index: number, end = Infinity): Row | undefined {
    const seq = this.seqs[this.below(end) - 1 - index];
    return seq === undefined ? undefined : this.feed.row(seq);
  }

  /** The place of the first row, from the newest on, that is not later than `ms`. */
  indexAt(ms: number, end = Infinity): number {
    let [low, high] = [0, this.size(end)];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.at(middle, end)?.at ?? 0) > ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private below(end: number): number {
    let [low, high] = [this.head, this.seqs.length];
    if (end === Infinity || (this.seqs[high - 1] ?? -1) < end) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.seqs[middle] ?? 0) < end) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function test({ chain, status, key, text }: Filter): (row: Row) => boolean {
  const words = text.toLowerCase();
  const has = (where: string | null) => where !== null && where.toLowerCase().includes(words);
  return (row) =>
    row.status === "gap" ||
    ((chain === "" || row.chain === chain || row.chain.startsWith(`${chain}@`)) &&
      (status === "" || row.status === status) &&
      (key === "" || row.key === key) &&
      (words === "" || has(row.preview) || has(row.id) || has(row.key) || has(row.chain) || has(row.error)));
}
