// Many tabs of one browser: they share a connection to the feed, which outlives each of them.

import { type APIRequestContext, expect, type Page } from "@playwright/test";
import { test } from "../story.ts";
import { order } from "./order.ts";

const feeds = async (request: APIRequestContext) => ((await order(request, {})) as { feeds: number }).feeds;
const live = (page: Page) => expect(page.getByRole("status").getByText("Live")).toBeVisible();

/** Results of one key: what other stories left is not counted. */
function story(request: APIRequestContext) {
  const key = `tabs-${Date.now()}`;
  const send = async (results: number) => {
    for (let sent = 0; sent < results; sent++) await order(request, { begin: { chain: "echo", input: sent, key } });
  };
  const shown = (page: Page) => page.getByRole("row").getByRole("link").count();
  return { path: `/ui/?key=${key}`, send, shown };
}

test("ten tabs hold one connection, and each result reaches all of them, whichever is closed", async ({
  page,
  context,
  request,
}) => {
  const { path, send, shown } = story(request);
  await page.goto(path);
  await live(page);
  await send(3);
  const began = Date.now();
  const tabs = await Promise.all(
    Array.from({ length: 9 }, async () => {
      const tab = await context.newPage();
      await tab.goto(path);
      await live(tab);
      return tab;
    }),
  );
  console.log(`nine more tabs after ${Date.now() - began} ms`);
  const all = async () => [...new Set(await Promise.all(tabs.map(shown)))];
  await expect.poll(all).toEqual([3]);
  await expect.poll(() => feeds(request)).toBe(1);
  await send(4);
  await expect.poll(all).toEqual([7]);
  expect(await shown(page)).toBe(7);

  await page.close();
  await send(2);
  await expect.poll(all).toEqual([9]);
  await order(request, { down: true });
  for (const tab of tabs) await expect(tab.getByRole("status").getByText("Reconnecting")).toBeVisible();
  await send(3);
  await order(request, { down: false });
  await expect.poll(all).toEqual([12]);
  await expect.poll(() => feeds(request)).toBe(1);
});

test("the worker that holds the connection dies: the tabs go on where it was", async ({ page, browser, request }) => {
  const { path, send, shown } = story(request);
  await page.goto(path);
  await live(page);
  await send(2);
  await expect.poll(() => shown(page)).toBe(2);
  const devtools = await browser.newBrowserCDPSession();
  const workers = async () =>
    (await devtools.send("Target.getTargets")).targetInfos.filter(({ type }) => type === "shared_worker");
  expect(await workers()).not.toEqual([]);
  for (const { targetId } of await workers()) await devtools.send("Target.closeTarget", { targetId });
  await send(5);
  await expect.poll(() => shown(page), { timeout: 60_000 }).toBe(7);
});

test("where a browser has no shared workers each tab follows by itself", async ({ page, context, request }) => {
  const { path, send, shown } = story(request);
  await context.addInitScript(() => Reflect.deleteProperty(globalThis, "SharedWorker"));
  await page.goto(path);
  const other = await context.newPage();
  await other.goto(path);
  await live(page);
  await live(other);
  await send(2);
  for (const tab of [page, other]) await expect.poll(() => shown(tab)).toBe(2);
  await expect.poll(() => feeds(request)).toBe(2);
});
