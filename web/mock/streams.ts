// The event streams. A reader is a place in what went by; one that does not read falls behind and is told of a gap.

import type { IncomingMessage, ServerResponse } from "node:http";
import { written } from "../src/api/json.ts";
import type { Kept, World } from "./world.ts";

/** Results that the feed remembers for a reader that is late. */
const REMEMBERED = 110_000;

export function feedOf(world: World, request: IncomingMessage, response: ServerResponse) {
  const query = new URL(request.url ?? "/", "http://mock").searchParams;
  const end = () => world.firstResult + world.results.length;
  const seen = Number(request.headers["last-event-id"] ?? NaN);
  let next = Number.isNaN(seen) ? Math.max(world.firstResult, end() - Number(query.get("recent") ?? 0)) : seen;
  world.feeds += 1;
  response.on("close", () => (world.feeds -= 1));
  const write = open(response);
  write(next, "ready", { resumed: !Number.isNaN(seen) });
  pump(world, request, response, () => {
    let text = "";
    if (next < Math.max(world.firstResult, end() - REMEMBERED)) {
      text += event(end(), "gap", { missed: end() - next, reason: "slow" });
      next = end();
    }
    for (let taken = 0; next < end() && taken < 512; taken++) {
      const row = world.results[next - world.firstResult];
      next += 1;
      if (row) text += event(next, "result", row);
    }
    return text;
  });
}

export function eventsOf(world: World, kept: Kept, request: IncomingMessage, response: ServerResponse) {
  let next = Number(request.headers["last-event-id"] ?? 0);
  if (kept.told[next - 1]?.name === "result") return void response.writeHead(204).end();
  open(response);
  pump(world, request, response, () => {
    let text = "";
    for (; next < kept.told.length; next++) {
      const told = kept.told[next];
      if (told) text += event(next + 1, told.name, told.data);
    }
    if (kept.told.at(-1)?.name === "result") {
      response.end(text);
      return "";
    }
    return text;
  });
}

/** Writes what `more` gives, as fast as it is read. */
function pump(world: World, request: IncomingMessage, response: ServerResponse, more: () => string) {
  let isPaced = false;
  const go = () => {
    if (world.isDown) return void request.socket.destroy();
    if (isPaced || response.writableEnded || response.writableNeedDrain) return;
    const text = more();
    if (text === "") return;
    response.write(text);
    isPaced = true;
    setTimeout(() => {
      isPaced = false;
      go();
    }, 20);
  };
  world.listeners.add(go);
  response.on("drain", go);
  response.on("close", () => world.listeners.delete(go));
  go();
}

function open(response: ServerResponse) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  return (id: number, name: string, data: unknown) => response.write(event(id, name, data));
}

const event = (id: number, name: string, data: unknown) => `id: ${id}\nevent: ${name}\ndata: ${written(data)}\n\n`;
