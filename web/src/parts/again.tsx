// "Run again" pays again, so it asks first, and says what goes along.

import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { again, hasParams, useKeyOf } from "../api/again.ts";
import { api, type Run } from "../api/client.ts";
import { written } from "../api/json.ts";
import { chainName, count, money } from "../format.ts";
import { Broken } from "./empty.tsx";
import { Status } from "./status.tsx";

type Props = { run: Run; close: () => void; begun: (run: Run) => void };

export function AgainDialog({ run, close, begun }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const key = useKeyOf(run, true);
  const begin = useMutation({
    mutationFn: api.begin,
    onSuccess: begun,
  });
  const isAsked = key.is === "asked";
  const metadata = Object.keys(run.metadata ?? {});
  return (
    <dialog ref={dialog} aria-labelledby="again-title" onClose={close}>
      <div className="again">
        <h2 id="again-title">Run this again?</h2>
        <p>
          A new run of <b>{chainName(run.chain)}</b> with the same input
          {run.cost_nano_dollars ? `. This one cost ${money(run.cost_nano_dollars)}` : ""}: it pays again, and does
          again what the chain does.
        </p>
        <dl className="facts">
          <div>
            <dt>Key</dt>
            <dd className={key.is === "known" && key.key !== null ? "mono" : "note"}>
              {key.is === "known" ? (key.key ?? "none") : key.is === "asked" ? "…" : "not known"}
            </dd>
          </div>
          <div>
            <dt>Parameters</dt>
            <dd className={hasParams(run.params) ? "mono" : "note"}>
              {hasParams(run.params) ? written(run.params) : "none"}
            </dd>
          </div>
          <div>
            <dt>Metadata</dt>
            <dd>{metadata.length === 0 ? <span className="note">none</span> : count(metadata.length)}</dd>
          </div>
          <div>
            <dt>This run</dt>
            <dd>
              <Status status={run.status} />
            </dd>
          </div>
        </dl>
        {key.is === "unknown" && (
          <p className="is-late">The key is not known: {key.why}. The new run has none, and leaves its lane.</p>
        )}
        {begin.error && <Broken error={begin.error} />}
        <div className="actions">
          <button
            className="primary"
            autoFocus
            aria-disabled={begin.isPending || isAsked}
            onClick={() => {
              if (!begin.isPending && !isAsked) begin.mutate(again(run, key.is === "known" ? key.key : null));
            }}
          >
            {begin.isPending ? "Sending …" : "Run again"}
          </button>
          <button onClick={close}>Cancel</button>
        </div>
      </div>
    </dialog>
  );
}
