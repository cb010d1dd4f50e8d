// What lies in Kafka for a run of the mock. One of each oddity: an audit record that retention deleted, a broker that does
// not answer, and bytes that nobody can read.

import type { RawRecord, RecordPlace } from "../src/api/client.ts";
import { written } from "../src/api/json.ts";
import type { Kept } from "./world.ts";

type Found = { record: RawRecord } | { status: number; title: string; detail: string };

export function recordOf(kept: Kept, topic: string, partition: number, offset: number): Found {
  const of = kept.records.find((one) => one.topic === topic && one.partition === partition && one.offset === offset);
  if (!of) {
    const detail = `no record of run ${kept.run.id} is known to lie at ${topic}/${partition}/${offset}; /runs/${kept.run.id}/records lists those that are`;
    return { status: 404, title: "The run has no record there", detail };
  }
  const said = JSON.stringify(kept.run.input);
  if (of.what === "attempt" && said.includes("forgotten")) {
    const detail = `${topic}/${partition} starts at offset ${offset + 1_204}: retention deleted what lay before.`;
    return { status: 404, title: "The record is not in its topic any more", detail };
  }
  if (of.what === "attempt" && said.includes("silent")) {
    const detail = "the brokers did not answer within 5 s; see `broker` in GET /health";
    return { status: 504, title: "The brokers did not answer in time", detail };
  }
  return { record: raw(kept, of) };
}

function raw({ run, key, steps }: Kept, { what, topic, partition, offset, attempt_id }: RecordPlace): RawRecord {
  const contents: Record<string, [string | null, unknown]> = {
    request: ["millrace.Request", { id: run.id, chain: run.chain, input: run.input, metadata: run.metadata }],
    result: [
      "millrace.Result",
      { id: run.id, status: run.status, output: run.output ?? null, error: run.error ?? null },
    ],
    attempt: ["millrace.Audit", steps.find((step) => step.attempt_id === attempt_id)],
    run: ["millrace.Audit", { request_id: run.id, chain: run.chain, usage: run.usage, timings: run.timings }],
  };
  const isUnreadable = what === "request" && run.dead_letter !== undefined;
  const [schema, value] = (isUnreadable ? undefined : contents[what]) ?? [null, null];
  const bytes = isUnreadable ? Buffer.from([0, 255, 17, 4, 9, 200, 33]).toString("base64") : null;
  return {
    topic,
    partition,
    offset,
    timestamp: run.accepted_at ?? null,
    key,
    headers: [
      { name: "request-id", value: run.id },
      { name: "traceparent", value: `00-${run.trace_id ?? ""}-00f067aa0ba902b7-01` },
    ],
    schema,
    size: bytes === null ? written(value).length : 7,
    value,
    bytes,
  };
}
