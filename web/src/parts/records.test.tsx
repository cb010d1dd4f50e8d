import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test } from "vitest";
import type { RawRecord } from "../api/client.ts";
import { run } from "../feed/sample.ts";
import { type Answers, json, problem, show } from "../test-page.tsx";
import { Records } from "./records.tsx";

afterEach(cleanup);

const PLACE = { topic: "millrace.results", partition: 2, offset: 1337 };
const PATH = "GET /runs/run-1/records/millrace.results/2/1337";
const record = (rest: Partial<RawRecord> = {}): RawRecord => ({
  ...PLACE,
  timestamp: "2026-03-01T09:00:00Z",
  key: "customer-7",
  headers: [
    { name: "request-id", value: "run-1" },
    { name: "empty", value: null },
  ],
  schema: "millrace.Result",
  size: 1_234,
  value: { output: { answer: "<script>alert(1)</script>" } },
  bytes: null,
  ...rest,
});

async function opened(answer: Answers[string]) {
  const listed = { run_id: "run-1", records: [{ what: "result", ...PLACE }] };
  const { calls } = show(<Records run={run()} />, { "GET /runs/run-1/records": listed, [PATH]: answer });
  const button = await screen.findByRole("button", { name: "Result" });
  expect(calls).not.toContain(PATH);
  await userEvent.click(button);
  expect(button.getAttribute("aria-expanded")).toBe("true");
  return { calls, button, panel: screen.getByRole("region", { name: "Records" }) };
}

test("a record is read when it is opened: key, headers, schema, size and value, all as text", async () => {
  const { calls, button, panel } = await opened(record());
  const value = await screen.findByRole("region", { name: "Value of the record" });
  expect(value.textContent).toContain('"answer": "<script>alert(1)</script>"');
  expect(panel.querySelector("script")).toBeNull();
  for (const text of ["customer-7", "millrace.Result", "1,234 bytes", "request-id"])
    expect(within(panel).getByText(text)).toBeTruthy();
  expect(within(panel).getByRole("button", { name: "Copy value" })).toBeTruthy();

  await userEvent.click(button);
  expect(screen.queryByRole("region", { name: "Value of the record" })).toBeNull();
  await userEvent.click(button);
  expect(calls.filter((call) => call === PATH)).toHaveLength(1);
});

test("bytes that nobody can read are shown in base64, and no value is said to be none", async () => {
  await opened(record({ schema: null, value: null, bytes: "AP8RBAk=" }));
  expect((await screen.findByRole("region", { name: "Value of the record" })).textContent).toBe("AP8RBAk=");
  expect(screen.getByText("not Avro")).toBeTruthy();
  cleanup();
  await opened(record({ key: null, headers: [], value: null, size: 0 }));
  expect(await screen.findByText("It has no value.")).toBeTruthy();
});

test("a record that retention deleted: what the api says, and nothing to try again", async () => {
  await opened(problem(404, "The record is not in its topic any more", "results/2 starts at 2000."));
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("results/2 starts at 2000.");
  expect(within(alert).queryByRole("button")).toBeNull();
});

test("brokers that did not answer are asked again on request", async () => {
  const late = problem(504, "The brokers did not answer in time", "not within 5 s");
  let tries = 0;
  await opened(() => (++tries === 1 ? late() : json(record())));
  await userEvent.click(await screen.findByRole("button", { name: "Try again" }));
  expect(await screen.findByRole("region", { name: "Value of the record" })).toBeTruthy();
});
