import { act, cleanup, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { row } from "../feed/sample.ts";
import { feed } from "../feed/store.ts";
import { Shortcuts } from "../parts/shortcuts.tsx";
import { show } from "../test-page.tsx";
import { LivePage } from "./live.tsx";

// jsdom has no canvas.
vi.mock("../parts/chart.tsx", () => ({ TimeChart: () => null }));

let offset = 0;

beforeEach(() => {
  vi.spyOn(Element.prototype, "clientHeight", "get").mockReturnValue(640);
  vi.spyOn(Element.prototype, "clientWidth", "get").mockReturnValue(1280);
  Element.prototype.scrollTo = () => {};
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

function live(path = "/") {
  for (const status of ["completed", "failed", "completed"]) {
    feed.take("result", row(offset, { status, key: `k${offset % 2}`, preview: `line ${offset % 3}` }));
    offset += 1;
  }
  const chains = [{ name: "answer", version: 1, digest: "be78", published_at: "2026-03-01T09:00:00Z" }];
  show(
    <>
      <LivePage />
      <Shortcuts />
    </>,
    { "GET /chains": { chains } },
    path,
  );
  // jsdom lets what is in a closed dialog have the focus.
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
}

const picked = () => document.querySelector(".row[aria-current]")?.getAttribute("aria-rowindex");

test("j and k walk the rows, Enter opens the one that is picked, Escape lets go", async () => {
  live();
  await userEvent.keyboard("j");
  expect(picked()).toBe("2");
  await userEvent.keyboard("jj");
  expect(picked()).toBe("4");
  await userEvent.keyboard("k");
  expect(picked()).toBe("3");
  expect(screen.getByRole("button", { name: "Follow" }).getAttribute("aria-pressed")).toBe("true");
  await userEvent.keyboard("{Escape}");
  expect(picked()).toBeUndefined();
  expect(screen.getByRole("button", { name: "Hold" })).toBeTruthy();
  await userEvent.keyboard("j{Enter}");
  expect(location.pathname).toBe(`/ui/runs/run-0-${offset - 1}`);
});

test("a held list stands still and counts what waits", async () => {
  live();
  await userEvent.keyboard("[Space]");
  const before = screen.getAllByRole("row").length;
  act(() => feed.take("result", row(offset++)));
  expect(await screen.findByRole("button", { name: "1 new · follow" })).toBeTruthy();
  expect(screen.getAllByRole("row")).toHaveLength(before);
  await userEvent.keyboard("[Space]");
  await expect.poll(() => screen.getAllByRole("row").length).toBe(before + 1);
});

test("/ leads to the search, where keys are letters; ? shows the keys", async () => {
  live();
  await userEvent.keyboard("/");
  const search = screen.getByRole("searchbox");
  expect(document.activeElement).toBe(search);
  await userEvent.keyboard("jk?");
  expect(search).toHaveProperty("value", "jk?");
  expect(picked()).toBeUndefined();
  await userEvent.keyboard("{Escape}");
  expect(document.activeElement).not.toBe(search);
  await userEvent.keyboard("?");
  expect(screen.getByRole("dialog").textContent).toContain("next row, previous row");
});

test("filters are in the address: what is typed goes there, and what is there is shown", async () => {
  live("/?status=failed&chain=gone@7");
  expect(screen.getByLabelText("Status")).toHaveProperty("value", "failed");
  expect(screen.getByLabelText("Chain")).toHaveProperty("value", "gone@7");
  expect(screen.getByText("No result that is remembered here passes the filter")).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: "Clear the filter" }));
  expect(location.search).toBe("");

  await userEvent.selectOptions(screen.getByLabelText("Status"), "failed");
  await userEvent.type(screen.getByRole("searchbox"), "line 1");
  expect(new URLSearchParams(location.search).toString()).toBe("status=failed&q=line+1");
  const states = [...document.querySelectorAll(".rows-all .row .state")].map(({ textContent }) => textContent);
  expect(new Set(states)).toEqual(new Set(["Failed"]));
});
