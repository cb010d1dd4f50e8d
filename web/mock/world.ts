// A small Millrace in memory: chains, runs that take their time, results in the order in which they commit. What is odd
// is asked for by the input: "fail", "invalid", "retry", "slow" and "approve" in a question do what they say.

import type { FeedRow, RecordPlace, Run, Step, Turn } from "../src/api/client.ts";
import { exactly, written } from "../src/api/json.ts";
import { chains } from "./chains.ts";

export type Told = { name: "queued" | "step.started" | "step.ended" | "result"; data: unknown };
export type Asked = {
  chain: string;
  input: unknown;
  key?: string | null;
  metadata?: Record<string, string>;
  config?: { configurable?: unknown };
};
export type Kept = { run: Run; key: string | null; steps: Step[]; records: RecordPlace[]; told: Told[] };

const PARTITIONS = 3;
const now = () => new Date().toISOString();
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class World {
  readonly runs = new Map<string, Kept>();
  /** What the feed remembers. */
  readonly results: FeedRow[] = [];
  /** The number of the first of them. */
  firstResult = 0;
  readonly listeners = new Set<() => void>();
  readonly startedAt = now();
  isDown = false;
  quarantined = 0;
  /** Open connections to the feed. */
  feeds = 0;
  private offsets = new Array<number>(PARTITIONS).fill(0);
  private made = 0;
  private flood: ReturnType<typeof setInterval> | undefined;

  /** Begins a run; it goes on by itself. */
  begin(body: Asked): Kept {
    const chain = chains().find(({ name, version }) => body.chain === name || body.chain === `${name}@${version}`);
    const id = uuid(Date.now(), this.made++);
    const kept: Kept = {
      key: body.key ?? null,
      run: {
        id,
        tenant: "default",
        turn: 0,
        status: "queued",
        chain: body.chain,
        input: body.input,
        metadata: body.metadata ?? {},
        ...(body.config?.configurable ? { params: body.config.configurable } : {}),
        request_src: `millrace.requests.interactive/0/${this.made}`,
        trace_id: id.replaceAll("-", ""),
        accepted_at: now(),
        created_at: now(),
        deadline: new Date(Date.now() + 60_000).toISOString(),
      },
      steps: [],
      records: [{ what: "request", topic: "millrace.requests.interactive", partition: 0, offset: this.made }],
      told: [],
    };
    this.runs.set(id, kept);
    this.tell(kept, { name: "queued", data: { ...kept.run } });
    void this.work(kept, chain ? `${chain.name}@${chain.version}#${chain.digest}` : null);
    return kept;
  }

  /** Goes on with a run that waits. */
  resume(kept: Kept, decisions: unknown): Run {
    const { id, tenant, chain, input, metadata, turn, request_src } = kept.run;
    const next: Run = { id, tenant, turn: turn + 1, status: "queued", accepted_at: now(), created_at: now() };
    kept.told = [];
    kept.run = {
      ...next,
      ...(chain ? { chain } : {}),
      ...(request_src ? { request_src } : {}),
      ...(metadata ? { metadata } : {}),
      input,
      decisions,
    };
    this.tell(kept, { name: "queued", data: { ...kept.run } });
    void this.work(kept, chain ?? null);
    return next;
  }

  private async work(kept: Kept, chain: string | null) {
    const text = written(kept.run.input);
    const isSlow = text.includes("slow");
    await pause(isSlow ? 400 : 40);
    const queued = isSlow ? 412_000 : 38_400;
    if (chain) kept.run = { ...kept.run, status: "in_progress", chain };
    const isInvalid = text.includes("invalid");
    const models = isInvalid
      ? ["ok", "ok"]
      : text.includes("fail")
        ? ["fail", "fail"]
        : text.includes("retry")
          ? ["fail", "fallback"]
          : ["ok"];
    if (chain?.startsWith("answer")) await this.attempt(kept, "docs", "local", "ngram", 1, "primary", "ok", 12);
    if (chain && !chain.startsWith("echo")) {
      for (const [index, outcome] of models.entries()) {
        const isFallback = outcome === "fallback";
        const [provider, model] = isFallback ? ["anthropic", "claude-sonnet-4"] : ["openai", "gpt-4o-mini"];
        const ok = outcome === "fail" ? "rate_limited" : "ok";
        await this.attempt(
          kept,
          "answer",
          provider,
          model,
          index + 1,
          isFallback ? "fallback" : "primary",
          ok,
          isSlow ? 4000 : 350,
        );
      }
    }
    const waits = text.includes("approve") && kept.run.turn === 0;
    const isFailed = !chain || isInvalid || models.every((model) => model === "fail");
    const usage = kept.steps.reduce(
      (sum, { usage }) => ({ in: sum.in + usage.input_tokens, out: sum.out + usage.output_tokens }),
      { in: 0, out: 0 },
    );
    kept.run = {
      ...kept.run,
      status: isFailed ? "failed" : waits ? "interrupted" : "completed",
      ...(isFailed
        ? {
            error: chain
              ? {
                  class: isInvalid ? "invalid_output" : "rate_limited",
                  message: isInvalid
                    ? "what came is not of the schema, twice"
                    : "gpt-4o-mini answered 429 three times; the budget of step answer is spent.",
                  step: "answer",
                }
              : {
                  class: "unknown_chain",
                  message: `No chain is called ${kept.run.chain}. Publish it, or name another one.`,
                  step: null,
                },
          }
        : { output: waits ? { approvals: [APPROVAL] } : output(kept.run) }),
      usage: { input_tokens: usage.in, output_tokens: usage.out, source: usage.in ? "reported" : "" },
      cost_nano_dollars: kept.steps.reduce((sum, step) => sum + step.cost_nano_dollars, 0),
      timings: {
        queued_us: queued,
        ran_us: Math.max(900, (Date.now() - Date.parse(kept.run.accepted_at ?? now())) * 1000 - queued),
      },
      attempts: kept.steps.length,
      completed_at: now(),
      ...(chain ? {} : { dead_letter: `/runs/${kept.run.id}/dead-letter` }),
    };
    const partition = this.made % PARTITIONS;
    const offset = this.commit(rowOf(kept, partition), partition);
    kept.records.push({ what: "result", topic: "millrace.results", partition, offset });
    for (const [index, step] of kept.steps.entries()) {
      const place = { topic: "millrace.audit", partition, offset: offset * 4 + index };
      step.record = place;
      kept.records.push({ what: "attempt", ...place, attempt_id: step.attempt_id });
    }
    kept.records.push({ what: "run", topic: "millrace.audit", partition, offset: offset * 4 + 3 });
    this.tell(kept, { name: "result", data: { ...kept.run } });
  }

  private async attempt(
    kept: Kept,
    step: string,
    provider: string,
    model: string,
    attempt: number,
    reason: string,
    outcome: string,
    ms: number,
  ) {
    const isModel = step === "answer";
    const begun: Step = {
      attempt_id: uuid(Date.now(), this.made++),
      turn: kept.run.turn,
      step,
      provider,
      model,
      route_reason: reason,
      attempt,
      outcome: "started",
      usage: { input_tokens: isModel ? 1834 : 9, output_tokens: 0, source: "estimated" },
      cost_nano_dollars: isModel ? 640_000 : 0,
      started_at: now(),
      ended_at: null,
    };
    kept.steps.push(begun);
    this.tell(kept, { name: "step.started", data: { ...begun } });
    await pause(ms);
    const isOk = outcome === "ok";
    Object.assign(begun, {
      outcome,
      ended_at: now(),
      usage: { input_tokens: isModel ? 1834 : 9, output_tokens: isModel && isOk ? 146 : 0, source: "reported" },
      cost_nano_dollars: isModel && isOk ? 362_700 : 0,
      queue_us: isModel ? ms * 110 : 300,
      connect_us: isModel ? 21_000 : 0,
      first_token_us: isModel && isOk ? ms * 420 : null,
      total_us: ms * 1000,
      ...(kept.run.trace_id ? { trace_id: kept.run.trace_id } : {}),
      ...(isModel ? { prompt: PROMPT, ...(isOk ? { response: ANSWER } : {}) } : {}),
      ...(isModel ? { documents: DOCUMENTS } : {}),
    } satisfies Partial<Step>);
    this.tell(kept, { name: "step.ended", data: { ...begun } });
  }

  /** Puts a result on the feed; gives its offset. */
  commit(row: Omit<FeedRow, "partition" | "offset">, partition: number): number {
    const offset = this.offsets[partition] ?? 0;
    this.offsets[partition] = offset + 1;
    this.results.push({ ...row, partition, offset });
    if (this.results.length > 120_000) {
      this.results.splice(0, 20_000);
      this.firstResult += 20_000;
    }
    for (const listener of this.listeners) listener();
    return offset;
  }

  /** So many made-up results in the past, a few milliseconds apart. */
  fill(results: number) {
    const began = Date.now() - results * 5;
    for (let index = 0; index < results; index++) this.invent(began + index * 5);
  }

  /** So many made-up results a second from now on. */
  pour(rate: number) {
    clearInterval(this.flood);
    let owed = 0;
    if (rate > 0)
      this.flood = setInterval(() => {
        owed += rate / 20;
        for (; owed >= 1; owed -= 1) this.invent(Date.now());
      }, 50);
  }

  private invent(at: number) {
    const number = this.made++;
    const random = (salt: number) => (((number + 1) * (2654435761 + salt * 97)) % 1000) / 1000;
    const chain = chains()[Math.floor(random(1) * chains().length)];
    const isFailed = random(2) > 0.97;
    const isFree = chain?.name === "echo";
    const latency = Math.round(isFree ? 2_000 + 6_000 * random(3) : 180_000 + 900_000 * random(3) ** 4);
    this.commit(
      {
        id: uuid(at, number),
        tenant: "default",
        turn: 0,
        src: `millrace.requests/${number % 4}/${number}`,
        accepted_at: new Date(at - latency / 1000).toISOString(),
        completed_at: new Date(at).toISOString(),
        chain: chain ? `${chain.name}@${chain.version}#${chain.digest}` : null,
        key: random(4) > 0.4 ? `customer-${Math.floor(random(5) * 40)}` : null,
        status: isFailed ? (random(6) > 0.7 ? "cancelled" : "failed") : "completed",
        latency_us: latency,
        queued_us: 900 + Math.round(3_000 * random(7)),
        input_tokens: isFree ? 0 : 400 + Math.round(random(8) * 1800),
        output_tokens: isFree || isFailed ? 0 : 40 + Math.round(random(9) * 300),
        cost_nano_dollars: isFree ? 0 : 60_000 + Math.round(random(10) * 900_000),
        attempts: isFree ? 0 : 1 + Math.floor(random(11) * 1.2),
        error_class: isFailed ? "rate_limited" : null,
        preview: isFailed
          ? "gpt-4o-mini answered 429 three times; the budget of step answer is spent."
          : (LINES[number % LINES.length] ?? ""),
      },
      number % PARTITIONS,
    );
  }

  private tell(kept: Kept, told: Told) {
    kept.told.push(told);
    for (const listener of this.listeners) listener();
  }
}

