// Source with its words coloured: elements from a syntax tree, no markup made of text.

import { toJsxRuntime } from "hast-util-to-jsx-runtime";
import json from "highlight.js/lib/languages/json";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";
import { Fragment, useMemo } from "react";
import { jsx, jsxs } from "react/jsx-runtime";
import { LongText } from "./long-text.tsx";

const highlighter = createLowlight({ json, yaml });
/** More than this is shown plain: colours are not worth a page that stutters. */
const LONGEST = 20_000;

export function Highlighted({ text, language }: { text: string; language: "json" | "yaml" }) {
  const tree = useMemo(
    () => (text.length > LONGEST ? undefined : highlighter.highlight(language, text)),
    [text, language],
  );
  return (
    <pre className="source">
      <code>{tree ? toJsxRuntime(tree, { Fragment, jsx, jsxs }) : <LongText text={text} />}</code>
    </pre>
  );
}
