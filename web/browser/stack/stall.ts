// Between a page and its api: a wire that stops carrying, as a browser's does that reads no more.

import { once } from "node:events";
import { createConnection, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export class Wire {
  /** For each feed the side that leads to the api, and that to the page. */
  private readonly feeds = new Map<Socket, Socket>();
  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async to(api: string): Promise<Wire> {
    const { hostname, port } = new URL(api);
    const server = createServer((page) => {
      const far = createConnection(Number(port), hostname);
      page.on("data", (sent) => {
        if (sent.toString("latin1").startsWith("GET /feed")) wire.feeds.set(far, page);
      });
      page.pipe(far).pipe(page);
      for (const side of [page, far]) {
        side.on("error", () => {});
        side.on("close", () => {
          page.destroy();
          far.destroy();
          wire.feeds.delete(far);
        });
      }
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const wire = new Wire(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    return wire;
  }

  /** Nothing that a feed says is read from now on; gives how many feeds there are. */
  stall(): number {
    for (const far of this.feeds.keys()) far.unpipe().pause();
    return this.feeds.size;
  }

  resume() {
    for (const [far, page] of this.feeds) far.pipe(page);
  }

  close() {
    this.server.close();
    for (const far of this.feeds.keys()) far.destroy();
  }
}
