// What becomes of a run that was just sent: its events as they are known, its answer, and its row among the others.

import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import type { Run, Step } from "../api/client.ts";
import { Problem } from "../api/problem.ts";
import { queries } from "../api/queries.ts";
import { isFinal, useRunEvents } from "../feed/run-events.ts";
import { useFeed } from "../feed/use-feed.ts";
import type { Feed, Row } from "../feed/store.ts";
import { clock, duration, money } from "../format.ts";
import { to } from "../routes.ts";
import { Approvals } from "./approvals.tsx";
import { Broken, Empty } from "./empty.tsx";
import { Status } from "./status.tsx";
import { Value } from "./value.tsx";

const SHOWN = 8;

export function Arrival({ run }: { run: Run | undefined }) {
  return (
    <div className="arrival">
      {run ? (
        <Events sent={run} />
      ) : (
        <div className="panel">
          <Empty title="Nothing sent yet">
            <p>Events and the answer appear here, and the row among the latest results below.</p>
          </Empty>
        </div>
      )}
      <Latest id={run?.id} />
    </div>
  );
}

function Events({ sent }: { sent: Run }) {
  const run = useQuery({ ...queries.run(sent.id), initialData: sent }).data;
  const steps = useQuery(queries.steps(sent.id)).data?.steps ?? [];
  const link = useRunEvents(sent.id, run);
  const events = [
    ...((run.accepted_at ?? run.created_at)
      ? [
          {
            at: Date.parse(run.accepted_at ?? run.created_at ?? ""),
            what: "on the stream",
            note: run.request_src ?? "",
          },
        ]
      : []),
    ...steps.flatMap(ofStep),
    ...(run.completed_at
      ? [{ at: Date.parse(run.completed_at), what: run.status, note: money(run.cost_nano_dollars ?? 0) }]
      : []),
  ];
  // The api learns of the begin only with the result; the first call tells it earlier.
  const status = run.status === "queued" && steps.length > 0 ? "in_progress" : run.status;
  const zero = events[0]?.at ?? 0;
  return (
    <>
      <section className="panel" aria-label="Events">
        <header>
          <h2>
            <Status status={status} />
          </h2>
          <Link href={to.run(run.id)}>Open the run</Link>
        </header>
        {link.is === "waiting" && <Broken error={link.problem} />}
        <ol className="events" aria-live="polite">
          {events.map(({ at, what, note }, index) => (
            <li key={index}>
              <span className="number">{index === 0 ? clock(at) : `+${duration(Math.max(0, at - zero) * 1000)}`}</span>
              <span>{what}</span>
              <span className="note">{note}</span>
            </li>
          ))}
        </ol>
      </section>
      {run.error && <Broken error={new Problem(run.error.class, run.error.message, 0, false)} />}
      {run.status === "interrupted" && <Approvals run={run} />}
      {isFinal(run) && run.output !== undefined && <Value title="Output" value={run.output} isProse />}
    </>
  );
}

function ofStep(step: Step) {
  const note = `${step.model}${step.attempt > 1 ? `, attempt ${step.attempt}` : ""}${step.route_reason && step.route_reason !== "primary" ? `, ${step.route_reason}` : ""}`;
  const began = step.started_at ?? step.ended_at;
  return [
    ...(began ? [{ at: Date.parse(began), what: `${step.step}: called`, note }] : []),
    ...(step.ended_at
      ? [
          {
            at: Date.parse(step.ended_at),
            what: `${step.step}: ${step.outcome}`,
            note: step.first_token_us ? `first token after ${duration(step.first_token_us)}` : "",
          },
        ]
      : []),
  ];
}

function Latest({ id }: { id: string | undefined }) {
  const feed = useFeed();
  const rows = latest(feed);
  return (
    <section className="panel" aria-label="Latest results">
      <header>
        <h2>Latest results</h2>
        <Link href={to.live()}>All</Link>
      </header>
      {rows.length === 0 ? (
        <p className="body note">None yet.</p>
      ) : (
        <ol className="latest">
          {rows.map((row) => (
            <li key={row.seq} className={row.id === id ? "is-own" : ""}>
              <span className="mono note">{clock(row.at)}</span>
              <Status status={row.status} />
              <Link href={to.run(row.id)}>
                {row.id === id && <b>yours: </b>}
                {row.preview || row.id}
              </Link>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function latest(feed: Feed): Row[] {
  const rows: Row[] = [];
  for (let seq = feed.end - 1; seq >= feed.first && rows.length < SHOWN; seq--) {
    const row = feed.row(seq);
    if (row && row.status !== "gap") rows.push(row);
  }
  return rows;
}
