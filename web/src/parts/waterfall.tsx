import { useState } from "react";
import type { Run, Step, StepTaken } from "../api/client.ts";
import { isFinal, isOver } from "../feed/run-events.ts";
import { useNow } from "../feed/use-feed.ts";
import { type Bar, type Segment, waterfall } from "../feed/waterfall.ts";
import { count, duration, money } from "../format.ts";
import { CopyButton } from "./copy.tsx";
import { LongText } from "./long-text.tsx";
import { Status } from "./status.tsx";

const segmentWords: Record<Segment["kind"], string> = {
  queue: "waits on the stream",
  limit: "waits for a limit",
  connect: "connects",
  first: "until the first token",
  stream: "tokens come",
  call: "call",
  running: "under way",
  failed: "failed",
};

type Props = { run: Run; steps: readonly Step[]; trail?: readonly StepTaken[] };

export function Waterfall({ run, steps, trail }: Props) {
  const now = useNow(isOver(run) ? 3_600_000 : 100);
  const { bars, length, ticks } = waterfall(run, steps, now, trail);
  const kinds = new Set(bars.flatMap(({ segments }) => segments.map(({ kind }) => kind)));
  const place = (from: number, to: number) => ({
    left: `${(100 * from) / length}%`,
    width: `${Math.max(0.25, (100 * (to - from)) / length)}%`,
  });
  return (
    <div className="waterfall">
      <div className="axis" aria-hidden="true">
        <div>
          {ticks.map((at) => (
            <span key={at} style={{ left: `${(100 * at) / length}%` }}>
              {at === 0 ? "0" : duration(at * 1000)}
            </span>
          ))}
        </div>
      </div>
      <ol>
        {bars.map((bar) => (
          <Attempt key={bar.step?.attempt_id ?? bar.name} bar={bar} place={place} />
        ))}
      </ol>
      {isFinal(run) && steps.length === 0 && <p className="note body">No paid call was made.</p>}
      <ul className="legend" aria-label="Legend">
        {[...kinds].map((kind) => (
          <li key={kind}>
            <span className={`key-swatch bar-${kind}`} /> {segmentWords[kind]}
          </li>
        ))}
      </ul>
    </div>
  );
}

type Place = (from: number, to: number) => { left: string; width: string };

function Attempt({ bar, place }: { bar: Bar; place: Place }) {
  const [isOpen, setOpen] = useState(false);
  const { step, name, segments, from, to, call, failed } = bar;
  const isRed = isBad(step) || failed !== undefined;
  const said =
    segments.map(({ kind, from, to }) => `${segmentWords[kind]} ${duration((to - from) * 1000)}`).join(", ") +
    (failed ? `: the step failed, ${failed}` : "");
  return (
    <li className="attempt">
      <div className="attempt-line">
        <div className="attempt-name">
          {step ? (
            <button className="quiet" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
              {step.step}
            </button>
          ) : (
            <span className="as-button">{name}</span>
          )}
          {step && (
            <span className="note">
              {step.model}
              {step.attempt > 1 ? <b> retry {step.attempt - 1}</b> : call > 1 && <b> call {call}</b>}
              {step.route_reason !== "" && step.route_reason !== "primary" && <b> {step.route_reason}</b>}
            </span>
          )}
        </div>
        <div className="attempt-bars" role="img" aria-label={said} title={said}>
          {segments.map(({ kind, from, to }) => (
            <span
              key={kind}
              className={`bar-segment bar-${kind} ${isRed ? "is-failed" : ""}`}
              style={place(from, to)}
            />
          ))}
        </div>
        <div className="attempt-figures">
          {failed ? <Failed why={failed} /> : step && <Outcome step={step} />}
          {step && step.usage.input_tokens + step.usage.output_tokens > 0 && (
            <span className="note">{count(step.usage.input_tokens + step.usage.output_tokens)} tokens</span>
          )}
          {step && step.cost_nano_dollars > 0 && <span className="note">{money(step.cost_nano_dollars)}</span>}
          <span className="number">{duration((to - from) * 1000)}</span>
        </div>
      </div>
      {step && isOpen && <Details step={step} />}
    </li>
  );
}

const pending = ["started", "settled", "abandoned"];
const isBad = (step: Step | null) => step !== null && step.outcome !== "ok" && !pending.includes(step.outcome);

function Outcome({ step }: { step: Step }) {
  if (step.outcome === "ok") return null;
  if (step.outcome === "started") return <Status status="in_progress" />;
  if (pending.includes(step.outcome)) return <span className="note">{step.outcome}</span>;
  return <Failed why={step.outcome} />;
}

function Failed({ why }: { why: string }) {
  return (
    <span className="is-bad">
      <Status status="failed" /> {why}
    </span>
  );
}

function Details({ step }: { step: Step }) {
  const facts: [string, string | undefined][] = [
    ["Provider", step.provider],
    ["Route", step.route_reason],
    ["Attempt", `${step.attempt}`],
    ["Waited for limits", step.queue_us === undefined ? undefined : duration(step.queue_us)],
    ["Connected after", step.connect_us ? duration(step.connect_us) : undefined],
    ["First token after", step.first_token_us ? duration(step.first_token_us) : undefined],
    [
      "Tokens",
      `${count(step.usage.input_tokens)} in, ${count(step.usage.output_tokens)} out (${step.usage.source || "not counted"})`,
    ],
    ["Audit record", step.record && `${step.record.topic}/${step.record.partition}/${step.record.offset}`],
    ["Attempt id", step.attempt_id],
  ];
  return (
    <div className="attempt-details">
      <dl className="facts">
        {facts.map(([name, value]) =>
          value ? (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ) : null,
        )}
      </dl>
      <Said title="Prompt" text={step.prompt} hash={step.prompt_sha256} />
      <Said title="Response" text={step.response} hash={step.response_sha256} />
    </div>
  );
}

function Said({ title, text, hash }: { title: string; text: string | undefined; hash: string | undefined }) {
  if (text === undefined && !hash) return null;
  return (
    <div className="said">
      <h3>
        {title} {text !== undefined && <CopyButton text={text} what={title.toLowerCase()} />}
      </h3>
      {text === undefined ? (
        <p className="note">Not kept; SHA-256 {hash?.slice(0, 16)}…</p>
      ) : (
        <pre className="text" tabIndex={0}>
          <LongText text={text} />
        </pre>
      )}
    </div>
  );
}
