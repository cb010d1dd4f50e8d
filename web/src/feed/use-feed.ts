import { useEffect, useState, useSyncExternalStore } from "react";
import { feed } from "./store.ts";

/** Draws again when the feed has something to tell. */
export function useFeed() {
  useSyncExternalStore(feed.subscribe, feed.snapshot);
  return feed;
}

/** The time, in steps: for what ages while nothing happens. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
