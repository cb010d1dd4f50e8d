// What an interrupted run waits for, and the two buttons that let it go on.

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, type Approval, type Decision, type Run } from "../api/client.ts";
import { exactly } from "../api/json.ts";
import { queries } from "../api/queries.ts";
import { readable } from "../format.ts";
import { Broken } from "./empty.tsx";
import { Highlighted } from "./highlighted.tsx";

export function Approvals({ run }: { run: Run }) {
  const client = useQueryClient();
  const decide = useMutation({
    mutationFn: ({ step, ...decision }: Decision & { step: string }) =>
      api.resume(run.id, { decisions: { [step]: decision } }),
    onSuccess: (next) => client.setQueryData<Run>(queries.run(run.id).queryKey, (known) => nextTurn(known, next)),
  });
  return (
    <>
      {approvalsOf(run).map((approval) => (
        <Question
          key={approval.step}
          approval={approval}
          isBusy={decide.isPending}
          decide={(decision) => decide.mutate({ step: approval.step, ...decision })}
        />
      ))}
      {decide.error && <Broken error={decide.error} />}
    </>
  );
}

type Props = { approval: Approval; isBusy: boolean; decide: (decision: Decision) => void };

function Question({ approval: { step, message, value, schema }, isBusy, decide }: Props) {
  const [text, setText] = useState(readable(value));
  const [comment, setComment] = useState("");
  const changed = schema === undefined ? value : parsed(text);
  const answer = (approved: boolean) =>
    decide({
      approved,
      ...(approved && schema !== undefined && changed !== undefined ? { value: changed } : {}),
      ...(comment.trim() === "" ? {} : { comment }),
    });
  return (
    <section className="panel approval" aria-label={`Decision: ${step}`}>
      <header>
        <h2>{message}</h2>
        <span className="note">step {step} waits</span>
      </header>
      <div className="body">
        {schema === undefined ? (
          <div className="text" tabIndex={0}>
            <Highlighted text={readable(value)} language="json" />
          </div>
        ) : (
          <label>
            Value, which may be changed
            <textarea
              className="mono"
              rows={Math.min(12, text.split("\n").length + 1)}
              value={text}
              spellCheck={false}
              aria-invalid={changed === undefined}
              onChange={(event) => setText(event.target.value)}
            />
          </label>
        )}
        {changed === undefined && <p className="is-bad">This is not JSON.</p>}
        <label>
          Comment
          <input value={comment} onChange={(event) => setComment(event.target.value)} placeholder="for the record" />
        </label>
        <div className="actions">
          <button className="primary" disabled={isBusy || changed === undefined} onClick={() => answer(true)}>
            Approve
          </button>
          <button disabled={isBusy} onClick={() => answer(false)}>
            Reject
          </button>
        </div>
      </div>
    </section>
  );
}

export function approvalsOf({ output }: Run): Approval[] {
  const approvals = (output as { approvals?: unknown } | null | undefined)?.approvals;
  return Array.isArray(approvals) ? (approvals as Approval[]) : [];
}

/** What the turn before has given is not the turn's. */
function nextTurn(known: Run | undefined, next: Run): Run {
  const { chain, input, metadata, params } = known ?? {};
  return {
    ...(chain === undefined ? {} : { chain }),
    ...(input === undefined ? {} : { input }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(params === undefined ? {} : { params }),
    ...next,
  };
}

function parsed(text: string): unknown {
  try {
    return exactly(text);
  } catch {
    return undefined;
  }
}
