import Markdown from "react-markdown";

/** HTML in it stays text; images and links are not made: a model's answer must not make anybody call anywhere. */
export function Prose({ text }: { text: string }) {
  return (
    <div className="prose">
      <Markdown
        skipHtml={false}
        disallowedElements={["img"]}
        components={{
          a: ({ children, href }) => (
            <>
              {children}
              {href && !String(children).includes(href) && <span className="note"> ({href})</span>}
            </>
          ),
        }}
      >
        {text}
      </Markdown>
    </div>
  );
}
