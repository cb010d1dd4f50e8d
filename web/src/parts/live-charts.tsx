// Rate and latency of the very rows of the list, over the last five minutes, and the figures next to them.

import { useQuery } from "@tanstack/react-query";
import { useMemo, useSyncExternalStore } from "react";
import { queries } from "../api/queries.ts";
import { series } from "../feed/series.ts";
import { useNow } from "../feed/use-feed.ts";
import { type Second, WINDOW_SECONDS } from "../feed/view.ts";
import { duration, money, percent, perSecond, short } from "../format.ts";
import { TimeChart } from "./chart.tsx";

type Props = {
  seconds: ReadonlyMap<number, Second>;
  band: readonly [number, number] | undefined;
  mark: number | undefined;
  onPick: (seconds: number) => void;
};

const narrow = matchMedia("(max-width: 700px)");
const subscribe = (changed: () => void) => {
  narrow.addEventListener("change", changed);
  return () => narrow.removeEventListener("change", changed);
};

export function Charts({ seconds, band, mark, onPick }: Props) {
  const isNarrow = useSyncExternalStore(subscribe, () => narrow.matches);
  const now = useNow(1_000) / 1000;
  // Once a second, not once a frame: there may be 60,000 latencies to sort.
  const { at, rate, errors, p50Ms, p95Ms, total } = useMemo(
    () => series(seconds, now, WINDOW_SECONDS, isNarrow ? 5 : 2),
    [seconds, now, isNarrow],
  );
  const recent = useMemo(() => series(seconds, now - 1, 10, 10).total, [seconds, now]);
  const stats = useQuery(queries.stats(1, 5)).data;
  const inFlight = stats?.in_flight.findLast((value) => value !== null);
  const lag = stats?.lag.findLast((value) => value !== null);
  const shared = { at, band, mark, onPick };
  return (
    <section className="charts" aria-label="The last five minutes">
      <figure>
        <figcaption>
          <Figure name="Results" value={`${perSecond(recent.results / 10)}/s`} />
          <Figure name="Failed" value={percent(total.errors, total.results)} isBad={total.errors > 0} />
          <Figure name="In flight" value={inFlight == null ? "–" : short(inFlight)} />
          <Figure name="Lag" value={lag == null ? "–" : short(lag)} />
          <span className="note window">last 5 min</span>
        </figcaption>
        <TimeChart
          {...shared}
          label="Results per second"
          format={perSecond}
          lines={[
            { label: "results", values: rate, draw: "bars", colour: "--bar" },
            { label: "not completed", values: errors, draw: "bars", colour: "--bad" },
          ]}
        />
      </figure>
      <figure>
        <figcaption>
          <Figure name="p50" value={total.p50Us === null ? "–" : duration(total.p50Us)} swatch="line" />
          <Figure name="p95" value={total.p95Us === null ? "–" : duration(total.p95Us)} swatch="dashes" />
          <Figure name="Tokens" value={total.results === 0 ? "–" : short(total.tokens)} />
          <Figure name="Cost" value={total.results === 0 ? "–" : money(total.cost)} />
        </figcaption>
        <TimeChart
          {...shared}
          label="Latency"
          format={(ms) => duration(ms * 1000)}
          lines={[
            { label: "p95", values: p95Ms, draw: "dashes", colour: "--muted" },
            { label: "p50", values: p50Ms, draw: "line", colour: "--accent" },
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
