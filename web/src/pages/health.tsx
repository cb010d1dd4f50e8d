// Who does what, how far the groups are, and what waits for whom.

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import type { Health } from "../api/client.ts";
import { queries } from "../api/queries.ts";
import { useNow } from "../feed/use-feed.ts";
import { ago, count, duration, moment } from "../format.ts";
import { Broken, Loading } from "../parts/empty.tsx";
import { GroupPanel } from "../parts/group.tsx";
import { Icon } from "../parts/icon.tsx";
import "../style/health.css";
import "../style/run.css";

const said: Record<string, string> = {
  ok: "All is well",
  degraded: "Something works less well than it should",
  down: "Calls cannot be taken",
};

export function HealthPage() {
  const { data: health, error, refetch, dataUpdatedAt } = useQuery(queries.health());
  const now = useNow(1_000);
  useEffect(() => {
    document.title = health ? `${health.status} · Health · Millrace` : "Health · Millrace";
  }, [health]);
  return (
    <div className="page">
      <h1>Health</h1>
      {health && (
        <p className="page-lead">
          <span className={`overall overall-${health.status}`}>
            <Icon name={health.status === "ok" ? "completed" : health.status === "down" ? "failed" : "wait"} />
            {said[health.status] ?? health.status}
          </span>{" "}
          · as of {ago(dataUpdatedAt, now)}
        </p>
      )}
      {error && <Broken error={error} retry={() => void refetch()} />}
      {!health && !error && <Loading what="the state of things" />}
      {health && (
        <>
          <Parts health={health} />
          {health.groups.map((group) => (
            <GroupPanel key={group.group} group={group} now={now} members={health.members} />
          ))}
          <div className="in-and-out halves">
            <Limits health={health} />
            <Instance health={health} now={now} />
          </div>
        </>
      )}
    </div>
  );
}

function Parts({ health }: { health: Health }) {
  const roles = health.instance.roles.map(({ name, ready, reason }) => ({
    name,
    ok: ready,
    detail: reason,
    kind: "role",
  }));
  const parts = health.parts.map((part) => ({ ...part, kind: "part" }));
  return (
    <ul className="parts" aria-label="Parts and roles">
      {[...parts, ...roles].map(({ name, ok, detail, kind }) => (
        <li key={`${kind}/${name}`} className={ok ? "" : "is-broken"}>
          <Icon name={ok ? "completed" : "failed"} />
          <span>
            <b>{name}</b> <span className="note">{kind}</span>
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
        <span className="note">of this process</span>
      </header>
      {health.limits.length === 0 ? (
        <p className="body note">No orchestrator runs in this process.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th>Provider</th>
              <th className="number">Calls under way</th>
              <th className="number">Wait for a limit</th>
            </tr>
          </thead>
          <tbody>
            {health.limits.map(({ provider, in_flight, waiting }) => (
              <tr key={provider}>
                <td>{provider}</td>
                <td className="number">{count(in_flight)}</td>
                <td className={waiting > 0 ? "number is-late" : "number"}>{count(waiting)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Instance({ health, now }: { health: Health; now: number }) {
  const { instance, recorder, waiters, readers } = health;
  const up = (now - Date.parse(instance.started_at)) * 1000;
  return (
    <section className="panel" aria-label="This process">
      <header>
        <h2>This process</h2>
        <span className="note">{instance.version}</span>
      </header>
      <dl className="facts body">
        <div>
          <dt>Process</dt>
          <dd>{instance.pid}</dd>
        </div>
        <div>
          <dt>Up</dt>
          <dd title={moment(instance.started_at)}>{duration(Math.max(0, up))}</dd>
        </div>
        <div>
          <dt>Callers that wait</dt>
          <dd>{count(waiters)}</dd>
        </div>
        <div>
          <dt>Open streams</dt>
          <dd>{count(readers)}</dd>
        </div>
        {recorder.map(({ topic, lag_seconds }) => (
          <div key={topic}>
            <dt>Recorder, {topic}</dt>
            <dd>{duration(lag_seconds * 1e6)} behind</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
