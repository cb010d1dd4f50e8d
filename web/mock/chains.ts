// The chain files that ship with Millrace, as an orchestrator publishes them.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Chain } from "../src/api/client.ts";

const string = (rest: object) => ({ type: "string", ...rest });

const shapes: [string, Chain["graph"], Chain["input_schema"], Chain["output_schema"]][] = [
  [
    "answer",
    {
      steps: [
        { id: "docs", kind: "retrieve", waits_for: [] },
        { id: "answer", kind: "chat", waits_for: ["docs"] },
      ],
    },
    object({ question: string({ minLength: 1, maxLength: 4000 }) }, ["question"]),
    object({ answer: string({}), documents: { type: "array", items: string({}) } }, ["answer", "documents"]),
  ],
  ["echo", { steps: [] }, {}, {}],
  [
    "triage",
    {
      steps: [
        { id: "asked", kind: "chat", waits_for: [] },
        { id: "kind", kind: "parse", waits_for: ["asked"] },
        {
          id: "route",
          kind: "switch",
          waits_for: ["kind"],
          blocks: ["refund", "outage", "question", "other"].map((name) => ({
            name,
            steps: [{ id: "queue", kind: "transform", waits_for: [] }],
          })),
        },
      ],
    },
    object({ message: string({ minLength: 1, maxLength: 8000 }) }, ["message"]),
    object({ kind: string({}), queue: string({}), urgent: { type: "boolean" } }, ["kind", "queue", "urgent"]),
  ],
  [
    "summarize",
    { steps: [{ id: "summary", kind: "chat", waits_for: [] }] },
    object({ text: string({ minLength: 1, maxLength: 100_000 }), about: string({ maxLength: 400 }) }, ["text"]),
    object({ summary: string({}) }, ["summary"]),
  ],
];

function object(properties: object, required: string[]) {
  return { type: "object", required, additionalProperties: false, properties };
}

let made: Chain[] | undefined;

export function chains(): Chain[] {
  made ??= shapes.map(([name, graph, input_schema, output_schema]) => {
    const source = readFileSync(new URL(`../../processors/chains/${name}.yaml`, import.meta.url), "utf8");
    const digest = createHash("sha256").update(source).digest("hex");
    const published_at = new Date(Date.now() - 3_600_000).toISOString();
    const summary = { name, version: 1, digest, published_at };
    return { ...summary, source, graph, input_schema, output_schema, versions: [summary] };
  });
  return made;
}
