// The keys that work everywhere, and the list of all of them.

import { useEffect, useRef } from "react";
import { useLocation } from "wouter";
import { to } from "../routes.ts";
import { Icon } from "./icon.tsx";

const keys: [string, string][] = [
  ["j  k", "next row, previous row"],
  ["Enter", "open the row"],
  ["/", "search"],
  ["Space", "hold the list, or follow again"],
  ["Esc", "leave: the search, the row, the run"],
  ["r", "run again (on a run)"],
  ["c", "copy as curl (on a run)"],
  ["g l", "to Live"],
  ["g a", "to Ask"],
  ["g c", "to Chains"],
  ["g h", "to Health"],
  ["?", "this list"],
];

const places: Record<string, string> = { l: to.live(), a: to.ask(), c: to.chains(), h: to.health() };

/** Whether a key belongs to whoever has the focus, not to the page. */
export function isTyping(event: KeyboardEvent): boolean {
  const at = event.target;
  return (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    (at instanceof HTMLElement && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT|DIALOG)$/.test(at.tagName))) ||
    document.querySelector("dialog[open]") !== null
  );
}

/** Calls the latest `pressed` for keys that nobody else wants. */
export function useKeys(pressed: (event: KeyboardEvent) => void) {
  const latest = useRef(pressed);
  useEffect(() => {
    latest.current = pressed;
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (!isTyping(event)) latest.current(event);
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
}

export function Shortcuts() {
  const [, go] = useLocation();
  const dialog = useRef<HTMLDialogElement>(null);
  const wasG = useRef(0);
  useKeys((event) => {
    if (event.key === "?") dialog.current?.showModal();
    const place = places[event.key];
    if (place !== undefined && Date.now() - wasG.current < 1_000) {
      event.stopImmediatePropagation();
      go(place);
    }
    wasG.current = event.key === "g" ? Date.now() : 0;
  });
  return (
    <>
      <button
        className="quiet keys-button"
        aria-label="Keyboard shortcuts"
        title="Keyboard shortcuts ( ? )"
        onClick={() => dialog.current?.showModal()}
      >
        <Icon name="keys" />
      </button>
      <dialog
        ref={dialog}
        aria-labelledby="keys-title"
        onClick={(event) => event.target === dialog.current && dialog.current.close()}
      >
        <div className="keys">
          <h2 id="keys-title">Keyboard</h2>
          <dl>
            {keys.map(([key, what]) => (
              <div key={key}>
                <dt>
                  {key.split(/ +/).map((one) => (
                    <kbd key={one}>{one}</kbd>
                  ))}
                </dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
          <form method="dialog">
            <button autoFocus>Close</button>
          </form>
        </div>
      </dialog>
    </>
  );
}
