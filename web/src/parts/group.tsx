// A consumer group: each partition with who owns it and how far it is.

import type { Group, GroupPartition, Health, Instance } from "../api/client.ts";
import { count, duration } from "../format.ts";
import { Icon } from "./icon.tsx";
import { processName } from "./instances.tsx";

type Props = { group: Group; now: number; members: Health["members"]; instances: readonly Instance[] };

export function GroupPanel({ group, now, members, instances }: Props) {
  const own = members.filter((member) => member.group === group.group);
  return (
    <section className="panel" aria-label={`Group ${group.group}`}>
      <header>
        <h2 className="mono">{group.group}</h2>
        <span className="note">
          {group.state} · {count(own.length)} {own.length === 1 ? "member" : "members"} · lag {count(group.lag)}
          {group.in_flight !== null && <> · {count(group.in_flight)} in flight</>}
          {group.waiting_for_limits ? <> · {count(group.waiting_for_limits)} wait for limits</> : null}
        </span>
      </header>
      {group.partitions.length === 0 ? (
        <p className="body note">No partition has been committed yet.</p>
      ) : (
        <div className="scroll" tabIndex={0} role="region" aria-label={`Partitions of ${group.group}`}>
          <table className="partitions">
            <thead>
              <tr>
                <th>Partition</th>
                <th>Owner</th>
                <th className="number">Watermark</th>
                <th className="number">Highest done</th>
                <th className="number">Done above</th>
                <th className="number">Window</th>
                <th className="number">In flight</th>
                <th className="number">Lag</th>
                <th className="number">Oldest lane</th>
              </tr>
            </thead>
            <tbody>
              {group.partitions.map((partition) => (
                <Row
                  key={`${partition.topic}/${partition.partition}`}
                  of={partition}
                  now={now}
                  owner={instances.find(({ id }) => id === partition.instance)}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {own.length > 0 && instances.length === 0 && (
        <p className="body note">
          Members: {own.map(({ client_id, host }) => `${client_id} at ${host.replace(/^\//, "")}`).join(", ")}
        </p>
      )}
    </section>
  );
}

/** Milliseconds after which a lane is old enough to look at. */
const LATE = 30_000;

const figure = (value: number | null) => (value === null ? "–" : count(value));

function Row({ of, now, owner }: { of: GroupPartition; now: number; owner: Instance | undefined }) {
  const since = (at: string) => duration(Math.max(0, now - Date.parse(at)) * 1000);
  const isOld = of.oldest !== null && now - Date.parse(of.oldest.at) > LATE;
  return (
    <>
      <tr>
        <td className="mono">
          {of.topic}/{of.partition}
        </td>
        <td>
          <Owner of={of} process={owner} />
        </td>
        <td className="number">{figure(of.watermark)}</td>
        <td className="number">{figure(of.highest_done)}</td>
        <td className="number">{figure(of.done_above)}</td>
        <td className={of.full_since ? "number is-late" : "number"}>{figure(of.window)}</td>
        <td className="number">{figure(of.in_flight)}</td>
        <td className={of.lag ? "number strong" : "number"}>{figure(of.lag)}</td>
        <td className={isOld ? "number is-late" : "number"}>
          {of.oldest === null ? "–" : <span title={`offset ${of.oldest.offset}`}>{since(of.oldest.at)}</span>}
        </td>
      </tr>
      {of.full_since && (
        <tr className="problem is-late">
          <td colSpan={9}>
            <div className="problem-text">
              <Icon name="wait" /> Nothing more is read for {since(of.full_since)}: the window is full until its oldest
              lane is done.
            </div>
          </td>
        </tr>
      )}
      {of.problem && (
        <tr className="problem">
          <td colSpan={9}>
            <div className="problem-text">
              <Icon name="failed" /> {of.problem}
            </div>
          </td>
        </tr>
      )}
    </>
  );
}

function Owner({ of, process }: { of: GroupPartition; process: Instance | undefined }) {
  if (of.owner === null) return <span className="note">nobody</span>;
  if (process) {
    return (
      <span title={of.owner}>
        {processName(process)} {!process.alive && <span className="is-late">silent</span>}
      </span>
    );
  }
  return (
    <span title={of.owner}>
      {of.here ? "this process" : "another"} <span className="mono note">…{of.owner.slice(-6)}</span>
    </span>
  );
}
