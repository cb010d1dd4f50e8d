// One connection to the feed for all tabs of a browser, in a shared worker: a browser has six to an api, and each tab
// used to hold one. A worker rather than a tab that leads the others: it is there as long as any tab is, it does not
// sleep with one that is out of sight, and it needs no secure context, as locks do. A tab is a place in what went by,
// as a reader is at the api: it asks for more when it has taken what it got, and one that lags too far is told of a gap.

import { Problem } from "../api/problem.ts";
import { type Link, follow, retryNow } from "./follow.ts";

export type Told = [name: string, data: string, id: string | undefined];
type Broken = { title: string; message: string; status: number; retryable: boolean };
type PlainLink =
  | Exclude<Link, { problem: Problem }>
  | { is: "waiting"; until: number; problem: Broken }
  | { is: "refused"; problem: Broken };

/** `after`: the id of the last event that the tab has. */
export type FromTab =
  { is: "hello"; path: string; after: string | undefined } | { is: "more" } | { is: "here" } | { is: "retry" };
export type FromHub = { is: "events"; events: Told[] } | { is: "link"; link: PlainLink } | { is: "alive" };

type Port = { postMessage: (message: FromHub) => void };
type Reader = {
  port: Port;
  next: number;
  /** What is below went by before the tab was there. */
  backlog: number;
  wants: boolean;
  heard: number;
};

const REMEMBERED = 20_000;
/** To a tab that is new. */
const RECENT = 1_000;
const BATCH = 500;
const READY: Told = ["ready", "{}", undefined];
export const ALIVE_EVERY = 5_000;
/** Without a word for so long a tab is gone; one that was frozen says hello again. */
const GONE_AFTER = 120_000;

export class Hub {
  private events: Told[] = [];
  /** The number of the first of them. */
  private first = 0;
  private readonly readers = new Map<Port, Reader>();
  private link: PlainLink = { is: "connecting" };
  private isFollowing = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** By what it follows; a test has its own. */
  constructor(private readonly begin: typeof follow = follow) {}

  take(port: Port, message: FromTab) {
    const reader = this.readers.get(port);
    if (reader) reader.heard = Date.now();
    if (message.is === "hello") this.welcome(port, message.path, message.after);
    else if (message.is === "retry") retryNow();
    else if (message.is === "more" && reader) {
      reader.wants = true;
      this.pass(reader);
    }
  }

  /** Tells tabs that it lives, and forgets those that do not. */
  tick() {
    for (const [port, { heard }] of this.readers) {
      if (Date.now() - heard > GONE_AFTER) this.readers.delete(port);
      else port.postMessage({ is: "alive" });
    }
  }

  private welcome(port: Port, path: string, after: string | undefined) {
    const at = after === undefined ? -1 : this.events.findLastIndex(([, , id]) => id === after);
    const end = this.first + this.events.length;
    const next = at >= 0 ? this.first + at + 1 : after === undefined ? Math.max(this.first, end - RECENT) : this.first;
    const reader = { port, next, backlog: end, wants: false, heard: Date.now() };
    this.readers.set(port, reader);
    port.postMessage({ is: "link", link: this.link });
    port.postMessage({ is: "events", events: [READY] });
    if (this.isFollowing) return;
    this.isFollowing = true;
    const event = (name: string, data: string, id: string | undefined) => this.add([name, data, id]);
    const link = (link: Link) => this.linked(link);
    void this.begin(path, { event, link }, new AbortController().signal, after);
  }

  private add(told: Told) {
    this.events.push(told);
    if (this.events.length > 2 * REMEMBERED) {
      this.first += this.events.length - REMEMBERED;
      this.events = this.events.slice(-REMEMBERED);
    }
    // What came together goes on together.
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      for (const reader of this.readers.values()) this.pass(reader);
    });
  }

  private pass(reader: Reader) {
    if (!reader.wants) return;
    const events: Told[] = [];
    // What follows is old, and is not late for that.
    if (reader.next < reader.backlog) events.push(READY);
    if (reader.next < this.first) {
      events.push(["gap", JSON.stringify({ missed: this.first - reader.next, reason: "slow" }), undefined]);
      reader.next = this.first;
    }
    const from = reader.next - this.first;
    events.push(...this.events.slice(from, from + BATCH));
    if (events.length === 0) return;
    reader.next = Math.min(reader.next + BATCH, this.first + this.events.length);
    reader.wants = false;
    reader.port.postMessage({ is: "events", events });
  }

  private linked(link: Link) {
    this.link = "problem" in link ? { ...link, problem: plain(link.problem) } : link;
    for (const { port } of this.readers.values()) port.postMessage({ is: "link", link: this.link });
  }
}

/** An error loses what is its own on the way between threads. */
const plain = ({ title, message, status, retryable }: Problem): Broken => ({ title, message, status, retryable });

export function linkOf(link: PlainLink): Link {
  if (!("problem" in link)) return link;
  const { title, message, status, retryable } = link.problem;
  return { ...link, problem: new Problem(title, message, status, retryable) };
}
