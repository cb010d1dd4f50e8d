import { cleanup, screen, within } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { health } from "../../mock/health.ts";
import type { Health } from "../api/client.ts";
import { problem, show } from "../test-page.tsx";
import { HealthPage } from "./health.tsx";

afterEach(cleanup);

const known = health({ firstResult: 0, results: [], quarantined: 0, startedAt: new Date().toISOString() });
const open = async (rest: Partial<Health> = {}) => {
  show(<HealthPage />, { "GET /health": { ...known, ...rest } }, "/health");
  await screen.findByText(/as of/);
};
const group = () => screen.getByRole("region", { name: "Group millrace.orchestrator" });
const partition = (number: number) =>
  within(group()).getByRole("row", { name: new RegExp(`^millrace.requests/${number} `) });

test("a part that is broken says why, and what works says so without colours", async () => {
  await open();
  const parts = screen.getByRole("list", { name: "Parts and roles" });
  const [postgres] = within(parts)
    .getAllByRole("listitem")
    .filter(({ textContent }) => textContent.startsWith("postgres"));
  expect(postgres?.textContent).toContain("connection refused (127.0.0.1:25432)");
  expect(within(parts).getAllByText("works").length).toBe(3);
  expect(document.title).toContain("degraded");
});

test("each partition names its process, wherever that runs, with its window and oldest lane", async () => {
  await open();
  expect(partition(1).textContent).toContain("mill-1:4242");
  expect(partition(2).textContent).toContain("mill-1:4267");
  expect(partition(2).textContent).toContain("1,999");
  expect(partition(2).textContent).toMatch(/4\d\.\d s$/);
  expect(within(group()).getByText(/Nothing more is read for/).textContent).toContain("the window is full");
  expect(partition(3).textContent).toContain("nobody");
  expect(within(group()).getByText(/no committed offset/)).toBeTruthy();
});

test("a process that went silent is told from those that are alive; a role that is not ready stands on top", async () => {
  const [here, ...others] = known.instances;
  if (!here) throw new Error("the mock has none");
  const roles = [{ name: "recorder", ready: false, reason: "Postgres is away" }];
  await open({ instances: [{ ...here, roles }, ...others] });
  const processes = screen.getByRole("region", { name: "Processes" });
  expect(processes.textContent).toContain("2 alive · 1 silent");
  expect(within(processes).getByRole("row", { name: /^mill-1:3981/ }).textContent).toContain("1 min ago");
  expect(screen.getByRole("list", { name: "Parts and roles" }).textContent).toContain("Postgres is away");
});

test("what nobody reports is a dash, and an api of before that tells of no other process is enough", async () => {
  const groups = known.groups.map((group) => ({
    ...group,
    in_flight: null,
    waiting_for_limits: null,
    partitions: group.partitions.slice(2, 3).map((one) => ({
      ...one,
      instance: null,
      window: null,
      in_flight: null,
      ledger: null,
      oldest: null,
      full_since: null,
    })),
  }));
  // JSON has no undefined: the field is not there.
  await open({ groups, instances: undefined as never });
  expect(partition(2).textContent).toContain("another");
  expect(within(partition(2)).getAllByText("–")).toHaveLength(3);
  expect(screen.queryByRole("region", { name: "Processes" })).toBeNull();
  expect(screen.getByRole("list", { name: "Parts and roles" }).textContent).toContain("orchestrator");
});

test("an api that cannot tell says so", async () => {
  show(<HealthPage />, { "GET /health": problem(503, "Shutting down", "This instance stops.") }, "/health");
  expect((await screen.findByRole("alert")).textContent).toContain("This instance stops.");
});
