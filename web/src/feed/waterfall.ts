// Where the bars of a run lie, in milliseconds from its acceptance. Drawing is elsewhere.

import type { Run, Step, StepTaken } from "../api/client.ts";

export type Segment = {
  kind: "queue" | "limit" | "connect" | "first" | "stream" | "call" | "running" | "failed";
  from: number;
  to: number;
};

export type Bar = {
  /** None for the queue, and for a step that called nobody. */
  step: Step | null;
  name: string;
  segments: Segment[];
  from: number;
  to: number;
  /** Which one of the calls of its step it is, from 1. */
  call: number;
  /** Why its step failed, at its last call. */
  failed?: string;
};

export type Waterfall = { bars: Bar[]; length: number; ticks: number[] };

const fine = ["ok", "skipped", "fallback", "error_skipped", "kept", "interrupted"];
export const isFailure = (outcome: string) => !fine.includes(outcome);

/** `trail` is of the same turn as the steps. */
export function waterfall(run: Run, steps: readonly Step[], now: number, trail: readonly StepTaken[] = []): Waterfall {
  // A run keeps the date of its first turn.
  const begun = run.turn > 0 ? (run.created_at ?? run.accepted_at) : (run.accepted_at ?? run.created_at);
  const zero = Date.parse(begun ?? "") || now;
  const since = (time: string | null | undefined) => (time ? Date.parse(time) - zero : undefined);
  const isOver = run.completed_at !== undefined;
  const bars = steps.map((step) => bar(step, since(step.started_at), since(step.ended_at), now - zero, isOver));
  const firstStart = Math.min(...bars.map(({ from }) => from), now - zero);
  const queued = run.timings ? run.timings.queued_us / 1000 : Math.max(0, bars.length > 0 ? firstStart : now - zero);
  const calls = new Map<string, number>();
  for (const bar of bars) calls.set(bar.name, (bar.call = (calls.get(bar.name) ?? 0) + 1));
  for (const failure of failures(run, trail)) markFailed(bars, failure, queued);
  bars.unshift({ ...EMPTY, segments: [{ kind: "queue", from: 0, to: queued }], to: queued });
  const whole = run.timings ? (run.timings.queued_us + run.timings.ran_us) / 1000 : now - zero;
  const length = Math.max(1, whole, ...bars.map(({ to }) => to));
  return { bars, length, ticks: ticks(length) };
}

const EMPTY: Bar = { step: null, name: "Queue", segments: [], from: 0, to: 0, call: 1 };

type Failure = Pick<StepTaken, "step" | "outcome"> & Partial<StepTaken>;

/** As the trail tells them, which the audit brings a moment later than the run its error. */
function failures(run: Run, trail: readonly StepTaken[]): Failure[] {
  const told = trail.filter(({ outcome }) => isFailure(outcome));
  const { step, class: outcome } = run.error ?? {};
  const isTold = told.some((failure) => failure.step === step);
  return step && outcome && !isTold ? [...told, { step, outcome }] : told;
}

/** At the last of its calls; a step that called nobody gets a bar of its own. */
function markFailed(bars: Bar[], { step, outcome, began_us, took_us = 0 }: Failure, queued: number) {
  const last = bars.findLast(({ name }) => name === step || step.endsWith(`.${name}`));
  if (last) return void (last.failed = outcome);
  const from = began_us === undefined ? Math.max(queued, ...bars.map(({ to }) => to)) : queued + began_us / 1000;
  const to = from + took_us / 1000;
  bars.push({ ...EMPTY, name: step, segments: [{ kind: "failed", from, to }], from, to, failed: outcome });
}

function bar(step: Step, started: number | undefined, ended: number | undefined, now: number, isOver: boolean): Bar {
  const ms = (us: number | null | undefined) => (us ?? 0) / 1000;
  if (step.total_us === undefined) {
    // Not audited yet: only when it was announced is known, and perhaps when it was settled.
    const from = Math.max(0, started ?? 0);
    const to = Math.max(from, ended ?? (isOver ? from : now));
    const segments: Segment[] = [{ kind: ended === undefined ? "running" : "call", from, to }];
    return { ...EMPTY, step, name: step.step, segments, from, to };
  }
  const total = ms(step.total_us);
  const to = Math.max(total, ended ?? (started ?? 0) + total);
  const from = to - total;
  const segments: Segment[] = [];
  let at = from;
  const add = (kind: Segment["kind"], length: number) => {
    const end = Math.min(to, at + length);
    if (end > at) segments.push({ kind, from: at, to: end });
    at = end;
  };
  add("limit", ms(step.queue_us));
  if (step.first_token_us == null) add("call", to - at);
  else {
    add("connect", ms(step.connect_us));
    add("first", ms(step.first_token_us) - ms(step.connect_us));
    add("stream", to - at);
  }
  return { ...EMPTY, step, name: step.step, segments, from, to };
}

/** Round places on the axis, four to seven of them with zero; none so near its end that a label would not fit. */
export function ticks(length: number): number[] {
  const rough = length / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((of) => of * power).find((step) => step >= rough) ?? rough;
  const made: number[] = [];
  for (let at = 0; at <= length * 0.9; at += step) made.push(at);
  return made;
}
