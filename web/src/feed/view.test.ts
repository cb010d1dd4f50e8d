import { expect, test } from "vitest";
import { row } from "./sample.ts";
import { Feed } from "./store.ts";
import { noFilter, View } from "./view.ts";

const feedOf = (...rows: ReturnType<typeof row>[]) => {
  const feed = new Feed(1_000);
  for (const one of rows) feed.take("result", one);
  return feed;
};

test("the newest is first; a held list does not see what comes after", () => {
  const feed = feedOf(row(0), row(1));
  const view = new View(feed, noFilter);
  view.advance();
  const end = feed.end;
  feed.take("result", row(2));
  view.advance();
  expect([view.at(0)?.id, view.at(0, end)?.id]).toEqual(["run-0-2", "run-0-1"]);
  expect([view.size(), view.size(end)]).toEqual([3, 2]);
});

test("filters are for the chain with or without version, the status, the key and words anywhere", () => {
  const feed = feedOf(
    row(0, { preview: "A lane is" }),
    row(1, { chain: "answers@1#x", key: "k1" }),
    row(2, { status: "failed", error_class: "rate_limited" }),
  );
  const ids = (filter: object) => {
    const view = new View(feed, { ...noFilter, ...filter });
    view.advance();
    return Array.from({ length: view.size() }, (_, index) => view.at(index)?.id);
  };
  expect(ids({ chain: "answer" })).toEqual(["run-0-2", "run-0-0"]);
  expect(ids({ chain: "answers@1" })).toEqual(["run-0-1"]);
  expect(ids({ status: "failed" })).toEqual(["run-0-2"]);
  expect(ids({ key: "k1" })).toEqual(["run-0-1"]);
  expect(ids({ text: "LANE" })).toEqual(["run-0-0"]);
  expect(ids({ text: "rate_" })).toEqual(["run-0-2"]);
});
