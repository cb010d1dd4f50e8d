// Health of the mock: two processes and one that is gone, with one of each oddity that the page shall show.

import type { Group, Health, Instance } from "../src/api/client.ts";
import type { World } from "./world.ts";

type Now = Pick<World, "firstResult" | "quarantined" | "results" | "startedAt">;

const HERE = "0198f3c2-7a51-7c1e-9d0b-3f6f0a9b7c11";
const ELSEWHERE = "0198f3c2-9b02-7d44-8a33-1e2d3c4b5a69";
const GONE = "0198f3b1-0c3e-7a90-b1d2-4c5d6e7f8091";
const GROUP = "millrace.orchestrator";
const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000).toISOString();

export function health(world: Now): Health {
  const here = instance(world, HERE, 4242, ["api", "indexer", "orchestrator", "recorder"], 2);
  const { id, host, pid, version, started_at, roles } = here;
  return {
    status: "degraded",
    at: ago(0),
    instance: { id, host, pid, version, started_at, roles },
    instances: [
      here,
      instance(world, ELSEWHERE, 4267, ["orchestrator"], 1),
      { ...instance(world, GONE, 3981, ["orchestrator"], 1), alive: false, reported_at: ago(74) },
    ],
    parts: [
      { name: "broker", ok: true, detail: null },
      { name: "registry", ok: true, detail: null },
      { name: "postgres", ok: false, detail: "connection refused (127.0.0.1:25432)" },
      { name: "results", ok: true, detail: null },
    ],
    members: [
      { group: GROUP, client_id: "millrace-orchestrator-4242", host: "127.0.0.1" },
      { group: GROUP, client_id: "millrace-orchestrator-4267", host: "127.0.0.1" },
      { group: "millrace.indexer", client_id: "millrace-indexer-4242", host: "127.0.0.1" },
    ],
    groups: [
      { group: GROUP, state: "Stable", lag: 12, in_flight: 9, waiting_for_limits: 2, partitions: partitions(world) },
      { group: "millrace.indexer", state: "Stable", lag: 0, in_flight: 0, waiting_for_limits: 0, partitions: [] },
    ],
    limits: [
      { provider: "openai", in_flight: 8, waiting: 2, concurrency: 8 },
      { provider: "local", in_flight: 0, waiting: 0, concurrency: null },
    ],
    recorder: [
      { topic: "results", lag_seconds: 0.12 },
      { topic: "audit", lag_seconds: 0.15 },
    ],
    unrecorded: { quarantined: world.quarantined, gaps: 0 },
    waiters: 1,
    readers: 2,
    known_from: { members: "the broker" },
  };
}

function instance(world: Now, id: string, pid: number, roles: string[], partitions: number): Instance {
  return {
    id,
    host: "mill-1",
    pid,
    version: "0.1.0",
    started_at: world.startedAt,
    roles: roles.map((name) => ({ name, ready: true, reason: null })),
    here: id === HERE,
    alive: true,
    reported_at: ago(1),
    partitions,
    groups: [{ group: GROUP, in_flight: 4, waiting_for_limits: 1 }],
    limits: [],
  };
}

/** The third is full, and the last has no owner and no offset. */
function partitions(world: Now): Group["partitions"] {
  return [0, 1, 2, 3].map((partition) => {
    const done = 48_000 + partition * 911 + world.firstResult + world.results.length;
    const owner = [HERE, HERE, ELSEWHERE, null][partition] ?? null;
    const above = [0, 118, 1_990, 0][partition] ?? 0;
    const figures =
      owner === null
        ? { watermark: null, highest_done: null, done_above: null, lag: null, commits: null }
        : {
            watermark: done,
            highest_done: done + above + (above ? 5 : 0),
            done_above: above,
            lag: above ? 9 : 0,
            commits: 9_120 + partition,
          };
    const reported =
      owner === null
        ? { window: null, in_flight: null, ledger: null, oldest: null, full_since: null }
        : {
            window: above + (above ? 9 : 0),
            in_flight: above ? 9 : 0,
            ledger: 0,
            oldest: above ? { offset: done, at: ago(42) } : null,
            full_since: partition === 2 ? ago(17) : null,
          };
    return {
      topic: "millrace.requests",
      partition,
      owner: owner && `${GROUP}.${owner}`,
      instance: owner,
      here: owner === HERE,
      log_end: done + above + (above ? 9 : 0),
      ...figures,
      ...reported,
      problem:
        owner === null
          ? "no committed offset, and the log starts at 310: `millrace topics apply` does not guess; say `topics offsets --to earliest` or `--to latest`"
          : null,
    };
  });
}
