// What the pages ask for, under which keys it is kept, and when it is asked for again.

import { QueryClient, queryOptions } from "@tanstack/react-query";
import { api, type Place, type Run, type Steps } from "./client.ts";
import { Problem } from "./problem.ts";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1_000,
      // A mistake stays one; what is away may come back.
      retry: (failures, error) => error instanceof Problem && error.retryable && error.status !== 0 && failures < 2,
    },
  },
});

/** Asks again after this long, later when it went wrong. */
const every = (ms: number) => (query: { state: { status: string } }) => (query.state.status === "error" ? 2 * ms : ms);

export const queries = {
  chains: () => queryOptions({ queryKey: ["chains"], queryFn: api.chains, refetchInterval: every(10_000) }),
  chain: (chain: string) =>
    queryOptions({ queryKey: ["chain", chain], queryFn: (with_) => api.chain(chain, with_), enabled: chain !== "" }),
  runs: (chain: string, limit: number) =>
    queryOptions({
      queryKey: ["runs", chain, limit],
      queryFn: (with_) => api.runs({ chain, limit }, with_),
      refetchInterval: every(3_000),
    }),
  run: (id: string) =>
    queryOptions({
      queryKey: ["run", id],
      queryFn: (with_) => api.run(id, with_),
      staleTime: 5_000,
      // Somebody else may decide.
      refetchInterval: ({ state: { data } }) => (data?.status === "interrupted" ? 3_000 : false),
      structuralSharing: (before, now) => withLaterTurn(before as Run | undefined, now as Run),
    }),
  steps: (id: string) =>
    queryOptions({
      queryKey: ["steps", id],
      queryFn: (with_) => api.steps(id, with_),
      structuralSharing: (before, now) => withNewer(before as Steps | undefined, now as Steps),
    }),
  records: (id: string) => queryOptions({ queryKey: ["records", id], queryFn: (with_) => api.records(id, with_) }),
  /** What lies in a topic does not change; it may only go. */
  record: (id: string, place: Place) =>
    queryOptions({
      queryKey: ["record", id, place.topic, place.partition, place.offset],
      queryFn: (with_) => api.record(id, place, with_),
      staleTime: Infinity,
    }),
  deadLetter: (id: string) =>
    queryOptions({ queryKey: ["dead-letter", id], queryFn: (with_) => api.deadLetter(id, with_), staleTime: Infinity }),
  /** A live figure: of the last minutes, for the whole page. */
  stats: (minutes: number, seconds: number, chain?: string) =>
    queryOptions({
      queryKey: ["stats", minutes, seconds, chain],
      queryFn: (with_) => api.stats({ minutes, every: seconds, ...(chain ? { chain } : {}) }, with_),
      placeholderData: (before) => before,
      refetchInterval: every(2_000),
    }),
  health: () => queryOptions({ queryKey: ["health"], queryFn: api.health, refetchInterval: every(2_000) }),
};

/** Postgres may not know yet that a run goes on. */
export function withLaterTurn(before: Run | undefined, now: Run): Run {
  return before !== undefined && before.turn > now.turn ? before : now;
}

/** An event may be quicker than an answer that was on its way: what only the event knew is kept. */
export function withNewer(before: Steps | undefined, now: Steps): Steps {
  const told = new Map(now.steps.map((step) => [step.attempt_id, step]));
  for (const step of before?.steps ?? []) {
    const answered = told.get(step.attempt_id);
    if (!answered || (answered.ended_at === null && step.ended_at !== null)) told.set(step.attempt_id, step);
  }
  const began = ({ started_at, ended_at }: Steps["steps"][number]) => Date.parse(started_at ?? ended_at ?? "");
  return { ...now, steps: [...told.values()].sort((a, b) => began(a) - began(b)) };
}
