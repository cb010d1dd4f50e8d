// Stats and health of the mock: plausible, and with one of each oddity that the page shall show.

import type { Group, Health, Stats } from "../src/api/client.ts";
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
  const rows = world.results
    .slice(-20_000)
    .filter((row) => Date.parse(row.completed_at) / 1000 >= (at[0] ?? 0) && (!chain || row.chain?.startsWith(chain)));
  const sum = (of: typeof rows): Stats["total"] => {
    const latencies = of.map((row) => row.latency_us / 1000).sort((a, b) => a - b);
    const quantile = (q: number) => latencies[Math.ceil(q * latencies.length) - 1] ?? null;
    return {
      results: of.length,
      errors: of.filter(({ status }) => status !== "completed").length,
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
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

export function health(world: World): Health {
  const at = new Date().toISOString();
  const owner = "millrace.orchestrator.0198f3c2-7a51-7c1e-9d0b-3f6f0a9b7c11";
  const elsewhere = "millrace.orchestrator.0198f3c2-9b02-7d44-8a33-1e2d3c4b5a69";
  const partitions: Group["partitions"] = [0, 1, 2, 3].map((partition) => {
    const done = 48_000 + partition * 911 + world.firstResult + world.results.length;
    const here = partition < 2;
    const above = [0, 118, 3, 0][partition] ?? 0;
    return {
      topic: "millrace.requests",
      partition,
      owner: partition === 3 ? null : here ? owner : elsewhere,
      here,
      watermark: partition === 3 ? null : done,
      highest_done: partition === 3 ? null : done + above + (above ? 5 : 0),
      done_above: partition === 3 ? null : above,
      log_end: done + above + (above ? 9 : 0),
      lag: partition === 3 ? null : above ? 9 : 0,
      commits: partition === 3 ? null : 9_120 + partition,
      window: here ? above + (above ? 9 : 0) : null,
      in_flight: here ? (above ? 9 : 0) : null,
      ledger: here ? 0 : null,
      oldest: here && above ? { offset: done, at: new Date(Date.now() - 42_000).toISOString() } : null,
      problem:
        partition === 3
          ? "no committed offset, and the log starts at 310: `millrace topics apply` does not guess; say `topics offsets --to earliest` or `--to latest`"
          : null,
    };
  });
  return {
    status: "degraded",
    at,
    instance: {
      pid: 4242,
      version: "0.1.0",
      started_at: world.startedAt,
      roles: ["api", "indexer", "orchestrator", "recorder"].map((name) => ({ name, ready: true, reason: null })),
    },
    parts: [
      { name: "broker", ok: true, detail: null },
      { name: "registry", ok: true, detail: null },
      { name: "postgres", ok: false, detail: "connection refused (127.0.0.1:25432)" },
      { name: "results", ok: true, detail: null },
    ],
    members: [
      { group: "millrace.orchestrator", client_id: "millrace-orchestrator-4242", host: "127.0.0.1" },
      { group: "millrace.orchestrator", client_id: "millrace-orchestrator-4267", host: "127.0.0.1" },
      { group: "millrace.indexer", client_id: "millrace-indexer-4242", host: "127.0.0.1" },
    ],
    groups: [
      { group: "millrace.orchestrator", state: "Stable", lag: 12, in_flight: 9, waiting_for_limits: 2, partitions },
      { group: "millrace.indexer", state: "Stable", lag: 0, in_flight: 0, waiting_for_limits: 0, partitions: [] },
    ],
    limits: [
      { provider: "openai", in_flight: 7, waiting: 2 },
      { provider: "local", in_flight: 0, waiting: 0 },
    ],
    recorder: [
      { topic: "results", lag_seconds: 0.12 },
      { topic: "audit", lag_seconds: 0.15 },
    ],
    waiters: 1,
    readers: 2,
    known_from: { members: "the broker" },
  };
}
