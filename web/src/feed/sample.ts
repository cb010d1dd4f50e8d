// What tests feed the page with.

import type { FeedRow, Run, Step } from "../api/client.ts";

export const row = (offset: number, rest: Partial<FeedRow> = {}): FeedRow => ({
  id: `run-${rest.partition ?? 0}-${offset}`,
  tenant: "default",
  turn: 0,
  src: `millrace.requests/0/${offset}`,
  accepted_at: new Date(Date.now() - 1_000).toISOString(),
  completed_at: new Date().toISOString(),
  chain: "answer@1#abcdef",
  key: null,
  status: "completed",
  latency_us: 10_000,
  queued_us: 1_000,
  input_tokens: 10,
  output_tokens: 5,
  cost_nano_dollars: 100,
  attempts: 1,
  error_class: null,
  preview: `line ${offset}`,
  partition: 0,
  offset,
  ...rest,
});

const AT = Date.parse("2026-03-01T09:00:00.000Z");
export const at = (ms: number) => new Date(AT + ms).toISOString();

export const run = (rest: Partial<Run> = {}): Run => ({
  id: "run-1",
  tenant: "default",
  turn: 0,
  status: "in_progress",
  accepted_at: at(0),
  ...rest,
});

export const step = (rest: Partial<Step> = {}): Step => ({
  attempt_id: "attempt-1",
  turn: 0,
  step: "answer",
  provider: "openai",
  model: "gpt-4o-mini",
  route_reason: "primary",
  attempt: 1,
  outcome: "ok",
  usage: { input_tokens: 10, output_tokens: 5, source: "reported" },
  cost_nano_dollars: 100,
  started_at: at(50),
  ended_at: at(450),
  ...rest,
});
