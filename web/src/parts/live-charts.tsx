// Rate and latency of the last five minutes, and the figures next to them: as the api counts them, of all results, however
// few of them the list below remembers.

import { useQuery } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { queries } from "../api/queries.ts";
import type { Filter } from "../feed/view.ts";
import { useNow } from "../feed/use-feed.ts";
import { ago, count, duration, money, percent, perSecond, short } from "../format.ts";
import { TimeChart } from "./chart.tsx";

type Props = {
  filter: Filter;
  band: readonly [number, number] | undefined;
  mark: number | undefined;
  onPick: (seconds: number) => void;
};

const MINUTES = 5;
/** Of which the rate is told. */
const RECENT_SECONDS = 10;
/** Older figures are said to be so. */
const STALE_MS = 10_000;
const NONE: never[] = [];
const narrow = matchMedia("(max-width: 700px)");
const subscribe = (changed: () => void) => {
  narrow.addEventListener("change", changed);
  return () => narrow.removeEventListener("change", changed);
};

export function Charts({ filter, band, mark, onPick }: Props) {
  const every = useSyncExternalStore(subscribe, () => narrow.matches) ? 5 : 2;
  const { data: stats, dataUpdatedAt, error } = useQuery(queries.stats(MINUTES, every, filter.chain));
  const now = useNow(1_000);
  const total = stats?.total;
  const at = stats?.at ?? NONE;
  const recent = stats?.results.slice(-RECENT_SECONDS / every).reduce((sum, results) => sum + results, 0);
  const inFlight = stats?.in_flight.findLast((value) => value !== null);
  const lag = stats?.lag.findLast((value) => value !== null);
  const isSearched = filter.status + filter.key + filter.text !== "";
  const isStale = dataUpdatedAt > 0 && now - dataUpdatedAt > STALE_MS;
  const rate = (counts: number[] | undefined) => (counts ?? NONE).map((results) => results / every);
  const time = (ms: number | null | undefined) => (ms == null ? "–" : duration(ms * 1000));
  const shared = { at, band, mark, onPick };
  return (
    <section className="charts" aria-label="The last five minutes">
      <figure>
        <figcaption>
          <Figure name="Results" value={recent === undefined ? "–" : `${perSecond(recent / RECENT_SECONDS)}/s`} />
          <Figure
            name="Failed"
            value={total ? percent(total.errors, total.results) : "–"}
            isBad={total !== undefined && total.errors > 0}
          />
          {total && total.waiting > 0 && <Figure name="Waiting" value={count(total.waiting)} />}
          <Figure name="In flight" value={inFlight == null ? "–" : short(inFlight)} />
          <Figure name="Lag" value={lag == null ? "–" : short(lag)} />
          <span className={isStale || error ? "is-late" : "note window"} title={error?.message}>
            {isStale
              ? `as of ${ago(dataUpdatedAt, now)}`
              : error
                ? "not known now"
                : `${total ? `${count(total.results)} in ` : ""}the last ${MINUTES} min${isSearched ? ", before the search" : ""}`}
          </span>
        </figcaption>
        <TimeChart
          {...shared}
          label="Results per second"
          format={perSecond}
          lines={[
            { label: "results", values: rate(stats?.results), draw: "bars", colour: "--bar" },
            { label: "failed", values: rate(stats?.errors), draw: "bars", colour: "--bad" },
          ]}
        />
      </figure>
      <figure>
        <figcaption>
          <Figure name="p50" value={time(total?.p50_ms)} swatch="line" />
          <Figure name="p95" value={time(total?.p95_ms)} swatch="dashes" />
          <Figure name="Tokens" value={total?.results ? short(total.input_tokens + total.output_tokens) : "–"} />
          <Figure name="Cost" value={total?.results ? money(total.cost_nano_dollars) : "–"} />
        </figcaption>
        <TimeChart
          {...shared}
          label="Latency"
          format={(ms) => duration(ms * 1000)}
          lines={[
            { label: "p95", values: stats?.p95_ms ?? NONE, draw: "dashes", colour: "--muted" },
            { label: "p50", values: stats?.p50_ms ?? NONE, draw: "line", colour: "--accent" },
          ]}
        />
      </figure>
    </section>
  );
}

type FigureProps = { name: string; value: string; isBad?: boolean; swatch?: "line" | "dashes" };

function Figure({ name, value, isBad, swatch }: FigureProps) {
  return (
    <span className={isBad ? "figure is-bad" : "figure"}>
      {swatch && <span className={`swatch swatch-${swatch}`} />}
      {name} <b>{value}</b>
    </span>
  );
}
