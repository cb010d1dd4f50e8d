import { expect, test } from "vitest";
import { quantile, series } from "./series.ts";
import type { Second } from "./view.ts";

const second = (rest: Partial<Second>): Second => ({
  results: 0,
  errors: 0,
  tokens: 0,
  cost: 0,
  latencies: [],
  ...rest,
});

test("buckets begin at round seconds, so all charts have the same times, and empty ones have no latency", () => {
  const seconds = new Map([
    [100, second({ results: 3, errors: 1, latencies: [1_000, 2_000, 9_000] })],
    [101, second({ results: 1, latencies: [4_000] })],
  ]);
  const made = series(seconds, 103.4, 6, 2);
  expect(made.at).toEqual([98, 100, 102]);
  expect(made.rate).toEqual([0, 2, 0]);
  expect(made.errors).toEqual([0, 0.5, 0]);
  expect(made.p50Ms).toEqual([null, 2, null]);
  expect(made.p95Ms).toEqual([null, 9, null]);
  expect(made.total).toMatchObject({ results: 4, errors: 1, p50Us: 2_000, p95Us: 9_000 });
});

test("a quantile is one of the values", () => {
  const values = Float64Array.from({ length: 100 }, (_, index) => index + 1);
  expect([quantile(values, 0.5), quantile(values, 0.95), quantile(values, 1)]).toEqual([50, 95, 100]);
  expect(quantile(new Float64Array(), 0.5)).toBeNull();
});
