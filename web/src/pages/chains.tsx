// What can be called, and how it has been doing in the last hour.

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link } from "wouter";
import type { ChainSummary, Stats } from "../api/client.ts";
import { queries } from "../api/queries.ts";
import { useNow } from "../feed/use-feed.ts";
import { ago, count, duration, money, percent } from "../format.ts";
import { Broken, Empty, Loading } from "../parts/empty.tsx";
import { to } from "../routes.ts";
import "../style/chain.css";

export function ChainsPage() {
  const chains = useQuery(queries.chains());
  const stats = useQuery(queries.stats(60, 60));
  const now = useNow(10_000);
  useEffect(() => {
    document.title = "Chains · Millrace";
  }, []);
  const names = grouped(chains.data?.chains ?? []);
  return (
    <div className="page">
      <h1>Chains</h1>
      <p className="page-lead">As the orchestrators published them; figures are of the last hour.</p>
      {chains.error && <Broken error={chains.error} retry={() => void chains.refetch()} />}
      {chains.isPending && <Loading what="the chains" />}
      {chains.data && names.length === 0 && (
        <Empty title="No chain is published yet">
          <p>An orchestrator publishes the chains that it loads. Start one: millrace run --roles orchestrator.</p>
        </Empty>
      )}
      {stats.error && !chains.error && <Broken error={stats.error} retry={() => void stats.refetch()} />}
      {names.length > 0 && (
        <div className="panel scroll">
          <table className="chains">
            <thead>
              <tr>
                <th>Chain</th>
                <th>Version</th>
                <th className="number">Results</th>
                <th className="number">Failed</th>
                <th className="number">Waiting</th>
                <th className="number">p50</th>
                <th className="number">p95</th>
                <th className="number">Cost</th>
                <th>Published</th>
              </tr>
            </thead>
            <tbody>
              {names.map(([name, versions]) => (
                <ChainRow key={name} name={name} versions={versions} stats={stats.data} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

type RowProps = { name: string; versions: ChainSummary[]; stats: Stats | undefined; now: number };

function ChainRow({ name, versions, stats, now }: RowProps) {
  const newest = versions.reduce((a, b) => (b.version > a.version ? b : a));
  const of = stats?.chains.find(({ chain }) => chain === `${name}@${newest.version}`);
  const time = (ms: number | null | undefined) => (ms == null ? "–" : duration(ms * 1000));
  return (
    <tr>
      <td>
        <Link href={to.chain(name)}>{name}</Link>
      </td>
      <td>
        {newest.version}
        {versions.length > 1 && <span className="note"> of {versions.length}</span>}
      </td>
      <td className="number">{of ? count(of.results) : "–"}</td>
      <td className={of && of.errors > 0 ? "number is-bad" : "number"}>{of ? percent(of.errors, of.results) : "–"}</td>
      <td className="number">{of?.waiting ? count(of.waiting) : "–"}</td>
      <td className="number">{time(of?.p50_ms)}</td>
      <td className="number">{time(of?.p95_ms)}</td>
      <td className="number">{of ? money(of.cost_nano_dollars) : "–"}</td>
      <td className="note">{ago(newest.published_at, now)}</td>
    </tr>
  );
}

function grouped(chains: ChainSummary[]): [string, ChainSummary[]][] {
  const groups = new Map<string, ChainSummary[]>();
  for (const chain of chains) groups.set(chain.name, [...(groups.get(chain.name) ?? []), chain]);
  return [...groups];
}
