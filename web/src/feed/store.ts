// The results that went by, outside React: a ring of the last 100,000 as small objects. Whoever shows them is told at
// most once per frame and ten times a second, however many arrive.

import type { FeedGap, FeedRow } from "../api/client.ts";
import { Problem } from "../api/problem.ts";
import type { Link } from "./follow.ts";
import { followTogether } from "./together.ts";

export type Row = {
  /** Place in the order of arrival; 0 is the first that this page saw. */
  seq: number;
  /** The run's; empty for a gap. */
  id: string;
  /** When it completed, milliseconds since the epoch. */
  at: number;
  chain: string;
  key: string | null;
  /** `gap`: here some are missing. */
  status: string;
  latencyUs: number;
  queuedUs: number;
  inputTokens: number;
  outputTokens: number;
  cost: number;
  attempts: number;
  error: string | null;
  preview: string;
};

const TELL_AT_MOST_EVERY = 100;
/** What the api remembers may be older; what arrives later than this is behind. */
const BEHIND_MS = 3_000;

export class Feed {
  private readonly rows: (Row | undefined)[];
  private readonly listeners = new Set<() => void>();
  /** The highest offset seen of each partition of the results: nothing is shown twice, whatever a reconnect repeats. */
  private readonly seen = new Map<number, number>();
  private readonly words = new Map<string, string>();
  private frame = 0;
  private told = 0;
  private backlog = true;

  /** Changes with everything that is shown. */
  version = 0;
  /** The oldest row that is remembered, and the number of the next one. */
  first = 0;
  end = 0;
  link: Link = { is: "connecting" };
  /** Milliseconds by which results arrive late; 0 when they do not. */
  behind = 0;

  constructor(readonly capacity = 100_000) {
    this.rows = new Array<Row | undefined>(capacity);
  }

  row(seq: number): Row | undefined {
    return seq < this.first || seq >= this.end ? undefined : this.rows[seq % this.capacity];
  }

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  readonly snapshot = () => this.version;

  start(path = "/feed?recent=1000"): () => void {
    const stopping = new AbortController();
    followTogether(
      path,
      { event: (name, data) => this.take(name, JSON.parse(data)), link: (link) => this.linked(link) },
      stopping.signal,
    );
    return () => stopping.abort();
  }

  take(name: string, data: unknown) {
    if (name === "result") this.result(data as FeedRow);
    else if (name === "gap") this.gap(data as FeedGap);
    else if (name === "ready") {
      this.backlog = true;
      setTimeout(() => (this.backlog = false), 1_500);
    }
  }

  private result(row: FeedRow) {
    if ((this.seen.get(row.partition) ?? -1) >= row.offset) return;
    this.seen.set(row.partition, row.offset);
    const at = Date.parse(row.completed_at);
    const late = Date.now() - at;
    this.behind = !this.backlog && late > BEHIND_MS ? late : 0;
    this.push({
      seq: this.end,
      id: row.id,
      at,
      chain: this.word((row.chain ?? "").split("#", 1)[0] ?? ""),
      key: row.key,
      status: this.word(row.status),
      latencyUs: row.latency_us,
      queuedUs: row.queued_us,
      inputTokens: row.input_tokens,
      outputTokens: row.output_tokens,
      cost: row.cost_nano_dollars,
      attempts: row.attempts,
      error: row.error_class === null ? null : this.word(row.error_class),
      preview: row.preview,
    });
  }

  private gap({ missed, reason }: FeedGap) {
    const many =
      missed === null ? "Some results" : missed === 1 ? "1 result" : `${missed.toLocaleString("en-US")} results`;
    const why = {
      slow: "this page could not keep up",
      old: "the api no longer remembers what came while this page was away",
      unreadable: "it could not be decoded",
    }[reason];
    const previous = this.row(this.end - 1);
    this.push({
      seq: this.end,
      id: "",
      at: previous?.at ?? Date.now(),
      chain: "",
      key: null,
      status: "gap",
      latencyUs: 0,
      queuedUs: 0,
      inputTokens: 0,
      outputTokens: 0,
      cost: 0,
      attempts: 0,
      error: reason,
      preview: `${many} not shown: ${why}.`,
    });
  }

  private push(row: Row) {
    this.rows[this.end % this.capacity] = row;
    this.end += 1;
    this.first = Math.max(this.first, this.end - this.capacity);
    this.tell();
  }

  /** One string for each word, however many rows say it. */
  private word(word: string): string {
    const known = this.words.get(word);
    if (known !== undefined) return known;
    if (this.words.size < 10_000) this.words.set(word, word);
    return word;
  }

  private linked(link: Link) {
    this.link = link;
    if (link.is !== "open") this.behind = 0;
    this.tell();
  }

  private tell() {
    if (this.frame !== 0) return;
    const wait = Math.max(0, this.told + TELL_AT_MOST_EVERY - performance.now());
    this.frame = window.setTimeout(() => {
      requestAnimationFrame(() => {
        this.frame = 0;
        this.told = performance.now();
        this.version += 1;
        for (const listener of this.listeners) listener();
      });
    }, wait);
  }
}

export const feed = new Feed();

/** What keeps the feed from being live, if anything. */
export function trouble(link: Link): Problem | undefined {
  return link.is === "waiting" || link.is === "refused" ? link.problem : undefined;
}
