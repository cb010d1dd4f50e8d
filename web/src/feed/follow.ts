// Server-sent events that go on where they ended. By fetch, not by EventSource: that one gives up on the first answer
// that is no stream, says nothing of a connection that went silent, and reads on when nobody keeps up.

import { createParser } from "eventsource-parser";
import { Problem } from "../api/problem.ts";

export type Link =
  | { is: "connecting" }
  | { is: "open" }
  /** Nothing came about; tried again at `until` (milliseconds since the epoch). */
  | { is: "waiting"; until: number; problem: Problem }
  /** The page is out of sight for a while: connections per browser are few. */
  | { is: "asleep" }
  /** The stream told that it is over. */
  | { is: "ended" }
  /** Trying again would not help. */
  | { is: "refused"; problem: Problem };

export type Follower = {
  /** `data` as it came: who takes it knows whose numbers are in it. */
  event: (name: string, data: string, id: string | undefined) => void;
  link: (link: Link) => void;
  /** Whether this event is the last one. */
  last?: (name: string) => boolean;
};

const FIRST_WAIT = 300;
const LONGEST_WAIT = 8_000;
/** The api says something every 15 s. */
const SILENT = 40_000;
const ASLEEP_AFTER = 30_000;

export const RETRY = "millrace:retry";
/** A worker is no page, and never out of sight. */
const page = typeof document === "undefined" ? undefined : document;
const isHidden = () => page?.hidden ?? false;

/** Follows until `signal`, the stream's end or a refusal. */
export async function follow(
  path: string,
  follower: Follower,
  signal: AbortSignal,
  /** The id of the last event that is known already. */
  after?: string,
): Promise<void> {
  const stream = new Stream(path, follower, signal, after);
  let failures = 0;
  while (!signal.aborted) {
    if (isHidden() && stream.isResumable()) {
      follower.link({ is: "asleep" });
      await shown(signal);
      continue;
    }
    follower.link({ is: "connecting" });
    const outcome = await stream.read();
    if (signal.aborted) return;
    if (outcome === "ended") return follower.link({ is: "ended" });
    if (outcome === "asleep") continue;
    if (outcome instanceof Problem && !outcome.retryable) return follower.link({ is: "refused", problem: outcome });
    failures = stream.said > 0 ? 0 : failures + 1;
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures) * (0.7 + 0.6 * Math.random());
    follower.link({ is: "waiting", until: Date.now() + wait, problem: outcome });
    await pause(wait, signal);
  }
}

class Stream {
  /** Events of this connection. */
  said = 0;
  constructor(
    private readonly path: string,
    private readonly follower: Follower,
    private readonly signal: AbortSignal,
    private lastId: string | undefined,
  ) {}

  isResumable() {
    return this.lastId !== undefined;
  }

  /** One connection, from its begin to its end. */
  async read(): Promise<Problem | "ended" | "asleep"> {
    this.said = 0;
    const closing = new AbortController();
    let why = "left" as "left" | "silent" | "asleep";
    const close = (reason: typeof why) => {
      why = reason;
      closing.abort();
    };
    const left = () => close("left");
    this.signal.addEventListener("abort", left);
    let silence = setTimeout(close, SILENT, "silent");
    let sleep: ReturnType<typeof setTimeout> | undefined;
    const seen = () => {
      clearTimeout(sleep);
      if (isHidden()) sleep = setTimeout(close, ASLEEP_AFTER, "asleep");
    };
    page?.addEventListener("visibilitychange", seen);
    seen();
    try {
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (this.lastId !== undefined) headers["last-event-id"] = this.lastId;
      const answer = await fetch(this.path, { headers, signal: closing.signal, cache: "no-store" });
      if (answer.status === 204) return "ended";
      if (!answer.ok || !answer.body) return Problem.of(answer.status, await answer.json().catch(() => null));
      this.follower.link({ is: "open" });
      let isOver = false;
      const parser = createParser({
        onEvent: ({ id, event = "message", data }) => {
          if (id !== undefined) this.lastId = id;
          this.said += 1;
          this.follower.event(event, data, id);
          isOver ||= this.follower.last?.(event) ?? false;
        },
      });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        clearTimeout(silence);
        silence = setTimeout(close, SILENT, "silent");
        parser.feed(value);
        if (isOver) return "ended";
      }
      return new Problem("The stream ended", "The api closed the stream, as it does when it stops.", 0, true);
    } catch {
      if (why === "asleep") return "asleep";
      if (why === "silent") return new Problem("The stream is silent", "Nothing came for 40 s.", 0, true);
      return Problem.unreachable();
    } finally {
      this.signal.removeEventListener("abort", left);
      page?.removeEventListener("visibilitychange", seen);
      clearTimeout(silence);
      clearTimeout(sleep);
      closing.abort();
    }
  }
}

/** Until then, or until the machine is online again or the page is looked at again. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      globalThis.removeEventListener("online", over);
      globalThis.removeEventListener(RETRY, over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener("abort", over);
    globalThis.addEventListener("online", over);
    globalThis.addEventListener(RETRY, over);
  });
}

/** Ends every pause now: what a person asks for. */
export function retryNow() {
  globalThis.dispatchEvent(new Event(RETRY));
}

function shown(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (isHidden() && !signal.aborted) return;
      page?.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      resolve();
    };
    page?.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
  });
}
