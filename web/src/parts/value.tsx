// Any JSON value, as text. Prose of a model may be shown as Markdown: by a renderer that makes elements of it and takes
// no HTML, loads nothing and links nowhere by itself.

import { lazy, Suspense, useState } from "react";
import { readable } from "../format.ts";
import { CopyButton } from "./copy.tsx";
import { Highlighted } from "./highlighted.tsx";

const Prose = lazy(async () => ({ default: (await import("./prose.tsx")).Prose }));

type Props = { title: string; value: unknown; isProse?: boolean };

export function Value({ title, value, isProse = false }: Props) {
  const [view, setView] = useState<"read" | "raw">(isProse ? "read" : "raw");
  const prose = isProse ? proseOf(value) : [];
  return (
    <section className="panel" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <div className="actions">
          {prose.length > 0 && (
            <button
              className="quiet"
              aria-pressed={view === "raw"}
              onClick={() => setView(view === "raw" ? "read" : "raw")}
            >
              Raw
            </button>
          )}
          <CopyButton text={() => readable(value)} what={title.toLowerCase()} />
        </div>
      </header>
      <div className="body text" tabIndex={0}>
        {value === undefined ? (
          <p className="note">Not kept.</p>
        ) : view === "read" && prose.length > 0 ? (
          prose.map(([name, text]) => (
            <div key={name} className="named">
              {name !== "" && <h3>{name}</h3>}
              <Suspense fallback={<div>{text}</div>}>
                <Prose text={text} />
              </Suspense>
            </div>
          ))
        ) : typeof value === "string" ? (
          value
        ) : (
          <Highlighted text={readable(value)} language="json" />
        )}
      </div>
    </section>
  );
}

/** The text of an output by name, if it is text, or an object of texts and lists of them; else nothing. */
function proseOf(value: unknown): [string, string][] {
  if (typeof value === "string") return [["", value]];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  const texts = Object.entries(value).map(([name, part]): [string, string | undefined] => [name, textOf(part)]);
  return texts.every((pair): pair is [string, string] => pair[1] !== undefined) ? texts : [];
}

function textOf(part: unknown): string | undefined {
  if (typeof part === "string") return part;
  if (Array.isArray(part) && part.every((item) => typeof item === "string")) {
    return part.map((item) => `- ${item.replace(/[[\]*_`#<>\\]/g, "\\$&")}`).join("\n") || "–";
  }
  return undefined;
}
