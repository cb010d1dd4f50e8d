// Results as they commit. The list follows until somebody holds it: by the button, by scrolling, or by picking a row;
// then it stands still, counts what waits, and nothing moves under the eye.

import { useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import { trouble } from "../feed/store.ts";
import { useFeed } from "../feed/use-feed.ts";
import { type Filter, noFilter, View } from "../feed/view.ts";
import { count } from "../format.ts";
import { Broken, Empty, Loading } from "../parts/empty.tsx";
import { Icon } from "../parts/icon.tsx";
import { Charts } from "../parts/live-charts.tsx";
import { Filters } from "../parts/live-filters.tsx";
import { Rows, type RowsHandle } from "../parts/live-rows.tsx";
import { FirstSteps } from "../parts/first-steps.tsx";
import { useKeys } from "../parts/shortcuts.tsx";
import { to } from "../routes.ts";
import "../style/live.css";

type Held = { end: number; by: "person" | "scroll" };

export function LivePage() {
  const feed = useFeed();
  const [, go] = useLocation();
  const [query, setQuery] = useSearchParams();
  const filter = filterOf(query);
  const words = Object.values(filter).join("\n");
  // eslint-disable-next-line react-hooks/exhaustive-deps -- `words` is the filter
  const view = useMemo(() => new View(feed, filter), [feed, words]);
  view.advance();

  const [held, setHeld] = useState<Held>();
  const [selected, setSelected] = useState<number>();
  const [pointed, setPointed] = useState<number>();
  const [shown, setShown] = useState<readonly [number, number]>();
  const rows = useRef<RowsHandle>(null);
  const search = useRef<HTMLInputElement>(null);

  const end = held?.end ?? feed.end;
  const size = view.size(end);
  const waiting = view.size() - size;
  const hold = (by: Held["by"]) =>
    setHeld((held) => (held?.by === "person" ? held : { end: held?.end ?? feed.end, by }));
  const followAgain = () => {
    setHeld(undefined);
    setSelected(undefined);
    rows.current?.toTop();
  };
  const select = (step: number) => {
    const known = selected === undefined ? undefined : indexOf(view, selected, size, end);
    const index = known === undefined ? 0 : Math.min(size - 1, Math.max(0, known + step));
    const row = view.at(index, end);
    if (!row) return;
    hold("person");
    setSelected(row.seq);
    rows.current?.show(index);
  };
  const pick = (seconds: number) => {
    hold("person");
    rows.current?.show(view.indexAt(seconds * 1000, end), "start");
  };

  useEffect(() => {
    document.title = waiting > 0 ? `(${count(waiting)}) Live · Millrace` : "Live · Millrace";
  }, [waiting]);

  useKeys((event) => {
    const row = selected === undefined ? undefined : feed.row(selected);
    if (event.key === "j" || event.key === "ArrowDown") select(1);
    else if (event.key === "k" || event.key === "ArrowUp") select(-1);
    else if (event.key === "Enter" && row?.id && !(event.target instanceof HTMLAnchorElement)) go(to.run(row.id));
    else if (event.key === "/") search.current?.focus();
    else if (event.key === " " && !(event.target instanceof HTMLButtonElement)) {
      if (held) followAgain();
      else hold("person");
    } else if (event.key === "Escape" && held) followAgain();
    else return;
    event.preventDefault();
  });

  const change = (changed: Partial<Filter>) =>
    setQuery(
      (query) => {
        for (const [name, value] of Object.entries(changed)) {
          if (value === "") query.delete(name === "text" ? "q" : name);
          else query.set(name === "text" ? "q" : name, value);
        }
        return query;
      },
      { replace: true },
    );

  const problem = trouble(feed.link);
  return (
    <div className="live">
      <h1 className="unseen">Live: results as they commit</h1>
      <Charts filter={filter} band={held ? shown : undefined} mark={pointed} onPick={pick} />
      <div className="tools">
        <Filters filter={filter} change={change} search={search} />
        <button
          className="follow"
          aria-pressed={held !== undefined}
          onClick={() => (held ? followAgain() : hold("person"))}
        >
          <Icon name={held ? "play" : "pause"} />
          {held ? "Follow" : "Hold"}
        </button>
      </div>
      {problem && size > 0 && (
        <p className="notice">
          <Icon name="wait" /> {problem.message} What is below is what came before.
        </p>
      )}
      <Rows
        ref={rows}
        view={view}
        end={end}
        size={size}
        isHeld={held !== undefined}
        selected={selected}
        onPoint={setPointed}
        onShown={setShown}
        onScrolled={(isAtTop) => {
          if (!isAtTop) hold("scroll");
          else if (held?.by === "scroll") setHeld(undefined);
        }}
      >
        {size > 0 ? null : problem ? (
          <Broken error={problem} />
        ) : words !== Object.values(noFilter).join("\n") && feed.end > 0 ? (
          <Empty title="No result that is remembered here passes the filter">
            <button onClick={() => change(noFilter)}>Clear the filter</button>
          </Empty>
        ) : feed.link.is === "open" ? (
          <FirstSteps />
        ) : (
          <Loading what="what went by" />
        )}
      </Rows>
      {held && (
        <div className="waiting">
          <button className="primary" onClick={followAgain}>
            {waiting > 0 ? `${count(waiting)} new · follow` : "Held · follow"}
          </button>
        </div>
      )}
    </div>
  );
}

function filterOf(query: URLSearchParams): Filter {
  const text = (name: string) => query.get(name) ?? "";
  return { chain: text("chain"), status: text("status"), key: text("key"), text: text("q") };
}

/** Where a row is in the list now; rows keep their number while places move. */
function indexOf(view: View, seq: number, size: number, end: number): number | undefined {
  let [low, high] = [0, size];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((view.at(middle, end)?.seq ?? -1) > seq) low = middle + 1;
    else high = middle;
  }
  return view.at(low, end)?.seq === seq ? low : undefined;
}
