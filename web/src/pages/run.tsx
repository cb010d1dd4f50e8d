// One run: what went in, what came out, and everything in between; live while it runs.

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { AGAIN_OF, hasParams } from "../api/again.ts";
import type { Run, Step } from "../api/client.ts";
import { written } from "../api/json.ts";
import { queries } from "../api/queries.ts";
import { chainDigest, chainName, count, duration, moment, money, quoted } from "../format.ts";
import { AgainDialog } from "../parts/again.tsx";
import { CopyButton, useCopy } from "../parts/copy.tsx";
import { DeadLetterPanel } from "../parts/dead-letter.tsx";
import { Documents } from "../parts/documents.tsx";
import { Approvals } from "../parts/approvals.tsx";
import { Broken, Loading } from "../parts/empty.tsx";
import { Icon } from "../parts/icon.tsx";
import { LongText } from "../parts/long-text.tsx";
import { Records } from "../parts/records.tsx";
import { useKeys } from "../parts/shortcuts.tsx";
import { Status } from "../parts/status.tsx";
import { Trail } from "../parts/trail.tsx";
import { Value } from "../parts/value.tsx";
import { Waterfall } from "../parts/waterfall.tsx";
import { isFinal, useRunEvents } from "../feed/run-events.ts";
import { to } from "../routes.ts";
import "../style/run.css";

export function RunPage({ id }: { id: string }) {
  const query = useQuery(queries.run(id));
  const steps = useQuery(queries.steps(id));
  const run = query.data;
  const link = useRunEvents(id, run);
  const [, go] = useLocation();
  const [said, copy] = useCopy();
  const [isAsking, setAsking] = useState(false);

  useEffect(() => {
    document.title = run ? `${chainName(run.chain)} ${run.status} · Millrace` : "Run · Millrace";
  }, [run]);
  const canRun = run?.chain !== undefined && run.input !== undefined;
  useKeys((event) => {
    if (event.key === "Escape") history.back();
    else if (event.key === "r" && canRun) setAsking(true);
    else if (event.key === "c" && canRun) copy(curl(run), "curl command");
  });

  if (!run) {
    return (
      <div className="page">
        <h1>Run</h1>
        <p className="page-lead mono">{id}</p>
        {query.error ? <Broken error={query.error} retry={() => void query.refetch()} /> : <Loading what="the run" />}
      </div>
    );
  }
  // The api learns of the begin only with the result; the first call tells it earlier.
  const status = run.status === "queued" && steps.data?.steps.length ? "in_progress" : run.status;
  return (
    <div className="page">
      <div className="page-head">
        <div>
          <h1>
            {run.chain ? <Link href={to.chain(chainName(run.chain))}>{chainName(run.chain)}</Link> : "Run"}{" "}
            <Status status={status} />
          </h1>
          <p className="page-lead">
            <span className="mono">{id}</span> <CopyButton text={id} what="run id" />
            <span className="unseen" role="status">
              {said}
            </span>
          </p>
        </div>
        <div className="actions">
          <button onClick={() => setAsking(true)} disabled={!canRun} title="Same chain, same input ( r )">
            <Icon name="again" /> Run again
          </button>
          {run.chain && (
            <Link className="button" href={to.ask(chainName(run.chain), id)}>
              Change and run
            </Link>
          )}
          {canRun && <CopyButton text={() => curl(run)} what="curl command" label={said ?? "Copy as curl"} />}
        </div>
      </div>
      {isAsking && <AgainDialog run={run} close={() => setAsking(false)} begun={({ id }) => go(to.run(id))} />}
      {link.is === "waiting" && <Broken error={link.problem} />}
      <Summary run={run} />
      {run.error && (
        <section className="panel panel-bad" aria-label="Error">
          <header>
            <h2>
              {run.error.class}
              {run.error.step && <> in step {run.error.step}</>}
            </h2>
            {run.dead_letter && <a href="#dead-letter">its dead letter</a>}
          </header>
          <div className="body text">
            <LongText text={run.error.message} />
          </div>
        </section>
      )}
      <div className="in-and-out">
        <Value title="Input" value={run.input} />
        {run.status === "interrupted" ? (
          <div>
            <Approvals run={run} />
          </div>
        ) : isFinal(run) ? (
          run.output !== undefined && <Value title="Output" value={run.output} isProse />
        ) : (
          <section className="panel" aria-busy="true">
            <header>
              <h2>Output</h2>
            </header>
            <p className="body note">It appears here when it commits.</p>
          </section>
        )}
      </div>
      <section className="panel" aria-label="Steps">
        <header>
          <h2>Steps</h2>
          <span className="note">one bar for each attempt of a paid call</span>
        </header>
        {steps.error ? (
          <Broken error={steps.error} retry={() => void steps.refetch()} />
        ) : (
          <>
            <Waterfall
              run={run}
              steps={(steps.data?.steps ?? []).filter(({ turn }) => turn === run.turn)}
              trail={steps.data?.turns.find(({ turn }) => turn === run.turn)?.trail ?? []}
            />
            <EarlierTurns run={run} steps={steps.data?.steps ?? []} />
            <Trail turns={steps.data?.turns ?? []} />
          </>
        )}
      </section>
      <Documents steps={steps.data} />
      {run.dead_letter && <DeadLetterPanel id={id} />}
      <Records run={run} />
    </div>
  );
}

