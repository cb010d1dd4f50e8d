// @vitest-environment node
// The types are those of schemas/openapi.json as it is now. When this fails: `npm run types`.

import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test("the types are those of the checked-in openapi.json", { timeout: 60_000 }, () => {
  const { stdout, stderr, status } = spawnSync("npm", ["run", "types", "--", "--check"], { encoding: "utf8" });
  expect({ status, said: status === 0 ? "" : stdout + stderr }).toEqual({ status: 0, said: "" });
});
