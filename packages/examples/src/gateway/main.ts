// Starts three upstreams and the gateway, asks it once, and shuts it down.

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serverScope } from "bough/http";
import { createGateway } from "./gateway.js";

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const upstreams: { readonly name: string; readonly url: string; readonly server: Server }[] = [];
for (const [name, delay] of Object.entries({ users: 20, orders: 5, hangs: Infinity })) {
  const server = createServer((_request, response) => {
    response.on("close", () =>
      console.log(`${name}: ${response.writableEnded ? "answered" : "the gateway hung up"}`),
    );
    if (delay !== Infinity) setTimeout(() => response.end(JSON.stringify({ delay })), delay);
  });
  upstreams.push({ name, url: await listen(server), server });
}

const gateway = createGateway({
  upstreams,
  timeout: 2_000,
  upstreamTimeout: 200,
  audit: async (path) => console.log(`audit: ${path}`),
});
const response = await fetch(`${await listen(gateway)}/merged`);
console.log(await response.text());

const { running, stuck, duration } = await serverScope(gateway).shutdown();
console.log(`shut down in ${duration} ms: ${running} running, ${stuck.length} stuck`);
for (const { server } of upstreams) {
  server.closeAllConnections();
  server.close();
}