/** What was paid before somebody decided: each turn on an axis of its own, however long it waited. */
function EarlierTurns({ run, steps }: { run: Run; steps: readonly Step[] }) {
  const turns = [...new Set(steps.map(({ turn }) => turn))].filter((turn) => turn < run.turn);
  return turns.map((turn) => {
    const its = steps.filter((step) => step.turn === turn);
    const begun = its[0]?.started_at ?? run.accepted_at;
    const { id, tenant, status } = run;
    return (
      <details className="trail" key={turn}>
        <summary>
          {count(its.length)} paid call{its.length === 1 ? "" : "s"} of turn {turn}
        </summary>
        <Waterfall run={{ id, tenant, status, turn: 0, ...(begun ? { accepted_at: begun } : {}) }} steps={its} />
      </details>
    );
  });
}

function Summary({ run }: { run: Run }) {
  const { timings, usage } = run;
  const facts: [string, string | undefined][] = [
    ["Took", timings && duration(timings.queued_us + timings.ran_us)],
    ["Queued", timings && duration(timings.queued_us)],
    [
      "Tokens",
      usage &&
        `${count(usage.input_tokens)} in, ${count(usage.output_tokens)} out${usage.source === "estimated" ? ", estimated" : ""}`,
    ],
    ["Cost", run.cost_nano_dollars === undefined ? undefined : money(run.cost_nano_dollars)],
    ["Attempts", run.attempts === undefined ? undefined : count(run.attempts)],
    ["Accepted", run.accepted_at && moment(run.accepted_at)],
    ["Deadline", isFinal(run) ? undefined : run.deadline && moment(run.deadline)],
    ["Turn", run.turn > 0 ? count(run.turn) : undefined],
    ["Digest", chainDigest(run.chain)?.slice(0, 12)],
    ["Tenant", run.tenant],
    ["Parameters", hasParams(run.params) ? written(run.params) : undefined],
  ];
  const original = run.metadata?.[AGAIN_OF];
  return (
    <dl className="facts">
      {facts.map(([name, value]) =>
        value ? (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ) : null,
      )}
      {original && (
        <div>
          <dt>Again of</dt>
          <dd className="mono">
            <Link href={to.run(original)}>{original.slice(0, 13)}…</Link>
          </dd>
        </div>
      )}
      {run.trace_id && (
        <div>
          <dt>Trace</dt>
          <dd className="mono">
            {run.trace_id.slice(0, 12)}… <CopyButton text={run.trace_id} what="trace id" />
          </dd>
        </div>
      )}
    </dl>
  );
}

function curl(run: Run): string {
  const body = written({
    input: run.input,
    ...(hasParams(run.params) ? { config: { configurable: run.params } } : {}),
  });
  return `curl -s ${location.origin}/chains/${chainName(run.chain)}/invoke -H 'content-type: application/json' -d ${quoted(body)}`;
}
