// From seconds to what a chart draws.

import type { Second } from "./view.ts";

export type Series = {
  /** Seconds since the epoch: the begin of each bucket. */
  at: number[];
  /** Per second. */
  rate: number[];
  errors: number[];
  p50Ms: (number | null)[];
  p95Ms: (number | null)[];
  total: { results: number; errors: number; tokens: number; cost: number; p50Us: number | null; p95Us: number | null };
};

/** `seconds` long, in buckets of `every` seconds, ending with the one in which `now` (seconds) lies. */
export function series(seconds: ReadonlyMap<number, Second>, now: number, length: number, every: number): Series {
  const last = Math.floor(now / every) * every;
  const made: Series = {
    at: [],
    rate: [],
    errors: [],
    p50Ms: [],
    p95Ms: [],
    total: { results: 0, errors: 0, tokens: 0, cost: 0, p50Us: null, p95Us: null },
  };
  const all: number[] = [];
  for (let at = last - length + every; at <= last; at += every) {
    const latencies: number[] = [];
    let [results, errors] = [0, 0];
    for (let second = at; second < at + every; second++) {
      const known = seconds.get(second);
      if (!known) continue;
      results += known.results;
      errors += known.errors;
      made.total.tokens += known.tokens;
      made.total.cost += known.cost;
      for (const latency of known.latencies) latencies.push(latency);
    }
    const sorted = Float64Array.from(latencies).sort();
    for (const latency of latencies) all.push(latency);
    made.at.push(at);
    made.rate.push(results / every);
    made.errors.push(errors / every);
    made.p50Ms.push(milliseconds(quantile(sorted, 0.5)));
    made.p95Ms.push(milliseconds(quantile(sorted, 0.95)));
    made.total.results += results;
    made.total.errors += errors;
  }
  const sorted = Float64Array.from(all).sort();
  made.total.p50Us = quantile(sorted, 0.5);
  made.total.p95Us = quantile(sorted, 0.95);
  return made;
}

/** The nearest rank. */
export function quantile(sorted: Float64Array, q: number): number | null {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? null;
}

const milliseconds = (us: number | null) => (us === null ? null : us / 1000);
