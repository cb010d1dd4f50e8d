// The figures of /stats. It counts a run that waits for a decision among those that are not completed; a run that waits
// has not failed, so those are counted apart: GET /runs says which they are, as far as they were asked for not long ago.

import { api, type Run, type Stats } from "./client.ts";

/** `errors` are failed and cancelled; `waiting` wait for a decision. */
export type Counted = Stats["total"] & { waiting: number };
export type Figures = Omit<Stats, "total" | "chains"> & {
  total: Counted;
  chains: (Counted & { chain: string })[];
  /** Whether more may wait than were counted. */
  isAtLeast: boolean;
};

type Query = { chain?: string; minutes: number; every: number };
type Signal = { signal: AbortSignal };

const PAGE = 200;
const MOST_PAGES = 5;
/** A run may have been accepted before the time that is looked at, and wait since it began. */
const BEFORE = 15 * 60_000;

export async function figures(query: Query, { signal }: Signal): Promise<Figures> {
  const stats = await api.stats(query, { signal });
  if (stats.total.errors === 0) return apart(stats, [], false);
  const found: Run[] = [];
  const from = Date.parse(stats.from) - BEFORE;
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const { runs, next_cursor } = await api.runs(
      {
        status: "interrupted",
        limit: PAGE,
        ...(query.chain ? { chain: query.chain } : {}),
        ...(cursor ? { cursor } : {}),
      },
      { signal },
    );
    found.push(...runs);
    cursor = next_cursor;
    const last = runs.at(-1);
    if (!cursor || !last || Date.parse(last.accepted_at ?? last.created_at ?? "") < from)
      return apart(stats, found, false);
  }
  return apart(stats, found, true);
}

export function apart(stats: Stats, runs: readonly Run[], isAtLeast: boolean): Figures {
  const errors = [...stats.errors];
  const waits = new Map<string, number>();
  let waiting = 0;
  const [begin, end] = [Date.parse(stats.from), Date.parse(stats.to)];
  for (const run of runs) {
    const at = Date.parse(run.completed_at ?? "");
    if (!(at >= begin && at < end)) continue;
    const bucket = Math.floor((at / 1000 - (stats.at[0] ?? 0)) / stats.every_seconds);
    // One that was decided since /stats looked is no error there.
    if (!errors[bucket]) continue;
    errors[bucket] -= 1;
    waiting += 1;
    const chain = run.chain?.split("#", 1)[0] ?? "";
    waits.set(chain, (waits.get(chain) ?? 0) + 1);
  }
  const less = <C extends Stats["total"]>(counted: C, waiting: number) => ({
    ...counted,
    errors: Math.max(0, counted.errors - waiting),
    waiting: Math.min(waiting, counted.errors),
  });
  return {
    ...stats,
    errors,
    total: less(stats.total, waiting),
    chains: stats.chains.map((counted) => less(counted, waits.get(counted.chain) ?? 0)),
    isAtLeast,
  };
}
