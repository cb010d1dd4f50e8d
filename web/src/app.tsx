// The frame around every page: where one is, where one can go, and whether what is shown is live.

import { QueryClientProvider } from "@tanstack/react-query";
import { type ComponentType, type ReactNode, useEffect, useRef } from "react";
import { Link, Route, Router, Switch, useLocation } from "wouter";
import { queryClient } from "./api/queries.ts";
import { LinkState } from "./parts/link-state.tsx";
import { Shortcuts } from "./parts/shortcuts.tsx";
import { Boundary } from "./parts/boundary.tsx";
import { Broken, Loading } from "./parts/empty.tsx";
import { later } from "./parts/later.tsx";
import { LivePage } from "./pages/live.tsx";
import { base, decoded, to } from "./routes.ts";
import "./style/shell.css";

const page = <P extends object>(load: () => Promise<ComponentType<P>>) =>
  later(load, (_, problem, retry) =>
    problem ? (
      <div className="page">
        <h1>{problem.title}</h1>
        <Broken error={problem} retry={retry} />
        <button onClick={() => location.reload()}>Load the page anew</button>
      </div>
    ) : (
      <Loading what="the page" />
    ),
  );
const RunPage = page(async () => (await import("./pages/run.tsx")).RunPage);
const AskPage = page(async () => (await import("./pages/ask.tsx")).AskPage);
const ChainsPage = page(async () => (await import("./pages/chains.tsx")).ChainsPage);
const ChainPage = page(async () => (await import("./pages/chain.tsx")).ChainPage);
const HealthPage = page(async () => (await import("./pages/health.tsx")).HealthPage);

const places = [
  { name: "Live", path: to.live(), others: /^\/runs\// },
  { name: "Ask", path: to.ask(), others: /^\/ask/ },
  { name: "Chains", path: to.chains(), others: /^\/chains/ },
  { name: "Health", path: to.health(), others: /^\/health/ },
];

export function App() {
  return (
    <QueryClientProvider client={queryClient}>
      <Router base={base}>
        <Boundary at="">
          <Frame />
        </Boundary>
      </Router>
    </QueryClientProvider>
  );
}

/** What an address names, if it can be read. */
function At({ segment, children }: { segment: string; children: (name: string) => ReactNode }) {
  const name = decoded(segment);
  if (name !== undefined) return children(name);
  return (
    <div className="page">
      <h1>This address cannot be read</h1>
      <p className="page-lead">
        <code>{segment}</code> is no text: a part of what was encoded is missing. Was the link cut off?
      </p>
      <p>
        <Link href={to.live()}>Results as they commit</Link> are on the live page.
      </p>
    </div>
  );
}

function Frame() {
  const [path] = useLocation();
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    // Whoever reads by ear or by keyboard begins at the new page, not at the link that led there.
    if (!isFirst.current) main.current?.focus({ preventScroll: true });
    isFirst.current = false;
    window.scrollTo(0, 0);
  }, [path]);
  return (
    <>
      <header className="bar">
        <Link className="brand" href={to.live()} aria-label="Millrace, to the live page">
          <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
            <path d="M4 11c5-5 7-5 12 0s7 5 12 0M4 21c5-5 7-5 12 0s7 5 12 0" />
          </svg>
          <span>Millrace</span>
        </Link>
        <nav aria-label="Pages">
          {places.map(({ name, path: target, others }) => (
            <Link key={name} href={target} aria-current={path === target || others.test(path) ? "page" : undefined}>
              {name}
            </Link>
          ))}
        </nav>
        <LinkState />
        <Shortcuts />
      </header>
      <main ref={main} tabIndex={-1}>
        <Boundary at={path}>
          <Switch>
            <Route path="/" component={LivePage} />
            <Route path="/runs/:id">{({ id }) => <At segment={id}>{(id) => <RunPage key={id} id={id} />}</At>}</Route>
            <Route path="/ask" component={AskPage} />
            <Route path="/chains" component={ChainsPage} />
            <Route path="/chains/:chain">
              {({ chain }) => <At segment={chain}>{(name) => <ChainPage key={name} name={name} />}</At>}
            </Route>
            <Route path="/health" component={HealthPage} />
            <Route>
              <div className="page">
                <h1>There is no such page</h1>
                <p>
                  <Link href={to.live()}>Results as they commit</Link> are on the live page.
                </p>
              </div>
            </Route>
          </Switch>
        </Boundary>
      </main>
    </>
  );
}
