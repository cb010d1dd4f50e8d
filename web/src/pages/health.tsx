// Who does what, how far the groups are, and what waits for whom.

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import type { Health, Instance } from "../api/client.ts";
import { queries } from "../api/queries.ts";
import { useNow } from "../feed/use-feed.ts";
import { ago, count, duration } from "../format.ts";
import { Broken, Loading } from "../parts/empty.tsx";
import { GroupPanel } from "../parts/group.tsx";
import { Icon } from "../parts/icon.tsx";
import { Instances, processName } from "../parts/instances.tsx";
import "../style/health.css";
import "../style/run.css";

const said: Record<string, string> = {
  ok: "All is well",
  degraded: "Something works less well than it should",
  down: "Calls cannot be taken",
};

/** The api is asked every 2 s. */
const STALE_MS = 10_000;

/** Never well with an answer of before. */
function overall(health: Health | undefined, isStale: boolean): { word: string; state: string } {
  if (!health) return { word: "", state: "" };
  if (isStale) return { word: "How it is now is not known", state: "unknown" };
  const { quarantined, gaps } = health.unrecorded ?? { quarantined: 0, gaps: 0 };
  const isDegradedBy = health.status === "degraded" && quarantined + gaps > 0;
  const word = isDegradedBy ? "Records are missing in their tables" : (said[health.status] ?? health.status);
  return { word, state: health.status };
}

export function HealthPage() {
  const { data: health, error, refetch, dataUpdatedAt } = useQuery(queries.health());
  const now = useNow(1_000);
  const isStale = error !== null || now - dataUpdatedAt > STALE_MS;
  const { word, state } = overall(health, isStale);
  // An api of before does not tell of the others.
  const instances = (health?.instances as Health["instances"] | undefined) ?? [];
  useEffect(() => {
    document.title = state === "" ? "Health · Millrace" : `${state} · Health · Millrace`;
  }, [state]);
  return (
    <div className="page">
      <h1>Health</h1>
      {health && (
        <p className="page-lead">
          <span className={`overall overall-${state}`}>
            <Icon name={state === "ok" ? "completed" : state === "down" ? "failed" : "wait"} />
            {word}
          </span>{" "}
          · as of {ago(dataUpdatedAt, now)}
        </p>
      )}
      {error && <Broken error={error} retry={() => void refetch()} />}
      {!health && !error && <Loading what="the state of things" />}
      {health && (
        <>
          <Parts health={health} instances={instances} />
          {instances.length > 0 && <Instances instances={instances} now={now} />}
          {health.groups.map((group) => (
            <GroupPanel key={group.group} group={group} now={now} members={health.members} instances={instances} />
          ))}
          <div className="in-and-out halves">
            <Limits health={health} />
            <Waiting health={health} />
          </div>
        </>
      )}
    </div>
  );
}

/** What everything stands on; of the roles only those that are not ready, once the table of processes shows them all. */
function Parts({ health, instances }: { health: Health; instances: readonly Instance[] }) {
  const roles =
    instances.length > 0
      ? instances
          .filter(({ alive }) => alive)
          .flatMap((one) =>
            one.roles.filter(({ ready }) => !ready).map((role) => ({ ...role, kind: `role of ${processName(one)}` })),
          )
      : health.instance.roles.map((role) => ({ ...role, kind: "role" }));
  const shown = [
    ...health.parts.map((part) => ({ ...part, kind: "" })),
    ...roles.map(({ name, ready, reason, kind }) => ({ name, ok: ready, detail: reason, kind })),
  ];
  return (
    <ul className="parts" aria-label="Parts and roles">
      {shown.map(({ name, ok, detail, kind }) => (
        <li key={`${kind}/${name}`} className={ok ? "" : "is-broken"}>
          <Icon name={ok ? "completed" : "failed"} />
          <span>
            <b>{name}</b> {kind !== "" && <span className="note">{kind}</span>}
            {!ok && <span className="why">{detail ?? "not ready"}</span>}
            {ok && <span className="unseen">works</span>}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Limits({ health }: { health: Health }) {
  return (
    <section className="panel" aria-label="Limits">
      <header>
        <h2>Providers</h2>
        <span className="note">of all processes</span>
      </header>
      {health.limits.length === 0 ? (
        <p className="body note">No orchestrator is alive that calls one.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th>Provider</th>
              <th className="number">Under way</th>
              <th className="number">At most</th>
              <th className="number">Wait for a limit</th>
            </tr>
          </thead>
          <tbody>
            {health.limits.map(({ provider, in_flight, waiting, concurrency }) => (
              <tr key={provider}>
                <td>{provider}</td>
                <td className="number">{count(in_flight)}</td>
                <td className="number">
                  {concurrency === null ? <span className="note">no limit</span> : count(concurrency)}
                </td>
                <td className={waiting > 0 ? "number is-late" : "number"}>{count(waiting)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Waiting({ health }: { health: Health }) {
  const { recorder, waiters, readers, unrecorded } = health;
  return (
    <section className="panel" aria-label="Who waits">
      <header>
        <h2>Who waits</h2>
      </header>
      <table>
        <tbody>
          <tr>
            <th scope="row">Callers that wait for a result, here</th>
            <td className="number">{count(waiters)}</td>
          </tr>
          <tr>
            <th scope="row">Open streams, here</th>
            <td className="number">{count(readers)}</td>
          </tr>
          {recorder.map(({ topic, lag_seconds }) => (
            <tr key={topic}>
              <th scope="row">Recorder behind on {topic}</th>
              <td className="number">{duration(lag_seconds * 1e6)}</td>
            </tr>
          ))}
          <Missing name="Records in quarantine" rows={unrecorded?.quarantined} />
          <Missing name="Gaps: deleted before they were recorded" rows={unrecorded?.gaps} />
        </tbody>
      </table>
    </section>
  );
}

function Missing({ name, rows }: { name: string; rows: number | undefined }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td className={rows ? "number is-late" : "number"}>
        {rows === undefined ? <span className="note">not known: Postgres is away</span> : count(rows)}
      </td>
    </tr>
  );
}
