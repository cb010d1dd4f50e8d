import { useEffect, useState } from "react";
import { Icon } from "./icon.tsx";

/** Says that it is copied, to eye and ear. */
export function useCopy(): [string | undefined, (text: string, what: string) => void] {
  const [said, setSaid] = useState<string>();
  useEffect(() => {
    if (said === undefined) return;
    const timer = setTimeout(() => setSaid(undefined), 1_500);
    return () => clearTimeout(timer);
  }, [said]);
  return [
    said,
    (text, what) =>
      navigator.clipboard.writeText(text).then(
        () => setSaid(`${what} copied`),
        () => setSaid("The browser does not let this page copy"),
      ),
  ];
}

/** A text that is long to make is made when it is asked for. */
export function CopyButton({ text, what, label }: { text: string | (() => string); what: string; label?: string }) {
  const [said, copy] = useCopy();
  return (
    <button
      className="quiet copy"
      aria-label={label ? undefined : `Copy ${what}`}
      title={said ?? `Copy ${what}`}
      onClick={() => copy(typeof text === "string" ? text : text(), what)}
    >
      <Icon name={said ? "completed" : "copy"} />
      {label}
      <span className="unseen" role="status">
        {said}
      </span>
    </button>
  );
}
