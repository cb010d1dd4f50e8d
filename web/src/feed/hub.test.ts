import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Follower } from "./follow.ts";
import { type FromHub, Hub } from "./hub.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A hub whose feed says what the test says. */
function hub() {
  const begun: { follower: Follower; after: string | undefined }[] = [];
  const made = new Hub(async (_, follower, __, after) => void begun.push({ follower, after }));
  const say = (...offsets: number[]) => {
    for (const offset of offsets) begun[0]?.follower.event("result", `${offset}`, `id-${offset}`);
    vi.advanceTimersByTime(1);
  };
  return { made, begun, say };
}

/** A tab; one that does not keep up asks for no more. */
function tab(hub: Hub, after?: string, keepsUp = true) {
  const got: string[] = [];
  const port = {
    postMessage: (message: FromHub) => {
      if (message.is === "events") got.push(...message.events.map(([name, data]) => (name === "result" ? data : name)));
      if (message.is === "events" && keepsUp) hub.take(port, { is: "more" });
      if (message.is === "link") got.push(message.link.is);
    },
  };
  hub.take(port, { is: "hello", path: "/feed", after });
  return { got, port, more: () => hub.take(port, { is: "more" }) };
}

test("all tabs follow one feed; one that comes later gets what went by", () => {
  const { made, begun, say } = hub();
  const first = tab(made);
  say(1, 2);
  const second = tab(made);
  say(3);
  expect(begun).toHaveLength(1);
  expect(first.got).toEqual(["connecting", "ready", "1", "2", "3"]);
  expect(second.got).toEqual(["connecting", "ready", "ready", "1", "2", "3"]);
  begun[0]?.follower.link({ is: "open" });
  expect(second.got.at(-1)).toBe("open");
});

test("a tab goes on after its last event, also at a hub that is new", () => {
  const { made, begun, say } = hub();
  tab(made);
  say(1, 2, 3);
  expect(tab(made, "id-2").got).toEqual(["connecting", "ready", "ready", "3"]);
  expect(tab(made, "id-3").got).toEqual(["connecting", "ready"]);
  const other = hub();
  tab(other.made, "id-7");
  expect([begun[0]?.after, other.begun[0]?.after]).toEqual([undefined, "id-7"]);
});

test("a tab that does not keep up holds nobody up, and is told of what it missed", () => {
  const { made, say } = hub();
  const slow = tab(made, undefined, false);
  const quick = tab(made);
  slow.more();
  say(0);
  for (let at = 1; at <= 50_000; at += 1_000) say(...Array.from({ length: 1_000 }, (_, index) => at + index));
  expect(quick.got.filter((one) => one === "gap")).toEqual([]);
  expect(quick.got.at(-1)).toBe("50000");
  slow.more();
  expect(slow.got.slice(2, 5)).toEqual(["0", "gap", "20001"]);
});

test("a tab without a word is forgotten", () => {
  const { made, say } = hub();
  const { got } = tab(made, undefined, false);
  vi.advanceTimersByTime(121_000);
  made.tick();
  say(1);
  made.tick();
  expect(got).toEqual(["connecting", "ready"]);
});
