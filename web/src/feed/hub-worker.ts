// The thread of the hub: what tabs connect to.

import { ALIVE_EVERY, type FromTab, Hub } from "./hub.ts";

const hub = new Hub();
const scope = globalThis as unknown as { onconnect: (event: MessageEvent) => void };

scope.onconnect = ({ ports: [port] }) => {
  if (!port) return;
  port.onmessage = ({ data }: MessageEvent<FromTab>) => hub.take(port, data);
};
setInterval(() => hub.tick(), ALIVE_EVERY);
