import { cleanup, fireEvent, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test } from "vitest";
import { written } from "../api/json.ts";
import { run } from "../feed/sample.ts";
import { problem, show } from "../test-page.tsx";
import { AskPage } from "./ask.tsx";

afterEach(cleanup);

const schema = {
  type: "object",
  required: ["question"],
  properties: {
    tone: { type: "string", enum: ["plain", "warm"], description: "how it is said" },
    question: { type: "string", maxLength: 4000 },
    limit: { type: "integer", minimum: 1, default: 3 },
    filter: { type: "object", properties: { source: { type: "string" } } },
  },
};

const ask = (input_schema: object = schema, more: Parameters<typeof show>[1] = {}) =>
  show(
    <AskPage />,
    {
      "GET /chains": { chains: [{ name: "answer", version: 1, digest: "be78", published_at: "2026-03-01T09:00:00Z" }] },
      "GET /chains/answer": { name: "answer", version: 1, versions: [], input_schema },
      "POST /runs": run({ status: "completed", chain: "answer@1" }),
      "GET /runs/run-1": run({ status: "completed", chain: "answer@1" }),
      "GET /runs/run-1/steps": { run_id: "run-1", steps: [], documents: [], turns: [] },
      "GET /runs/run-1/records": { run_id: "run-1", records: [] },
      ...more,
    },
    "/ask?chain=answer",
  );
const send = () => userEvent.click(screen.getByRole("button", { name: "Send" }));

test("the form is the schema's: what must be given comes first, a choice is picked, a nested value is JSON", async () => {
  const { bodies } = ask();
  const question = await screen.findByLabelText(/^question/);
  expect(screen.getAllByRole("textbox")[0]).toBe(question);
  expect(question.getAttribute("aria-required")).toBe("true");
  expect(screen.getByLabelText<HTMLInputElement>(/^limit/).value).toBe("3");
  expect(screen.getByText("how it is said")).toBeTruthy();

  await userEvent.type(question, "What is a lane?");
  await userEvent.selectOptions(screen.getByLabelText(/^tone/), "warm");
  fireEvent.change(screen.getByLabelText(/^filter/), { target: { value: '{"source": "README"}' } });
  await userEvent.type(screen.getByLabelText(/^Key/), "k1");
  await send();
  await expect
    .poll(() => bodies)
    .toEqual([
      {
        chain: "answer",
        input: { question: "What is a lane?", tone: "warm", limit: 3, filter: { source: "README" } },
        key: "k1",
      },
    ]);
  expect(await screen.findByRole("link", { name: "Open the run" })).toBeTruthy();
});

test("what the api refuses is told at its field", async () => {
  // Of what is missing the api tells the object that lacks it.
  const missing = [{ loc: ["body", "input"], msg: '"question" is a required property', type: "required" }];
  ask(schema, { "POST /runs": problem(422, "Invalid input", "The input does not fit.", missing) });
  const question = await screen.findByLabelText(/^question/);
  await send();
  await expect.poll(() => question.getAttribute("aria-invalid")).toBe("true");
  const about = document.getElementById(question.getAttribute("aria-describedby") ?? "");
  expect(about?.textContent).toBe('"question" is a required property');
  expect(screen.getByRole("alert").textContent).toContain("The input does not fit.");
});

test("a number that no double holds is sent as it was typed; what is no number is told at its field", async () => {
  const { bodies } = ask();
  await userEvent.type(await screen.findByLabelText(/^question/), "Why?");
  const limit = screen.getByLabelText(/^limit/);
  const type = (value: string) => fireEvent.change(limit, { target: { value } });
  type("1,5");
  await send();
  expect(limit.getAttribute("aria-invalid")).toBe("true");
  expect(screen.getByText(/is not a number/)).toBeTruthy();
  expect(bodies).toEqual([]);
  type("1e999");
  await send();
  await expect
    .poll(() => bodies.map((body) => written(body)))
    .toEqual(['{"chain":"answer","input":{"question":"Why?","limit":1e999},"key":null}']);
});

test("raw JSON begins with what the form holds, and goes back into it", async () => {
  ask();
  await userEvent.type(await screen.findByLabelText(/^question/), "Why?");
  const toggle = screen.getByRole("button", { name: "Raw JSON" });
  await userEvent.click(toggle);
  const raw = screen.getByLabelText<HTMLTextAreaElement>("Input, as JSON");
  expect(JSON.parse(raw.value)).toEqual({ question: "Why?", limit: 3 });
  fireEvent.change(raw, { target: { value: '{"question": "How?", "tone": "plain"}' } });
  await userEvent.click(toggle);
  expect(screen.getByLabelText<HTMLTextAreaElement>(/^question/).value).toBe("How?");
  expect(screen.getByLabelText<HTMLSelectElement>(/^tone/).value).toBe("plain");
});

test("text that is no JSON is not sent, and the page says what is wrong with it", async () => {
  const { bodies } = ask({});
  const raw = await screen.findByLabelText("Input, as JSON");
  fireEvent.change(raw, { target: { value: '{"question": ' } });
  await send();
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("The input is not JSON");
  expect(alert.textContent).toMatch(/expected/i);
  expect(bodies).toEqual([]);
  fireEvent.change(raw, { target: { value: "null" } });
  await send();
  await expect.poll(() => bodies).toEqual([{ chain: "answer", input: null, key: null }]);
  expect(screen.queryByRole("alert")).toBeNull();
});

test("a run that failed says so as the run's mistake, not as the page's", async () => {
  const failed = run({
    status: "failed",
    chain: "answer@1",
    error: { class: "rate_limited", message: "the budget of step answer is spent", step: "answer" },
  });
  ask({}, { "POST /runs": failed, "GET /runs/run-1": failed });
  await screen.findByLabelText("Input, as JSON");
  await send();
  expect((await screen.findByRole("alert")).textContent).toContain("rate_limited");
});
