// A part of the page that is loaded when it is first wanted. One that could not be loaded, in a cut or from a server that
// has another release by now, is told in its place, and tried again: React's lazy keeps the first failure for good.

import { type ComponentType, type ReactNode, useEffect, useSyncExternalStore } from "react";
import { Problem } from "../api/problem.ts";
import { base } from "../routes.ts";

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 8_000;

type State<P> = { part?: ComponentType<P>; problem?: Problem };

class Part<P> {
  private state: State<P> = {};
  private readonly shown = new Set<() => void>();
  private isLoading = false;
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly load: () => Promise<ComponentType<P>>) {}

  readonly snapshot = () => this.state;

  readonly subscribe = (changed: () => void) => {
    this.shown.add(changed);
    return () => {
      this.shown.delete(changed);
      if (this.shown.size === 0) clearTimeout(this.timer);
    };
  };

  readonly want = () => {
    if (this.isLoading || this.state.part) return;
    clearTimeout(this.timer);
    this.isLoading = true;
    void this.load()
      .then((part) => this.become({ part }))
      .catch(async () => {
        const problem = await whyNot();
        this.become({ problem });
        const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.failures++);
        if (problem.retryable && this.shown.size > 0) this.timer = setTimeout(this.want, wait);
      })
      .finally(() => (this.isLoading = false));
  };

  private become(state: State<P>) {
    this.state = state;
    for (const changed of this.shown) changed();
  }
}

/** `instead` stands in its place until it is there; with what went wrong, if something did. */
export function later<P extends object>(
  load: () => Promise<ComponentType<P>>,
  instead: (props: P, problem: Problem | undefined, retry: () => void) => ReactNode,
) {
  const of = new Part(load);
  return function Later(props: P) {
    const { part: Loaded, problem } = useSyncExternalStore(of.subscribe, of.snapshot);
    useEffect(() => {
      of.want();
      window.addEventListener("online", of.want);
      return () => window.removeEventListener("online", of.want);
    }, []);
    return Loaded ? <Loaded {...props} /> : instead(props, problem, of.want);
  };
}

/** Whether nobody answers, or somebody who has another release. */
async function whyNot(): Promise<Problem> {
  const title = "This part of the page could not be loaded";
  const page = await fetch(`${base}/`, { cache: "no-store" }).then(
    (answer) => (answer.ok ? answer.text() : undefined),
    () => undefined,
  );
  if (page === undefined) {
    const detail = `${location.origin} does not answer. It is loaded as soon as that is back.`;
    return new Problem(title, detail, 0, true);
  }
  const entry = document.querySelector('script[type="module"][src]')?.getAttribute("src");
  if (entry && !page.includes(entry)) {
    const detail = "The page that is open is of an earlier release, whose parts are gone. Load it anew.";
    return new Problem("There is a newer release of this page", detail, 0, false);
  }
  return new Problem(title, `${location.origin} answers, but without it. It is tried again.`, 0, true);
}
