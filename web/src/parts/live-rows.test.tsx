import { cleanup, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { row } from "../feed/sample.ts";
import { Feed } from "../feed/store.ts";
import { noFilter, View } from "../feed/view.ts";
import { Rows } from "./live-rows.tsx";

beforeEach(() => {
  // jsdom lays nothing out: the list is 640 px high.
  vi.spyOn(Element.prototype, "clientHeight", "get").mockReturnValue(640);
  vi.spyOn(Element.prototype, "clientWidth", "get").mockReturnValue(1280);
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

const list = (feed: Feed) => {
  const view = new View(feed, noFilter);
  view.advance();
  const still = { isHeld: false, selected: undefined, onPoint: () => {}, onShown: () => {}, onScrolled: () => {} };
  return (
    <Rows ref={null} view={view} end={feed.end} size={view.size()} {...still}>
      {null}
    </Rows>
  );
};

test("of very many rows only those that one sees are in the document, the latest first", () => {
  const feed = new Feed();
  for (let offset = 0; offset < 50_000; offset++) feed.take("result", row(offset));
  render(list(feed));
  const rows = screen.getAllByRole("row");
  expect(rows.length).toBeGreaterThan(15);
  expect(rows.length).toBeLessThan(60);
  expect(rows[1]?.textContent).toContain("line 49999");
  expect(screen.getByRole("table").getAttribute("aria-rowcount")).toBe("50001");
});

test("a row says time, status, chain, latency, tokens, cost and its first line, which leads to the run", () => {
  const feed = new Feed(10);
  feed.take("result", row(0, { status: "failed", key: "k1", latency_us: 1_500, preview: "<b>no</b> markup" }));
  render(list(feed));
  const cells = within(screen.getAllByRole("row")[1] as HTMLElement).getAllByRole("cell");
  expect(cells.slice(1).map(({ textContent }) => textContent)).toEqual([
    "Failed",
    "answer@1",
    "k1",
    "1.5 ms",
    "15",
    "$0.0000001",
    "<b>no</b> markup",
  ]);
  expect(screen.getByRole("link").getAttribute("href")).toBe("/runs/run-0-0");
});

test("a gap is a row of its own", () => {
  const feed = new Feed(10);
  feed.take("result", row(0));
  feed.take("gap", { missed: null, reason: "old" });
  render(list(feed));
  expect(screen.getAllByRole("row")[1]?.textContent).toContain("Some results not shown");
});
