// A server of the benchmark, in a process of its own: `server.ts <idle scopes> <inspected: yes | no>`.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import { createScope, sleep, spawn } from "../../src/index.js";
import { requestScope, serverScope } from "../../src/http/index.js";
import { inspector } from "../../src/inspector/index.js";
import { jobOf } from "../http/work.js";

const [scopes = "0", inspected] = process.argv.slice(2);
/** The work of every request: three child tasks, and a signal with a listener. */
const job = jobOf("used");
const shop = createScope({ name: "shop" });
for (let n = 0; n < Number(scopes); n++)
  spawn(shop, (task) => sleep(task, 3_600_000), { name: `order ${n}` });

const server = createServer((request, response) => {
  const answer = (value: unknown): void => void response.end(JSON.stringify(value));
  void job
    .work(
      () => new AbortController(),
      () => requestScope(request, response),
    )
    .then(answer);
});
serverScope(server);
server.keepAliveTimeout = 0; // the clients wait while others have their turn

/** How often the event loop is looked at, in ms: a timer is late by as much at least. */
const RESOLUTION = 1;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
delay.enable();
let longestPause = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longestPause = Math.max(longestPause, duration);
}).observe({ entryTypes: ["gc"] });

let before = process.cpuUsage();
process.on("message", () => {
  const { user, system } = process.cpuUsage(before);
  before = process.cpuUsage();
  const late = (ns: number): number => ns / 1e6 - RESOLUTION;
  process.send?.({
    cpu: user + system,
    p50: late(delay.percentile(50)),
    p99: late(delay.percentile(99)),
    max: late(delay.max),
    pause: longestPause,
    rss: process.memoryUsage.rss(),
  });
  longestPause = 0;
  delay.reset();
});
process.once("disconnect", () => {
  shop.cancel(); // which also keeps its handle until then
  process.exit();
});

const page = inspected === "yes" ? await inspector().listen({ port: 0 }) : undefined;
server.listen(0, "127.0.0.1", () => {
  process.send?.({ port: (server.address() as AddressInfo).port, page });
});
