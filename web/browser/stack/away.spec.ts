import { expect } from "@playwright/test";
import { stack, test } from "./stack.ts";

test("an api that dies and comes back: the page says so, and no row is lost or doubled", async ({ page, api }) => {
  const story = `story-${Date.now()}`;
  // The results are made by the processes of the demo, which live on.
  const call = async (number: number) => {
    const body = JSON.stringify({ input: { said: `${story} ${number}` } });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${stack.API}/chains/echo/invoke`, { method: "POST", headers, body });
    expect(answer.status).toBe(200);
  };
  /** Sorted: results of one partition come in order, those of several as they are read. */
  const lines = async () => (await all()).sort();
  const all = () => page.getByRole("row").getByRole("link").allInnerTexts();
  const shows = async (numbers: number[]) => {
    const wanted = numbers.map((number) => expect.stringContaining(`${story} ${number}`) as unknown);
    await expect.poll(lines, { timeout: 40_000 }).toEqual(wanted);
  };

  await api.start();
  await page.goto(`${api.url}/ui/?q=${story}`);
  await expect(page.getByRole("status").getByText("Live")).toBeVisible();
  for (const number of [1, 2, 3]) await call(number);
  await shows([1, 2, 3]);

  await api.kill();
  await expect(page.getByRole("status").getByText("Reconnecting")).toBeVisible();
  for (const number of [4, 5]) await call(number);
  await shows([1, 2, 3]);

  await api.start();
  await expect(page.getByRole("status").getByText("Live")).toBeVisible();
  await shows([1, 2, 3, 4, 5]);
  await call(6);
  await shows([1, 2, 3, 4, 5, 6]);
});
