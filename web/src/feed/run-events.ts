// Follows a run until its result, and puts what it learns where the queries keep it.

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { Run, Step, Steps } from "../api/client.ts";
import { exactly } from "../api/json.ts";
import { queries } from "../api/queries.ts";
import { follow, type Link } from "./follow.ts";

/** `interrupted` is not final: a resume goes on. */
export const isOver = (run: Pick<Run, "status">) => isFinal(run) || run.status === "interrupted";
export const isFinal = ({ status }: Pick<Run, "status">) => ["completed", "failed", "cancelled"].includes(status);

/** The audit of a call is in Postgres a moment after its result; looked for this often. */
const AUDIT_TRIES = [200, 400, 800, 1_600, 3_000];

export function useRunEvents(id: string, run: Run | undefined): Link {
  const client = useQueryClient();
  const [link, setLink] = useState<Link>({ is: "connecting" });
  const isRunning = run !== undefined && !isOver(run);
  const turn = run?.turn ?? 0;

  useEffect(() => {
    if (!isRunning) return;
    const stopping = new AbortController();
    const step = (step: Step) =>
      client.setQueryData<Steps>(queries.steps(id).queryKey, (known) => withStep(known, id, step));
    const event = (name: string, data: string) => {
      if (name === "step.started" || name === "step.ended") step(JSON.parse(data) as Step);
      else if (name === "queued" || name === "result") {
        const told = exactly(data) as Run;
        client.setQueryData<Run>(queries.run(id).queryKey, (known) => ({ ...known, ...told }));
      }
    };
    void follow(
      `/runs/${encodeURIComponent(id)}/events${turn > 0 ? `?turn=${turn}` : ""}`,
      { event, link: setLink, last: (name) => name === "result" },
      stopping.signal,
    );
    return () => stopping.abort();
  }, [client, id, isRunning, turn]);

  const status = run?.status;
  useEffect(() => {
    if (status === undefined || !isOver({ status })) return;
    let timer: ReturnType<typeof setTimeout>;
    const look = async (tries: number) => {
      await Promise.all([
        client.refetchQueries(queries.steps(id)),
        client.refetchQueries(queries.records(id)),
        client.refetchQueries(queries.run(id)),
      ]);
      const known = client.getQueryData<Steps>(queries.steps(id).queryKey);
      const steps = (known?.steps ?? []).filter((step) => step.turn === turn);
      const isTold = known?.turns.some((told) => told.turn === turn) ?? false;
      const wanted = client.getQueryData<Run>(queries.run(id).queryKey)?.attempts ?? 0;
      const isBooked = isTold && steps.length >= wanted && steps.every(({ record }) => record !== undefined);
      const wait = AUDIT_TRIES[tries];
      if (!isBooked && wait !== undefined) timer = setTimeout(() => void look(tries + 1), wait);
    };
    void look(0);
    return () => clearTimeout(timer);
  }, [client, id, status, turn]);

  return link;
}

function withStep(known: Steps | undefined, id: string, step: Step): Steps {
  const before = known ?? { run_id: id, steps: [], documents: [], turns: [] };
  const others = before.steps.filter(({ attempt_id }) => attempt_id !== step.attempt_id);
  const began = ({ started_at, ended_at }: Step) => Date.parse(started_at ?? ended_at ?? "");
  return { ...before, steps: [...others, step].sort((a, b) => began(a) - began(b)) };
}
