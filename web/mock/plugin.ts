// The mock answers in the development server and in the preview of the built page, at the same origin as the real api.

import type { Connect, Plugin } from "vite";
import { World } from "./world.ts";
import { answer } from "./http.ts";

/** As the api sends it with the page. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export function mock(): Plugin {
  const world = new World();
  const middleware: Connect.NextHandleFunction = (request, response, next) => {
    if (!answer(world, request, response)) next();
  };
  return {
    name: "mock",
    configureServer: (server) => void server.middlewares.use(middleware),
    configurePreviewServer: (server) => {
      server.middlewares.use((_, response, next) => {
        response.setHeader("content-security-policy", policy);
        next();
      });
      server.middlewares.use(middleware);
    },
  };
}
