import { Icon, type IconName } from "./icon.tsx";

const known: Record<string, { icon: IconName; word: string }> = {
  completed: { icon: "completed", word: "Completed" },
  failed: { icon: "failed", word: "Failed" },
  cancelled: { icon: "cancelled", word: "Cancelled" },
  interrupted: { icon: "interrupted", word: "Interrupted" },
  queued: { icon: "queued", word: "Queued" },
  in_progress: { icon: "in_progress", word: "Running" },
};

export const statusWord = (status: string) => known[status]?.word ?? status;

/** An icon, a word and a colour: each of them is enough. */
export function Status({ status }: { status: string }) {
  const { icon, word } = known[status] ?? { icon: "gap" as const, word: status };
  return (
    <span className={`status status-${status}`}>
      <Icon name={icon} />
      {word}
    </span>
  );
}
