import { expect, test } from "vitest";
import { step } from "../feed/sample.ts";
import { withNewer } from "./queries.ts";

test("an answer that left before an event came does not undo what the event told", () => {
  const steps = (...steps: ReturnType<typeof step>[]) => ({ run_id: "run-1", steps, documents: [], turns: [] });
  const running = step({ outcome: "started", ended_at: null });
  const ended = step();
  const other = step({ attempt_id: "attempt-2", started_at: "2026-03-01T09:00:01.000Z" });
  expect(withNewer(steps(ended, other), steps(running)).steps).toEqual([ended, other]);
  expect(withNewer(steps(running), steps(other, ended)).steps).toEqual([ended, other]);
  expect(withNewer(undefined, steps(running)).steps).toEqual([running]);
});
