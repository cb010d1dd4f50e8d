// A page as a browser would show it, at an address, with an api whose answers the test writes down.

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render } from "@testing-library/react";
import type { ReactNode } from "react";
import { vi } from "vitest";
import { Router } from "wouter";
import { exactly } from "./api/json.ts";
import { base } from "./routes.ts";

/** By method and path, without the query; a body, or a function that makes the whole answer. */
export type Answers = Record<string, object | (() => Response)>;

/** Shows `page` at `path`; gives the calls that it makes, as they come. */
export function show(page: ReactNode, answers: Answers, path = "/"): { calls: string[]; bodies: unknown[] } {
  const calls: string[] = [];
  const bodies: unknown[] = [];
  vi.stubGlobal("fetch", async (input: Request | string) => {
    const method = typeof input === "string" ? "GET" : input.method;
    const call = `${method} ${new URL(typeof input === "string" ? input : input.url, location.origin).pathname}`;
    calls.push(call);
    if (typeof input !== "string" && method === "POST") bodies.push(exactly(await input.text()));
    const answer = answers[call] ?? problem(404, "Nothing here", `No answer is written down for ${call}.`);
    return typeof answer === "function" ? (answer as () => Response)() : json(answer);
  });
  history.replaceState(null, "", `${base}${path}`);
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={client}>
      <Router base={base}>{page}</Router>
    </QueryClientProvider>,
  );
  return { calls, bodies };
}

export const json = (body: object, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });

export const problem =
  (status: number, title: string, detail: string, errors: object[] = []) =>
  () =>
    json({ title, detail, status, retryable: status >= 500, errors }, status);

/** A stream that says this and stays open. */
export const stream =
  (...events: [name: string, data: object][]) =>
  () => {
    const text = events
      .map(([name, data], id) => `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
      .join("");
    const body = new ReadableStream({ start: (out) => out.enqueue(new TextEncoder().encode(text)) });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
