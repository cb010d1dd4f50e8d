import { expect, test } from "vitest";
import { run } from "../feed/sample.ts";
import { apart } from "./figures.ts";
import type { Stats } from "./client.ts";

const total = {
  results: 10,
  errors: 4,
  p50_ms: 1,
  p95_ms: 2,
  p99_ms: 3,
  input_tokens: 0,
  output_tokens: 0,
  cost_nano_dollars: 0,
};
const stats = {
  from: "2026-03-01T09:00:00.000000Z",
  to: "2026-03-01T09:00:04.000000Z",
  every_seconds: 2,
  at: [1772355600, 1772355602],
  results: [5, 5],
  errors: [1, 3],
  total,
  chains: [
    { ...total, chain: "refund@1", errors: 3 },
    { ...total, chain: "answer@1", errors: 1 },
  ],
} as Partial<Stats> as Stats;
const waits = (completed_at: string, chain = "refund@1#abc") => run({ status: "interrupted", chain, completed_at });

test("what waits for a decision is counted apart from what failed: in its bucket, its chain and in all", () => {
  const runs = [waits("2026-03-01T09:00:02.5Z"), waits("2026-03-01T09:00:03.9Z"), waits("2026-03-01T08:59:59.9Z")];
  const made = apart(stats, runs, false);
  expect(made.errors).toEqual([1, 1]);
  expect(made.total).toMatchObject({ results: 10, errors: 2, waiting: 2 });
  expect(made.chains).toMatchObject([
    { chain: "refund@1", errors: 1, waiting: 2 },
    { chain: "answer@1", errors: 1, waiting: 0 },
  ]);
});

test("what /stats did not count when it looked is not taken away", () => {
  const later = Array.from({ length: 9 }, () => waits("2026-03-01T09:00:01Z"));
  expect(apart(stats, later, false).errors).toEqual([0, 3]);
  expect(apart(stats, later, false).total).toMatchObject({ errors: 3, waiting: 1 });
});
