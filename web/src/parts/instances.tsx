// Every process that is known, as it says of itself.

import type { Instance } from "../api/client.ts";
import { ago, count, duration, moment } from "../format.ts";
import { Icon } from "./icon.tsx";

export function Instances({ instances, now }: { instances: readonly Instance[]; now: number }) {
  const silent = instances.filter(({ alive }) => !alive).length;
  return (
    <section className="panel" aria-label="Processes">
      <header>
        <h2>Processes</h2>
        <span className="note">
          {count(instances.length - silent)} alive
          {silent > 0 && <> · {count(silent)} silent</>}
        </span>
      </header>
      <div className="scroll" tabIndex={0} role="region" aria-label="Table of processes">
        <table className="processes">
          <thead>
            <tr>
              <th>Process</th>
              <th>Roles</th>
              <th className="number">Partitions</th>
              <th className="number">In flight</th>
              <th className="number">Wait for a limit</th>
              <th className="number">Up</th>
              <th className="number">Last report</th>
            </tr>
          </thead>
          <tbody>
            {instances.map((instance) => (
              <ProcessRow key={instance.id} of={instance} now={now} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

function ProcessRow({ of, now }: { of: Instance; now: number }) {
  const { version, started_at, roles, here, alive, reported_at, partitions, groups } = of;
  return (
    <tr className={alive ? "" : "is-silent"}>
      <td title={`${of.id}, version ${version}`}>
        {processName(of)} {here && <span className="note">answers you</span>}
        {!alive && <span className="is-late">silent</span>}
      </td>
      <td className="roles">
        {roles.map(({ name, ready, reason }) => (
          <span key={name} className={ready ? "" : "is-bad"}>
            {!ready && <Icon name="failed" />}
            {name}
            {!ready && <>: {reason ?? "not ready"}</>}
          </span>
        ))}
      </td>
      <td className="number">{count(partitions)}</td>
      <td className="number">{count(sum(groups.map(({ in_flight }) => in_flight)))}</td>
      <td className="number">{count(sum(groups.map(({ waiting_for_limits }) => waiting_for_limits)))}</td>
      <td className="number" title={moment(started_at)}>
        {alive ? duration(Math.max(0, now - Date.parse(started_at)) * 1000) : "–"}
      </td>
      <td className={alive ? "number" : "number is-late"}>
        {!alive && <Icon name="wait" />} {ago(reported_at, now)}
      </td>
    </tr>
  );
}

export const processName = ({ host, pid }: Pick<Instance, "host" | "pid">) => `${host}:${pid}`;
