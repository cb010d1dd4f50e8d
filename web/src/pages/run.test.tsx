import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test } from "vitest";
import { run, step } from "../feed/sample.ts";
import { type Answers, problem, show, stream } from "../test-page.tsx";
import { RunPage } from "./run.tsx";

afterEach(cleanup);

const chain = "answer@1#be780557e061";
const about = (rest: Parameters<typeof run>[0], more: Answers = {}): Answers => ({
  "GET /runs/run-1": run({ chain, input: { question: "What is a lane?" }, ...rest }),
  "GET /runs/run-1/steps": { run_id: "run-1", steps: [], documents: [], turns: [] },
  "GET /runs/run-1/records": { run_id: "run-1", records: [] },
  ...more,
});
const open = (answers: Answers) => show(<RunPage id="run-1" />, answers, "/runs/run-1");

test("a run that runs shows its steps as they come, and its output when it commits", async () => {
  const began = step({ outcome: "started", ended_at: null });
  const done = run({ chain, status: "completed", output: { answer: "In order." }, attempts: 0 });
  const answers = about({ status: "in_progress" });
  let finish = () => {};
  answers["GET /runs/run-1/events"] = () => {
    const [first, last] = [stream(["step.started", began]), stream(["result", done])].map((make) => make().body);
    return new Response(
      new ReadableStream({
        start: (out) => {
          const pass = async (body: typeof first) => {
            const { value } = (await body?.getReader().read()) ?? {};
            out.enqueue(value);
          };
          void pass(first);
          finish = () => {
            answers["GET /runs/run-1"] = done;
            void pass(last);
          };
        },
      }),
    );
  };
  open(answers);
  const steps = await screen.findByRole("region", { name: "Steps" });
  expect(await within(steps).findByRole("button", { name: "answer" })).toBeTruthy();
  expect(screen.getByText("It appears here when it commits.")).toBeTruthy();
  finish();
  expect(await screen.findByText("In order.")).toBeTruthy();
  expect(screen.getByRole("heading", { level: 1 }).textContent).toContain("Completed");
});

test("a run that failed says in which step and why, and shows the record as it came", async () => {
  const error = { class: "invalid_input", message: "question is required", step: "answer" };
  open(
    about(
      { status: "failed", error, dead_letter: "/runs/run-1/dead-letter" },
      {
        "GET /runs/run-1/dead-letter": {
          topic: "millrace.requests",
          partition: 0,
          offset: 4711,
          failed_at: "2026-03-01T09:00:00Z",
          key: null,
          value: btoa('{"qestion":"<b>?</b>"}'),
          value_text: '{"qestion":"<b>?</b>"}',
          value_bytes: 22,
          headers: [],
          left_out: [{ part: "headers", bytes: 20000000, sha256: "ab12" }],
        },
      },
    ),
  );
  const failed = await screen.findByRole("region", { name: "Error" });
  expect(failed.textContent).toContain("invalid_input in step answer");
  expect(failed.textContent).toContain("question is required");
  const letter = screen.getByRole("region", { name: "Dead letter" });
  expect(await within(letter).findByText('{"qestion":"<b>?</b>"}')).toBeTruthy();
  expect(letter.textContent).toContain("millrace.requests/0/4711");
  expect(letter.textContent).toContain("headers: 20,000,000 bytes, sha256 ab12");
  expect(letter.querySelector("b")).toBeNull();
  expect(within(letter).getByRole("button", { name: "Copy kcat command" })).toBeTruthy();
  expect(letter.textContent).not.toContain("replay");
});

test("a run that nobody knows: what the api says, and no button that would not help", async () => {
  open({ "GET /runs/run-1": problem(404, "No such run", "No run is called run-1.") });
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("No such run");
  expect(within(alert).queryByRole("button")).toBeNull();
});

