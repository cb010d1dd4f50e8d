// What stands where something should be: nothing yet, not yet loaded, or broken; each says what to do.

import type { ReactNode } from "react";
import { Problem } from "../api/problem.ts";
import { Icon } from "./icon.tsx";

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <p className="loading" role="status">
      Loading {what} …
    </p>
  );
}

/** What broke, in the words of the api. */
export function Broken({ error, retry }: { error: Error; retry?: () => void }) {
  const isProblem = error instanceof Problem;
  return (
    <div className="broken" role="alert">
      <p className="broken-title">
        <Icon name="failed" /> {isProblem ? error.title : "This page made a mistake"}
      </p>
      <p>{error.message}</p>
      {retry && (!isProblem || error.retryable) && <button onClick={retry}>Try again</button>}
    </div>
  );
}
