// The one door to the api. What is not an answer is thrown as a Problem that says what broke.

import createClient from "openapi-fetch";
import { exactly, written } from "./json.ts";
import { Problem } from "./problem.ts";
import type { components, paths } from "./schema.gen.ts";

type Schemas = components["schemas"];
export type NewRun = Schemas["NewRun"];
export type Run = Schemas["Run"];
export type Step = Schemas["Step"];
export type Steps = Schemas["Steps"];
export type StepTaken = Schemas["StepTaken"];
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

const client = createClient<paths>({
  baseUrl: location.origin,
  bodySerializer: written,
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

/** Of answers in which stands what people and models wrote; in the others are figures of the api's own. */
async function exact<T>(call: Promise<Answered<string>>): Promise<T> {
  const text = await taken(call);
  try {
    return exactly(text) as T;
  } catch {
    throw Problem.of(502, null);
  }
}

const parseAs = "text";

type RunQuery = NonNullable<paths["/runs"]["get"]["parameters"]["query"]>;
type Signal = { signal: AbortSignal };
export type Place = Pick<RecordPlace, "topic" | "partition" | "offset">;

export const api = {
  chains: (with_: Signal) => taken(client.GET("/chains", with_)),
  chain: (chain: string, with_: Signal) =>
    exact<Chain>(client.GET("/chains/{chain}", { params: { path: { chain } }, ...with_, parseAs })),
  runs: (query: RunQuery, with_: Signal) => taken(client.GET("/runs", { params: { query }, ...with_ })),
  run: (id: string, with_: Signal) =>
    exact<Run>(client.GET("/runs/{id}", { params: { path: { id } }, ...with_, parseAs })),
  steps: (id: string, with_: Signal) => taken(client.GET("/runs/{id}/steps", { params: { path: { id } }, ...with_ })),
  records: (id: string, with_: Signal) =>
    taken(client.GET("/runs/{id}/records", { params: { path: { id } }, ...with_ })),
  record: (id: string, { topic, partition, offset }: Place, with_: Signal) =>
    exact<RawRecord>(
      client.GET("/runs/{id}/records/{topic}/{partition}/{offset}", {
        params: { path: { id, topic, partition, offset } },
        ...with_,
        parseAs,
      }),
    ),
  deadLetter: (id: string, with_: Signal) =>
    taken(client.GET("/runs/{id}/dead-letter", { params: { path: { id } }, ...with_ })),
  stats: (query: { chain?: string; minutes: number; every: number }, with_: Signal) =>
    taken(client.GET("/stats", { params: { query }, ...with_ })),
  health: (with_: Signal) => taken(client.GET("/health", with_)),
  resume: (id: string, body: Schemas["Resume"]) =>
    exact<Run>(client.POST("/runs/{id}/resume", { params: { path: { id } }, body, parseAs })),
  begin: (body: NewRun) => exact<Run>(client.POST("/runs", { body, parseAs })),
};
