import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { row } from "./sample.ts";
import { Feed } from "./store.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("what a reconnect repeats is shown once, in the order of arrival", () => {
  const feed = new Feed(100);
  for (const offset of [0, 1, 2]) feed.take("result", row(offset));
  feed.take("ready", { resumed: true });
  for (const offset of [1, 2, 3]) feed.take("result", row(offset));
  feed.take("result", row(0, { partition: 1 }));
  expect(shown(feed)).toEqual(["run-0-0", "run-0-1", "run-0-2", "run-0-3", "run-1-0"]);
});

test("the oldest go when it is full, and what remains keeps its number", () => {
  const feed = new Feed(3);
  for (const offset of [0, 1, 2, 3, 4]) feed.take("result", row(offset));
  expect([feed.first, feed.end]).toEqual([2, 5]);
  expect(feed.row(1)).toBeUndefined();
  expect(feed.row(4)?.id).toBe("run-0-4");
});

test("a gap says how many are missing, and why", () => {
  const feed = new Feed(10);
  feed.take("result", row(0));
  feed.take("gap", { missed: 1200, reason: "slow" });
  expect(feed.row(1)).toMatchObject({
    status: "gap",
    preview: "1,200 results not shown: this page could not keep up.",
  });
});

test("it is behind when results arrive late, but not for the backlog at the begin", () => {
  const feed = new Feed(10);
  const late = { completed_at: new Date(Date.now() - 10_000).toISOString() };
  feed.take("ready", {});
  feed.take("result", row(0, late));
  expect(feed.behind).toBe(0);
  vi.advanceTimersByTime(2_000);
  feed.take("result", row(1, late));
  expect(feed.behind).toBeGreaterThanOrEqual(12_000);
  feed.take("result", row(2));
  expect(feed.behind).toBe(0);
});

test("who shows the rows is told once, however many arrive together", () => {
  const feed = new Feed(1_000);
  const told = vi.fn();
  const leave = feed.subscribe(told);
  for (let offset = 0; offset < 500; offset++) feed.take("result", row(offset));
  vi.advanceTimersByTime(200);
  expect(told).toHaveBeenCalledTimes(1);
  leave();
  feed.take("result", row(500));
  vi.advanceTimersByTime(200);
  expect(told).toHaveBeenCalledTimes(1);
});

function shown(feed: Feed): string[] {
  return Array.from({ length: feed.end - feed.first }, (_, index) => feed.row(feed.first + index)?.id ?? "");
}
