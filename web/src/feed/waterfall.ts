// Where the bars of a run lie, in milliseconds from its acceptance. Drawing is elsewhere.

import type { Run, Step } from "../api/client.ts";

export type Segment = {
  kind: "queue" | "limit" | "connect" | "first" | "stream" | "call" | "running";
  from: number;
  to: number;
};

export type Bar = { step: Step | null; segments: Segment[]; from: number; to: number };

export type Waterfall = { bars: Bar[]; length: number; ticks: number[] };

export function waterfall(run: Run, steps: readonly Step[], now: number): Waterfall {
  // A run keeps the date of its first turn.
  const begun = run.turn > 0 ? (run.created_at ?? run.accepted_at) : (run.accepted_at ?? run.created_at);
  const zero = Date.parse(begun ?? "") || now;
  const since = (time: string | null | undefined) => (time ? Date.parse(time) - zero : undefined);
  const isOver = run.completed_at !== undefined;
  const bars = steps.map((step) => bar(step, since(step.started_at), since(step.ended_at), now - zero, isOver));
  const firstStart = Math.min(...bars.map(({ from }) => from), now - zero);
  const queued = run.timings ? run.timings.queued_us / 1000 : Math.max(0, bars.length > 0 ? firstStart : now - zero);
  bars.unshift({ step: null, segments: [{ kind: "queue", from: 0, to: queued }], from: 0, to: queued });
  const whole = run.timings ? (run.timings.queued_us + run.timings.ran_us) / 1000 : now - zero;
  const length = Math.max(1, whole, ...bars.map(({ to }) => to));
  return { bars, length, ticks: ticks(length) };
}

function bar(step: Step, started: number | undefined, ended: number | undefined, now: number, isOver: boolean): Bar {
  const ms = (us: number | null | undefined) => (us ?? 0) / 1000;
  if (step.total_us === undefined) {
    // Not audited yet: only when it was announced is known, and perhaps when it was settled.
    const from = Math.max(0, started ?? 0);
    const to = Math.max(from, ended ?? (isOver ? from : now));
    return { step, segments: [{ kind: ended === undefined ? "running" : "call", from, to }], from, to };
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
  return { step, segments, from, to };
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