function rowOf({ run, key }: Kept, partition: number): Omit<FeedRow, "partition" | "offset"> {
  const text = run.error?.message ?? Object.values((run.output ?? {}) as object)[0];
  return {
    id: run.id,
    tenant: run.tenant,
    turn: run.turn,
    src: `${run.request_src ?? `millrace.requests/${partition}/0`}`,
    accepted_at: run.accepted_at ?? now(),
    completed_at: run.completed_at ?? now(),
    chain: run.chain ?? null,
    key,
    status: run.status,
    latency_us: (run.timings?.queued_us ?? 0) + (run.timings?.ran_us ?? 0),
    queued_us: run.timings?.queued_us ?? 0,
    input_tokens: run.usage?.input_tokens ?? 0,
    output_tokens: run.usage?.output_tokens ?? 0,
    cost_nano_dollars: run.cost_nano_dollars ?? 0,
    attempts: run.attempts ?? 0,
    error_class: run.error?.class ?? null,
    preview: (typeof text === "string" ? text : written(run.output)).split("\n")[0]?.slice(0, 200) ?? "",
  };
}

function output(run: Run): unknown {
  if (run.chain?.startsWith("echo")) return run.input;
  if (run.chain?.startsWith("summarize")) return { summary: LINES[1] };
  if (run.chain?.startsWith("triage")) return { kind: "question", queue: "support", urgent: false };
  return { answer: ANSWER, documents: DOCUMENTS.map(({ id }) => id) };
}

