// The one door to the api. What is not an answer is thrown as a Problem that says what broke.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.gen.ts";

type Schemas = components["schemas"];
export type Run = Schemas["Run"];
export type Step = Schemas["Step"];
export type Steps = Schemas["Steps"];
export type Turn = Schemas["Turn"];
export type Approval = Schemas["Approval"];
export type Decision = Schemas["Decision"];
export type RecordPlace = Schemas["RecordPlace"];
export type RawRecord = Schemas["RawRecord"];
export type DeadLetter = Schemas["DeadLetter"];
export type Chain = Schemas["Chain"];
export type ChainSummary = Schemas["ChainSummary"];
export type FeedRow = Schemas["FeedRow"];
export type FeedGap = Schemas["FeedGap"];
export type Stats = Schemas["Stats"];
export type Health = Schemas["Health"];
export type Instance = Schemas["Instance"];
export type Group = Schemas["Group"];
export type GroupPartition = Schemas["GroupPartition"];
export type Mistake = Schemas["Mistake"];

/** RFC 9457, as every error of the api; or what stood in its place. */
export class Problem extends Error {
  constructor(
    readonly title: string,
    detail: string,
    /** 0: nothing answered. */
    readonly status: number,
    readonly retryable: boolean,
    readonly mistakes: readonly Mistake[] = [],
  ) {
    super(detail);
    this.name = "Problem";
  }

  static of(status: number, body: unknown): Problem {
    const problem = (typeof body === "object" && body !== null ? body : {}) as Partial<Schemas["Problem"]>;
    if (typeof problem.title === "string" && typeof problem.detail === "string") {
      return new Problem(problem.title, problem.detail, status, problem.retryable ?? status >= 500, problem.errors);
    }
    const detail = `The answer was HTTP ${status}, and not of this api. Is something else between this page and it?`;
    return new Problem("Unexpected answer", detail, status, status >= 500);
  }

  static unreachable(): Problem {
    const detail = `${location.origin} does not answer. If it runs on this machine, look at its terminal; this page goes on by itself when it is back.`;
    return new Problem("The api is away", detail, 0, true);
  }
}

const client = createClient<paths>({
  baseUrl: location.origin,
  // Late binding, so that tests can put their own in its place.
  fetch: (request) => globalThis.fetch(request),
});

type Answered<T> = { data?: T; error?: unknown; response: Response };

async function taken<T>(call: Promise<Answered<T>>): Promise<T> {
  let answer: Answered<T>;
  try {
    answer = await call;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw error instanceof SyntaxError ? Problem.of(502, null) : Problem.unreachable();
  }
  if (!answer.response.ok || answer.data === undefined) throw Problem.of(answer.response.status, answer.error);
  return answer.data;
}

type Signal = { signal: AbortSignal };
export type Place = Pick<RecordPlace, "topic" | "partition" | "offset">;

export const api = {
  chains: (with_: Signal) => taken(client.GET("/chains", with_)),
  chain: (chain: string, with_: Signal) =>
    taken(client.GET("/chains/{chain}", { params: { path: { chain } }, ...with_ })),
  runs: (chain: string, limit: number, with_: Signal) =>
    taken(client.GET("/runs", { params: { query: { chain, limit } }, ...with_ })),
  run: (id: string, with_: Signal) => taken(client.GET("/runs/{id}", { params: { path: { id } }, ...with_ })),
  steps: (id: string, with_: Signal) => taken(client.GET("/runs/{id}/steps", { params: { path: { id } }, ...with_ })),
  records: (id: string, with_: Signal) =>
    taken(client.GET("/runs/{id}/records", { params: { path: { id } }, ...with_ })),
  record: (id: string, { topic, partition, offset }: Place, with_: Signal) =>
    taken(
      client.GET("/runs/{id}/records/{topic}/{partition}/{offset}", {
        params: { path: { id, topic, partition, offset } },
        ...with_,
      }),
    ),
  deadLetter: (id: string, with_: Signal) =>
    taken(client.GET("/runs/{id}/dead-letter", { params: { path: { id } }, ...with_ })),
  stats: (query: { chain?: string; minutes: number; every: number }, with_: Signal) =>
    taken(client.GET("/stats", { params: { query }, ...with_ })),
  health: (with_: Signal) => taken(client.GET("/health", with_)),
  resume: (id: string, body: Schemas["Resume"]) =>
    taken(client.POST("/runs/{id}/resume", { params: { path: { id } }, body })),
  begin: (body: Schemas["NewRun"]) => taken(client.POST("/runs", { body })),
};
