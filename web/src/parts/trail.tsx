// What each step of the chain did, also those that call nobody.

import type { Turn } from "../api/client.ts";
import { isFailure } from "../feed/waterfall.ts";
import { count, duration } from "../format.ts";

/** Rows that are drawn; a run may have very many steps. */
const DRAWN = 200;

const words: Record<string, string> = {
  ok: "done",
  skipped: "skipped: not wanted",
  fallback: "done by its fallback",
  error_skipped: "failed, and was skipped",
  kept: "kept from an earlier turn",
  interrupted: "waits for a decision",
};

export function Trail({ turns }: { turns: readonly Turn[] }) {
  const taken = turns.flatMap(({ turn, trail }) => trail.map((step) => ({ turn, ...step })));
  const leftOut = turns.reduce((sum, { left_out }) => sum + left_out, 0);
  if (taken.length === 0) return null;
  const isResumed = turns.length > 1;
  return (
    <details className="trail">
      <summary>
        What each of {count(taken.length + leftOut)} step{taken.length + leftOut === 1 ? "" : "s"} did
      </summary>
      <table>
        <thead>
          <tr>
            {isResumed && <th>Turn</th>}
            <th>Step</th>
            <th>Kind</th>
            <th>Outcome</th>
            <th className="number">Tried</th>
            <th className="number">Began</th>
            <th className="number">Took</th>
          </tr>
        </thead>
        <tbody>
          {taken.slice(0, DRAWN).map(({ turn, step, kind, outcome, attempts, began_us, took_us }) => (
            <tr key={`${turn} ${step} ${began_us}`}>
              {isResumed && <td>{turn}</td>}
              <td className="mono">{step}</td>
              <td>{kind}</td>
              <td className={isFailure(outcome) ? "is-bad" : ""}>{words[outcome] ?? outcome}</td>
              <td className="number">{count(attempts)}</td>
              <td className="number">{duration(began_us)}</td>
              <td className="number">{duration(took_us)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {taken.length + leftOut > DRAWN && (
        <p className="note">The first {count(Math.min(DRAWN, taken.length))} are shown; the audit record has more.</p>
      )}
    </details>
  );
}