test("a connection that broke is told while the run is still shown", async () => {
  open(
    about(
      { status: "in_progress" },
      { "GET /runs/run-1/events": problem(503, "Shutting down", "This instance stops; another one takes over.") },
    ),
  );
  expect((await screen.findByRole("alert")).textContent).toContain("This instance stops");
  expect(screen.getByRole("region", { name: "Input" }).textContent).toContain("What is a lane?");
});

test("run again asks, then sends all of the call to the same chain, and goes there", async () => {
  const answers = about({
    status: "completed",
    output: "x",
    attempts: 0,
    request_src: "millrace.requests/0/7",
    params: { tone: "warm" },
    metadata: { team: "blue" },
  });
  answers["GET /runs/run-1/records/millrace.requests/0/7"] = { key: "customer-7", headers: [], value: {} };
  answers["POST /runs"] = run({ id: "run-2" });
  const { bodies } = open(answers);
  await userEvent.click(await screen.findByRole("button", { name: /Run again/ }));
  expect(bodies).toEqual([]);
  const dialog = await screen.findByRole("dialog", { name: "Run this again?" });
  expect(await within(dialog).findByText("customer-7")).toBeTruthy();
  await userEvent.click(within(dialog).getByRole("button", { name: "Run again" }));
  await expect.poll(() => location.pathname).toBe("/ui/runs/run-2");
  expect(bodies).toEqual([
    {
      chain: "answer@1",
      input: { question: "What is a lane?" },
      key: "customer-7",
      config: { configurable: { tone: "warm" } },
      metadata: { team: "blue", again_of: "run-1" },
    },
  ]);
});

test("a run that waits shows what there is to decide, and goes on with the decision", async () => {
  const approval = {
    step: "approval",
    message: "Give back 70?",
    value: { amount: 70 },
    schema: { type: "object" },
  };
  const next = run({ turn: 1, status: "queued" });
  const answers = about(
    { status: "interrupted", output: { approvals: [approval] }, attempts: 0 },
    { "POST /runs/run-1/resume": next, "GET /runs/run-1/events": stream() },
  );
  const { calls, bodies } = open(answers);
  const question = await screen.findByRole("region", { name: "Decision: approval" });
  expect(within(question).getByRole("heading", { name: "Give back 70?" })).toBeTruthy();
  const value = within(question).getByLabelText(/^Value/);
  await userEvent.clear(value);
  await userEvent.type(value, "nonsense");
  expect(within(question).getByText("This is not JSON.")).toBeTruthy();
  expect(within(question).getByRole<HTMLButtonElement>("button", { name: "Approve" }).disabled).toBe(true);
  await userEvent.clear(value);
  await userEvent.type(value, '{{"amount":35}');
  await userEvent.type(within(question).getByLabelText("Comment"), "half");
  await userEvent.click(within(question).getByRole("button", { name: "Approve" }));
  expect(await screen.findByText("It appears here when it commits.")).toBeTruthy();
  expect(bodies).toEqual([{ decisions: { approval: { approved: true, value: { amount: 35 }, comment: "half" } } }]);
  expect(calls).toContain("GET /runs/run-1/events");
  expect(screen.getByRole("heading", { level: 1 }).textContent).toContain("Queued");
});

test("what each step did is told, also of those that call nobody", async () => {
  const taken = { step: "route", kind: "switch", outcome: "ok", attempts: 1, began_us: 5, took_us: 7 };
  const skipped = { ...taken, step: "letter", kind: "transform", outcome: "skipped", attempts: 0 };
  const turns = [{ turn: 0, trail: [taken, skipped], left_out: 0, documents: [] }];
  open(
    about(
      { status: "completed", output: 1, attempts: 0 },
      { "GET /runs/run-1/steps": { run_id: "run-1", steps: [], documents: [], turns } },
    ),
  );
  expect(await screen.findByText("What each of 2 steps did")).toBeTruthy();
  expect(screen.getByText("skipped: not wanted")).toBeTruthy();
});
