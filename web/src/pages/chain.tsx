// One chain: its graph, its file, its versions, and how its last runs went.

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link } from "wouter";
import type { Chain, Run } from "../api/client.ts";
import { queries } from "../api/queries.ts";
import { useNow } from "../feed/use-feed.ts";
import { ago, count, duration, money, moment, percent } from "../format.ts";
import { CopyButton } from "../parts/copy.tsx";
import { Broken, Empty, Loading } from "../parts/empty.tsx";
import { Graph } from "../parts/graph.tsx";
import { Highlighted } from "../parts/highlighted.tsx";
import { Inside } from "../parts/inside.tsx";
import { Status } from "../parts/status.tsx";
import { to } from "../routes.ts";
import "../style/chain.css";
import "../style/run.css";

export function ChainPage({ name }: { name: string }) {
  const query = useQuery(queries.chain(name));
  const chain = query.data;
  useEffect(() => {
    document.title = `${name} · Millrace`;
  }, [name]);
  if (!chain) {
    return (
      <div className="page">
        <h1>{name}</h1>
        {query.error ? <Broken error={query.error} retry={() => void query.refetch()} /> : <Loading what="the chain" />}
      </div>
    );
  }
  return (
    <div className="page">
      <div className="page-head">
        <div>
          <h1>
            {chain.name} <span className="note">version {chain.version}</span>
          </h1>
          <p className="page-lead">
            <span className="mono">{chain.digest.slice(0, 16)}…</span> <CopyButton text={chain.digest} what="digest" />{" "}
            published {moment(chain.published_at)}
          </p>
        </div>
        <div className="actions">
          <Link className="button primary" href={to.ask(chain.name)}>
            Ask
          </Link>
        </div>
      </div>
      <Figures chain={chain} />
      <section className="panel" aria-label="Graph">
        <header>
          <h2>Graph</h2>
        </header>
        <div className="body scroll" tabIndex={0}>
          <Graph graph={chain.graph} />
          <Inside graph={chain.graph} />
        </div>
      </section>
      <div className="in-and-out">
        <Runs name={chain.name} />
        <section className="panel" aria-label="File">
          <header>
            <h2>File</h2>
            <CopyButton text={chain.source} what="file" />
          </header>
          <div className="body text" tabIndex={0}>
            <Highlighted text={chain.source} language="yaml" />
          </div>
        </section>
      </div>
      <Versions chain={chain} current={name} />
    </div>
  );
}

function Figures({ chain }: { chain: Chain }) {
  const { data: stats, error } = useQuery(queries.stats(60, 60, chain.name));
  if (error) return <Broken error={error} />;
  if (!stats) return null;
  const { total } = stats;
  const time = (ms: number | null) => (ms === null ? "–" : duration(ms * 1000));
  const facts = [
    ["Results in the last hour", count(total.results)],
    ["Failed", percent(total.errors, total.results)],
    ...(total.waiting > 0 ? [["Waiting", count(total.waiting)]] : []),
    ["p50", time(total.p50_ms)],
    ["p95", time(total.p95_ms)],
    ["Tokens", count(total.input_tokens + total.output_tokens)],
    ["Cost", money(total.cost_nano_dollars)],
  ];
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Runs({ name }: { name: string }) {
  const { data, error, refetch } = useQuery(queries.runs(name, 15));
  const now = useNow(5_000);
  return (
    <section className="panel" aria-label="Last runs">
      <header>
        <h2>Last runs</h2>
        <Link href={to.live(new URLSearchParams({ chain: name }))}>Live</Link>
      </header>
      {error && <Broken error={error} retry={() => void refetch()} />}
      {data?.runs.length === 0 && (
        <Empty title="It has not run yet">
          <p>
            <Link href={to.ask(name)}>Ask it something.</Link>
          </p>
        </Empty>
      )}
      <ol className="last-runs">
        {data?.runs.map((run) => (
          <li key={`${run.id}/${run.turn}`}>
            <Link href={to.run(run.id)} aria-label={`run ${run.id}`}>
              <Status status={run.status} />
            </Link>
            <span className="note">{ran(run)}</span>
            <span className="note number">{ago(run.accepted_at ?? run.created_at ?? "", now)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

const ran = ({ timings, cost_nano_dollars }: Run) =>
  timings
    ? `${duration(timings.queued_us + timings.ran_us)}${cost_nano_dollars ? `, ${money(cost_nano_dollars)}` : ""}`
    : "";

function Versions({ chain, current }: { chain: Chain; current: string }) {
  return (
    <section className="panel" aria-label="Versions">
      <header>
        <h2>Versions</h2>
      </header>
      <div className="scroll">
        <table>
          <thead>
            <tr>
              <th>Version</th>
              <th>Digest</th>
              <th>Published</th>
            </tr>
          </thead>
          <tbody>
            {chain.versions.map(({ name, version, digest, published_at }) => (
              <tr key={version}>
                <td>
                  {version === chain.version ? (
                    <b>
                      {version}
                      {current === name && " current"}
                    </b>
                  ) : (
                    <Link href={to.chain(`${name}@${version}`)}>{version}</Link>
                  )}
                </td>
                <td className="mono">{digest.slice(0, 16)}…</td>
                <td>{moment(published_at)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
