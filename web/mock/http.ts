// The paths of schemas/openapi.json that the page calls, and /mock, by which tests say what shall happen.

import type { IncomingMessage, ServerResponse } from "node:http";
import { exactly, written } from "../src/api/json.ts";
import { decoded } from "../src/routes.ts";
import { type Asked, turnsOf, type World } from "./world.ts";
import { chains } from "./chains.ts";
import { feedOf, eventsOf } from "./streams.ts";
import { stats } from "./figures.ts";
import { health } from "./health.ts";
import { recordOf } from "./records.ts";

/** Whether the path is one of the api's. */
export function answer(world: World, request: IncomingMessage, response: ServerResponse): boolean {
  const url = new URL(request.url ?? "/", "http://mock");
  const [first = "", second, third, ...rest] = url.pathname
    .split("/")
    .slice(1)
    .map((part) => decoded(part) ?? part);
  const json = (body: unknown, status = 200) => {
    response.writeHead(status, { "content-type": status < 400 ? "application/json" : "application/problem+json" });
    response.end(written(body));
  };
  const problem = (status: number, title: string, detail: string, errors?: object[]) =>
    json(
      {
        type: "urn:problem-type:millrace:mock",
        title,
        status,
        detail,
        instance: url.pathname,
        retryable: status >= 500,
        errors,
      },
      status,
    );

  if (first === "mock") {
    void body(request).then((order) => json(obey(world, order as Order)));
    return true;
  }
  if (!["chains", "runs", "feed", "stats", "health"].includes(first)) return false;
  if (world.isDown) {
    request.socket.destroy();
    return true;
  }
  if (first === "feed") feedOf(world, request, response);
  else if (first === "stats") json(stats(world, url.searchParams));
  else if (first === "health") json(health(world));
  else if (first === "chains" && second === undefined) {
    json({ chains: chains().flatMap(({ versions }) => versions) });
  } else if (first === "chains") {
    const chain = chains().find(({ name, version }) => second === name || second === `${name}@${version}`);
    if (chain) json(chain);
    else problem(404, "No such chain", `No chain is called ${second}. GET /chains lists what can be called.`);
  } else if (request.method === "POST" && third === "resume") {
    const kept = world.runs.get(second ?? "");
    if (kept?.run.status === "interrupted")
      void body(request).then((decisions) => json(world.resume(kept, decisions), 202));
    else problem(409, "The run does not wait for a decision", `Run ${second} is ${kept?.run.status ?? "unknown"}.`);
  } else if (request.method === "POST") {
    void body(request).then((asked) => {
      const run = asked as Asked & { input: Record<string, unknown> };
      const chain = chains().find(({ name }) => run.chain.split("@")[0] === name);
      const required = (chain?.input_schema as { required?: string[] } | undefined)?.required ?? [];
      const missing = required.filter((name) => run.input[name] === undefined || run.input[name] === "");
      if (missing.length > 0) {
        // As the api says it: the place is the object that lacks it.
        const said = (name: string) => `${JSON.stringify(name)} is a required property`;
        const errors = missing.map((name) => ({ loc: ["body", "input"], msg: said(name), type: "required" }));
        problem(422, "Invalid input", `The input does not fit the input schema of ${run.chain}.`, errors);
      } else json(world.begin(run).run, 202);
    });
  } else if (second === undefined) {
    const chain = url.searchParams.get("chain");
    const runs = [...world.runs.values()].map(({ run }) => run).reverse();
    const status = url.searchParams.get("status");
    const wanted = runs.filter((run) => (!chain || run.chain?.startsWith(chain)) && (!status || run.status === status));
    json({ runs: wanted.slice(0, Number(url.searchParams.get("limit") ?? 50)) });
  } else {
    const kept = world.runs.get(second);
    if (!kept) problem(404, "No such run", `No run is called ${second}, or it is older than what is kept.`);
    else if (third === undefined) json(kept.run);
    else if (third === "steps") {
      const documents = kept.steps.flatMap(({ documents = [] }) => documents);
      json({ run_id: second, steps: kept.steps, documents, turns: turnsOf(kept) });
    } else if (third === "records" && rest.length === 0) json({ run_id: second, records: kept.records });
    else if (third === "records") {
      const [topic = "", partition, offset] = rest;
      const found = recordOf(kept, topic, Number(partition), Number(offset));
      if ("record" in found) json(found.record);
      else problem(found.status, found.title, found.detail);
    } else if (third === "events") eventsOf(world, kept, request, response);
    else if (third === "dead-letter" && kept.run.dead_letter) {
      const value = Buffer.from(JSON.stringify({ chain: kept.run.chain, input: kept.run.input }));
      json({
        run_id: second,
        tenant: "default",
        topic: "millrace.requests",
        partition: 0,
        offset: 4711,
        accepted_at: kept.run.accepted_at,
        failed_at: kept.run.completed_at,
        class: kept.run.error?.class,
        message: kept.run.error?.message,
        chain: null,
        key: null,
        value: value.toString("base64"),
        value_text: value.toString(),
        value_bytes: value.length,
        headers: [{ name: "request-id", value: Buffer.from(second).toString("base64") }],
        left_out: [],
      });
    } else problem(404, "Nothing here", "This run has none.");
  }
  return true;
}

type Order = {
  quarantined?: number;
  fill?: number;
  rate?: number;
  down?: boolean;
  gap?: number;
  begin?: Parameters<World["begin"]>[0];
};

function obey(world: World, order: Order): unknown {
  if (order.down !== undefined) {
    world.isDown = order.down;
    for (const listener of world.listeners) listener();
  }
  if (order.quarantined !== undefined) world.quarantined = order.quarantined;
  if (order.fill) world.fill(order.fill);
  if (order.rate !== undefined) world.pour(order.rate);
  return order.begin
    ? world.begin(order.begin).run
    : { results: world.firstResult + world.results.length, feeds: world.feeds };
}

async function body(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const piece of request) text += String(piece);
  return text === "" ? {} : exactly(text);
}
