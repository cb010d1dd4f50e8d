// Whether the results on this page are those of now, in one word; and what is the matter if not.

import { retryNow } from "../feed/follow.ts";
import { useFeed, useNow } from "../feed/use-feed.ts";
import { duration } from "../format.ts";
import { Icon } from "./icon.tsx";

export function LinkState() {
  const { link, behind } = useFeed();
  return (
    <div className="link-state" role="status">
      {link.is === "open" && behind === 0 && (
        <span className="is-live">
          <Icon name="live" /> Live
        </span>
      )}
      {link.is === "open" && behind > 0 && (
        <span className="is-late" title="Results arrive this long after they committed">
          <Icon name="wait" /> {duration(behind * 1000)} behind
        </span>
      )}
      {link.is === "connecting" && (
        <span>
          <Icon name="wait" /> Connecting
        </span>
      )}
      {link.is === "asleep" && (
        <span>
          <Icon name="pause" /> Asleep
        </span>
      )}
      {link.is === "waiting" && (
        <span className="is-late" title={link.problem.message}>
          <Icon name="wait" /> Reconnecting <Until until={link.until} />
          <button className="quiet" onClick={retryNow}>
            now
          </button>
        </span>
      )}
      {link.is === "refused" && (
        <span className="is-bad" title={link.problem.message}>
          <Icon name="failed" /> {link.problem.title}
        </span>
      )}
    </div>
  );
}

function Until({ until }: { until: number }) {
  const seconds = Math.ceil((until - useNow(250)) / 1000);
  return <span aria-hidden="true">{seconds > 0 ? `in ${seconds} s` : "…"}</span>;
}
