// The feed as a tab follows it: through the hub of all tabs; by itself where a browser has no shared workers, or where
// the hub cannot be loaded or says nothing any more. Each way goes on after the last event that came.

import { type Follower, follow, RETRY } from "./follow.ts";
import { ALIVE_EVERY, type FromHub, type FromTab, linkOf } from "./hub.ts";

/** Then the hub is asked once more, from the begin; and then not any more. */
const SILENT = 4 * ALIVE_EVERY;

export function followTogether(path: string, follower: Follower, signal: AbortSignal) {
  if (typeof SharedWorker === "undefined") return void follow(path, follower, signal);
  let last: string | undefined;
  let heard = Date.now();
  let isAskedAgain = false;
  let port: MessagePort | undefined;
  const say = (message: FromTab) => port?.postMessage(message);
  const leave = () => {
    clearInterval(watch);
    window.removeEventListener(RETRY, retry);
    port?.close();
    port = undefined;
  };
  const alone = () => {
    if (port === undefined) return;
    leave();
    if (!signal.aborted) void follow(path, follower, signal, last);
  };
  const take = ({ data }: MessageEvent<FromHub>) => {
    heard = Date.now();
    isAskedAgain = false;
    if (data.is === "alive") return say({ is: "here" });
    if (data.is === "link") return follower.link(linkOf(data.link));
    for (const [name, text, id] of data.events) {
      last = id ?? last;
      follower.event(name, text, id);
    }
    say({ is: "more" });
  };
  const join = () => {
    heard = Date.now();
    port?.close();
    const worker = new SharedWorker(new URL("./hub-worker.ts", import.meta.url), { type: "module", name: "feed" });
    worker.onerror = alone;
    port = worker.port;
    port.onmessage = take;
    say({ is: "hello", path, after: last });
  };
  const retry = () => say({ is: "retry" });
  const watch = setInterval(() => {
    if (Date.now() - heard < SILENT) return;
    if (isAskedAgain) return alone();
    join();
    isAskedAgain = true;
  }, ALIVE_EVERY);
  window.addEventListener(RETRY, retry);
  signal.addEventListener("abort", leave);
  join();
}
