// Any JSON value, as text. Prose of a model may be shown as Markdown: by a renderer that makes elements of it and takes
// no HTML, loads nothing and links nowhere by itself; what is long, or too much for it, is plain text.

import { useMemo, useState } from "react";
import { isObject } from "../api/json.ts";
import { readable } from "../format.ts";
import { Boundary } from "./boundary.tsx";
import { CopyButton } from "./copy.tsx";
import { Highlighted } from "./highlighted.tsx";
import { later } from "./later.tsx";
import { LongText } from "./long-text.tsx";

const Prose = later(
  async () => (await import("./prose.tsx")).Prose,
  ({ text }: { text: string }) => <div>{text}</div>,
);
/** Characters, in all. Ten times as many are a second of Markdown. */
const LONGEST_PROSE = 20_000;
const MOST_TEXTS = 50;

type Text = { name: string; markdown: string; plain: string };
type Props = { title: string; value: unknown; isProse?: boolean };

export function Value({ title, value, isProse = false }: Props) {
  const [view, setView] = useState<"read" | "raw">(isProse ? "read" : "raw");
  const texts = useMemo(() => (isProse ? textsOf(value) : []), [isProse, value]);
  const isLong = texts.reduce((sum, { plain }) => sum + plain.length, 0) > LONGEST_PROSE;
  return (
    <section className="panel" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <div className="actions">
          {texts.length > 0 && (
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
        ) : view === "read" && texts.length > 0 ? (
          texts.map(({ name, markdown, plain }) => (
            <div key={name} className="named">
              {name !== "" && <h3>{name}</h3>}
              {isLong ? (
                <LongText text={plain} plain />
              ) : (
                <Boundary at={markdown} instead={<LongText text={plain} plain />}>
                  <Prose text={markdown} />
                </Boundary>
              )}
            </div>
          ))
        ) : typeof value === "string" ? (
          <LongText text={value} />
        ) : (
          <Json value={value} />
        )}
      </div>
    </section>
  );
}

function Json({ value }: { value: unknown }) {
  return <Highlighted text={useMemo(() => readable(value), [value])} language="json" />;
}

/** The texts of an output by name, if it is text, or an object of texts and lists of them; else nothing. */
function textsOf(value: unknown): Text[] {
  if (typeof value === "string") return [{ name: "", markdown: value, plain: value }];
  if (!isObject(value)) return [];
  const parts = Object.entries(value);
  if (parts.length > MOST_TEXTS) return [];
  const texts = parts.map(([name, part]) => textOf(name, part));
  return texts.every((text) => text !== undefined) ? texts : [];
}

function textOf(name: string, part: unknown): Text | undefined {
  if (typeof part === "string") return { name, markdown: part, plain: part };
  if (!Array.isArray(part) || !part.every((item) => typeof item === "string")) return undefined;
  const plain = part.join("\n");
  if (plain.length > LONGEST_PROSE) return { name, markdown: "", plain };
  const items = part.map((item: string) => `- ${item.replace(/[[\]*_`#<>\\]/g, "\\$&")}`);
  return { name, markdown: items.join("\n") || "–", plain };
}
