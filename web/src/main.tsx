import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { feed } from "./feed/store.ts";
import "./style/tokens.css";
import "./style/base.css";

// One stream for the whole page, and for all pages of the browser, whatever is looked at: rows are there when one comes back to the list.
feed.start();

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
