// Text of any length. What is long is cut until somebody wants all of it, and laid out in blocks of which a browser draws
// those that are seen: a megabyte in one piece holds the page up for seconds.

import { type ReactNode, useMemo, useState } from "react";
import { size } from "../format.ts";

const BLOCK = 4_000;
const BLOCKS_AT_FIRST = 5;

export function LongText({ text, plain = false }: { text: string; plain?: boolean }) {
  const [isAll, setAll] = useState(false);
  const blocks = useMemo(() => blocksOf(text), [text]);
  if (blocks.length <= BLOCKS_AT_FIRST) return text;
  const shown = isAll ? blocks : blocks.slice(0, BLOCKS_AT_FIRST);
  return (
    <>
      <span className="note cut">
        {size(text.length)}
        {plain && ", as plain text"}
        {!isAll && `; the first ${size(shown.reduce((sum, block) => sum + block.length, 0))} are shown`}
        {!isAll && <button onClick={() => setAll(true)}>Show all</button>}
      </span>
      {shown.map((block, index) => (
        <span key={index} className="block">
          {block}
        </span>
      ))}
    </>
  );
}

/** Cut where a line ends, if one does. */
function blocksOf(text: string): string[] {
  const blocks: string[] = [];
  for (let at = 0; at < text.length;) {
    const line = text.lastIndexOf("\n", at + BLOCK);
    let end = Math.min(text.length, line > at + BLOCK / 2 ? line + 1 : at + BLOCK);
    // Not between the halves of a character.
    if (end < text.length && /[\uD800-\uDBFF]/.test(text.charAt(end - 1))) end += 1;
    blocks.push(text.slice(at, end));
    at = end;
  }
  return blocks;
}

/** Made when it is opened, not before: a closed part costs nothing. */
export function Opened({ summary, children }: { summary: string; children: () => ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details className="body" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{summary}</summary>
      {isOpen && children()}
    </details>
  );
}
