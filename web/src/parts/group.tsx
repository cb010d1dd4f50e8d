// A consumer group: each partition with who owns it and how far it is.

import type { Group, GroupPartition, Health } from "../api/client.ts";
import { count, duration } from "../format.ts";
import { Icon } from "./icon.tsx";

type Props = { group: Group; now: number; members: Health["members"] };

export function GroupPanel({ group, now, members }: Props) {
  const own = members.filter((member) => member.group === group.group);
  return (
    <section className="panel" aria-label={`Group ${group.group}`}>
      <header>
        <h2 className="mono">{group.group}</h2>
        <span className="note">
          {group.state} · {count(own.length)} {own.length === 1 ? "member" : "members"} · lag {count(group.lag)}
          {group.in_flight !== null && <> · {count(group.in_flight)} in flight here</>}
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
                <Row key={`${partition.topic}/${partition.partition}`} of={partition} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {own.length > 0 && (
        <p className="body note">
          Members: {own.map(({ client_id, host }) => `${client_id} at ${host.replace(/^\//, "")}`).join(", ")}
        </p>
      )}
    </section>
  );
}

const figure = (value: number | null) => (value === null ? "–" : count(value));

function Row({ of, now }: { of: GroupPartition; now: number }) {
  const age = of.oldest ? now - Date.parse(of.oldest.at) : undefined;
  return (
    <>
      <tr>
        <td className="mono">
          {of.topic}/{of.partition}
        </td>
        <td>
          {of.owner === null ? (
            <span className="note">nobody</span>
          ) : (
            <span title={of.owner}>
              {of.here ? "this process" : "another"} <span className="mono note">…{of.owner.slice(-6)}</span>
            </span>
          )}
        </td>
        <td className="number">{figure(of.watermark)}</td>
        <td className="number">{figure(of.highest_done)}</td>
        <td className="number">{figure(of.done_above)}</td>
        <td className="number">{figure(of.window)}</td>
        <td className="number">{figure(of.in_flight)}</td>
        <td className={of.lag ? "number strong" : "number"}>{figure(of.lag)}</td>
        <td className={age !== undefined && age > 30_000 ? "number is-late" : "number"}>
          {age === undefined ? (
            "–"
          ) : (
            <span title={`offset ${of.oldest?.offset ?? ""}`}>{duration(Math.max(0, age) * 1000)}</span>
          )}
        </td>
      </tr>
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