/** What an audit would say of the steps. */
export function turnsOf({ run, steps }: Kept): Turn[] {
  if (run.completed_at === undefined) return [];
  const trail = steps.map(({ step, outcome, total_us = 0 }, index) => ({
    step,
    kind: step === "docs" ? "retrieve" : "chat",
    outcome,
    attempts: 1,
    began_us: index * 400_000,
    took_us: total_us,
  }));
  const shaped = { step: "shaped", kind: "transform", outcome: "ok", attempts: 1, began_us: 812_000, took_us: 41 };
  return [{ turn: run.turn, trail: [...trail, shaped], left_out: 0, documents: [] }];
}

const APPROVAL = {
  step: "approval",
  message: "Give back 70 for order A-1? The cup broke on the first day.",
  value: exactly('{"amount": 70.10, "account": 1795292668348461057}'),
  schema: { type: "object", properties: { amount: { type: "number" }, account: { type: "integer" } } },
};

/** A UUIDv7 whose random part is a number, so that a test's ids are its own. */
function uuid(ms: number, number: number): string {
  const time = Math.floor(ms).toString(16).padStart(12, "0");
  const tail = number.toString(16).padStart(15, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${tail.slice(0, 3)}-8${tail.slice(3, 6)}-${tail.slice(6).padStart(12, "0")}`;
}

const PROMPT = `system: Answer the question only from the <doc> blocks, and cite the id of each block you used in square brackets.
user: <doc id="README.md#14">A lane is what must stay in order: the records of one key in one partition.</doc>
What is a lane?`;
const ANSWER = `A **lane** is what must stay in order: the records of one key in one partition [README.md#14].

- A slow call delays only its own lane; others pass it.
- A record without a key is in no lane [engine.md#3].`;
const DOCUMENTS = [
  { index: "millrace-docs", namespace: "default", id: "README.md#14", score: 0.8312 },
  { index: "millrace-docs", namespace: "default", id: "engine.md#3", score: 0.7719 },
  { index: "millrace-docs", namespace: "default", id: "engine.md#9", score: 0.5102 },
  { index: "millrace-docs", namespace: "default", id: "bridge.md#1", score: 0.4876 },
];
const LINES = [
  "A lane is what must stay in order: the records of one key in one partition [README.md#14].",
  "The caller's records are read from the request topic, and each result commits together with the offset that it answers.",
  "Refund approved: the parcel was scanned at the depot twice, and the second scan shows the damage.",
  "Before a paid call leaves, its estimate is written ahead; what it really cost settles it [books.md#2].",
  "billing: the invoice of March names a plan that ended in February.",
  "The ledger keeps a result until the commit that carries it is acknowledged [engine.md#9].",
  "No document answers that question.",
];
