import { expect, test } from "vitest";
import { at, run, step } from "./sample.ts";
import { ticks, waterfall } from "./waterfall.ts";

const over = run({ status: "completed", completed_at: at(500), timings: { queued_us: 40_000, ran_us: 460_000 } });
const now = Date.parse(at(200));

test("an audited call is cut into the wait for limits, the connection, the first token and the stream", () => {
  const audited = step({ queue_us: 10_000, connect_us: 20_000, first_token_us: 120_000, total_us: 400_000 });
  const { bars, length } = waterfall(over, [audited], now);
  expect(bars.map(({ segments }) => segments)).toEqual([
    [{ kind: "queue", from: 0, to: 40 }],
    [
      { kind: "limit", from: 50, to: 60 },
      { kind: "connect", from: 60, to: 80 },
      { kind: "first", from: 80, to: 180 },
      { kind: "stream", from: 180, to: 450 },
    ],
  ]);
  expect(length).toBe(500);
});

test("what is under way grows with the time; the queue ends where the first call begins", () => {
  const { bars, length } = waterfall(run(), [step({ outcome: "started", ended_at: null })], now);
  expect(bars[0]?.to).toBe(50);
  expect(bars[1]?.segments).toEqual([{ kind: "running", from: 50, to: 200 }]);
  expect(length).toBe(200);
});

test("a run that waits is all queue", () => {
  expect(waterfall(run({ status: "queued" }), [], now).bars).toMatchObject([
    { step: null, segments: [{ kind: "queue", from: 0, to: 200 }], from: 0, to: 200 },
  ]);
});

test("segments never leave their bar, whatever the clocks say", () => {
  const odd = step({ queue_us: 900_000, connect_us: 900_000, first_token_us: 1_800_000, total_us: 400_000 });
  for (const { from, to } of waterfall(over, [odd], now).bars[1]?.segments ?? []) {
    expect(from).toBeLessThanOrEqual(to);
    expect(to).toBeLessThanOrEqual(450);
  }
});

test("a step that failed is marked where it is drawn: at its last call, or by a bar of its own", () => {
  const failed = run({ status: "failed", error: { class: "invalid_output", message: "no", step: "answer" } });
  const twice = [step(), step({ attempt_id: "attempt-2", started_at: at(500), ended_at: at(700) })];
  const marks = (of: typeof failed, steps: typeof twice, trail: Parameters<typeof waterfall>[3] = []) =>
    waterfall(of, steps, now, trail).bars.map(({ name, call, failed }) => [name, call, failed]);
  expect(marks(failed, twice)).toEqual([
    ["Queue", 1, undefined],
    ["answer", 1, undefined],
    ["answer", 2, "invalid_output"],
  ]);
  const taken = { step: "each[2].shaped", kind: "transform", attempts: 1, began_us: 90_000, took_us: 10_000 };
  const trail = [
    { ...taken, outcome: "bad_input" },
    { ...taken, step: "letter", outcome: "error_skipped" },
  ];
  expect(marks(run({ status: "completed" }), [], trail)).toEqual([
    ["Queue", 1, undefined],
    ["each[2].shaped", 1, "bad_input"],
  ]);
});

test("the axis has round places", () => {
  expect(ticks(500)).toEqual([0, 100, 200, 300, 400]);
  expect(ticks(37)).toEqual([0, 10, 20, 30]);
  expect(ticks(1)).toHaveLength(5);
});
