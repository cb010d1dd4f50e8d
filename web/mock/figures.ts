// Stats of the mock, from its results.

import type { Stats } from "../src/api/client.ts";
import type { World } from "./world.ts";

export function stats(world: World, query: URLSearchParams): Stats {
  const minutes = Number(query.get("minutes") ?? 15);
  const every = Number(query.get("every") ?? 10);
  const end = Math.floor(Date.now() / 1000 / every) * every;
  const at = Array.from(
    { length: Math.floor((minutes * 60) / every) },
    (_, index, n = (minutes * 60) / every) => end - (n - 1 - index) * every,
  );
  const chain = query.get("chain");
  const from = new Date((at[0] ?? 0) * 1000).toISOString();
  // In the order of their commits, so those of before are all at the begin.
  const begin = world.results.findLastIndex((row) => row.completed_at < from) + 1;
  const rows = world.results.slice(begin).filter((row) => !chain || row.chain?.startsWith(chain));
  const sum = (of: typeof rows): Stats["total"] => {
    const latencies = of.map((row) => row.latency_us / 1000).sort((a, b) => a - b);
    const quantile = (q: number) => latencies[Math.ceil(q * latencies.length) - 1] ?? null;
    return {
      results: of.length,
      errors: of.filter(({ status }) => status !== "completed" && status !== "interrupted").length,
      waiting: of.filter(({ status }) => status === "interrupted").length,
      p50_ms: quantile(0.5),
      p95_ms: quantile(0.95),
      p99_ms: quantile(0.99),
      input_tokens: of.reduce((total, row) => total + row.input_tokens, 0),
      output_tokens: of.reduce((total, row) => total + row.output_tokens, 0),
      cost_nano_dollars: of.reduce((total, row) => total + row.cost_nano_dollars, 0),
    };
  };
  const byBucket = grouped(rows, bucket);
  function bucket(row: (typeof rows)[number]) {
    return Math.floor(Date.parse(row.completed_at) / 1000 / every) * every;
  }
  const buckets = at.map((begin) => sum(byBucket.get(begin) ?? []));
  const named = grouped(rows, (row) => row.chain?.split("#")[0] ?? "");
  const inFlight = [...world.runs.values()].filter(({ run }) => !run.completed_at).length;
  return {
    from: new Date((at[0] ?? 0) * 1000).toISOString(),
    to: new Date().toISOString(),
    every_seconds: every,
    at,
    results: buckets.map(({ results }) => results),
    errors: buckets.map(({ errors }) => errors),
    waiting: buckets.map(({ waiting }) => waiting),
    p50_ms: buckets.map(({ p50_ms }) => p50_ms),
    p95_ms: buckets.map(({ p95_ms }) => p95_ms),
    p99_ms: buckets.map(({ p99_ms }) => p99_ms),
    input_tokens: buckets.map(({ input_tokens }) => input_tokens),
    output_tokens: buckets.map(({ output_tokens }) => output_tokens),
    cost_nano_dollars: buckets.map(({ cost_nano_dollars }) => cost_nano_dollars),
    lag: at.map((_, index) => (index === at.length - 1 ? inFlight : null)),
    in_flight: at.map((_, index) => (index === at.length - 1 ? inFlight : null)),
    total: sum(rows),
    chains: [...named].map(([chain, of]) => ({ chain, ...sum(of) })).sort((a, b) => b.results - a.results),
    recorder_lag_ms: 120,
  };
}

function grouped<T, K>(items: T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
