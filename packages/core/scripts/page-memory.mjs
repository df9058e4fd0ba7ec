// How much memory the page of the inspector takes in Chromium, and in the server that it shows, while both are busy. Needs a build.
//
//     npm run page:memory -- [--minutes 10] [--scopes 5000] [--every 60]
//
// The server has so many scopes that sleep, and answers requests all the time. Two pages are open; one shows each of its views
// in turn. Every minute both collect their garbage, and a row is printed. Fails if a page has more than 150 MB, or if the
// server has grown by more than 50 MB since the second row: what a page keeps has a bound.
import { fork } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    scopes: { type: "string", default: "5000" },
    every: { type: "string", default: "60" },
    server: { type: "boolean", default: false },
  },
});
const MAX_PAGE = 150;
const MAX_GROWTH = 50;

/** In a process of its own. */
async function serve() {
  const { requestScope, serverScope } = await import("../dist/http/index.js");
  const { createScope, sleep, spawn } = await import("../dist/index.js");
  const { inspector } = await import("../dist/inspector/index.js");
  const shop = createScope({ name: "shop" });
  for (let n = 0; n < Number(values.scopes); n++)
    spawn(shop, (task) => sleep(task, 86_400_000), { name: `order ${n}` });
  const server = http.createServer((request, response) => {
    const scope = requestScope(request, response);
    const steps = ["load user", "load orders", "render"].map((name) =>
      spawn(scope, (task) => sleep(task, 1 + Math.random() * 20), { name }),
    );
    void Promise.all(steps).then(() => response.end("ok"));
  });
  serverScope(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  process.on("message", () => {
    globalThis.gc();
    process.send({ rss: process.memoryUsage.rss(), heap: process.memoryUsage().heapUsed });
  });
  process.once("disconnect", () => {
    shop.cancel();
    process.exit();
  });
  process.send({ port: server.address().port, page: await inspector().listen({ port: 0 }) });
}

async function measure() {
  const { chromium } = await import("playwright-core");
  const child = fork(fileURLToPath(import.meta.url), ["--server", "--scopes", values.scopes], {
    execArgv: ["--expose-gc"],
  });
  const [{ port, page }] = await once(child, "message");
  const traffic = setInterval(() => {
    for (let n = 0; n < 4; n++)
      http
        .get({ port, path: `/orders/${n}`, agent: false }, (response) => response.resume())
        .on("error", () => {});
  }, 20);
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  const tabs = [await browser.newPage(), await browser.newPage()];
  for (const tab of tabs) await tab.goto(page);
  await tabs[0].locator("tbody tr", { hasText: "order #" }).waitFor();
  const session = await tabs[0].context().newCDPSession(tabs[0]);

  const rows = [];
  const begun = Date.now();
  const end = begun + Number(values.minutes) * 60_000;
  for (let view = 0; ;) {
    const next = Math.min(end, Date.now() + Number(values.every) * 1_000);
    while (Date.now() < next) {
      await tabs[0].bringToFront();
      await tabs[0].keyboard.press(String((view++ % 5) + 1));
      await delay(Math.min(3_000, Math.max(0, next - Date.now())));
    }
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize: heap } = await session.send("Runtime.getHeapUsage");
    const nodes = await tabs[0].evaluate("document.querySelectorAll('*').length");
    const answer = once(child, "message");
    child.send("measure");
    const [server] = await answer;
    const megabytes = (bytes) => Math.round(bytes / 1e5) / 10;
    rows.push({
      minutes: Math.round((Date.now() - begun) / 6_000) / 10,
      "page heap, MB": megabytes(heap),
      "page elements": nodes,
      "server heap, MB": megabytes(server.heap),
      "server RSS, MB": megabytes(server.rss),
    });
    console.log(JSON.stringify(rows.at(-1)));
    if (Date.now() >= end) break;
  }
  console.table(rows);
  clearInterval(traffic);
  await browser.close();
  child.disconnect();
  const rss = rows.map((row) => row["server RSS, MB"]);
  const worst = Math.max(...rows.map((row) => row["page heap, MB"]));
  const growth = rows.length < 3 ? 0 : rss.at(-1) - rss[1];
  console.log(
    `page: at most ${worst} MB (limit ${MAX_PAGE}); server: grown by ${growth.toFixed(1)} MB (limit ${MAX_GROWTH})`,
  );
  if (worst > MAX_PAGE || growth > MAX_GROWTH) process.exitCode = 1;
}

await (values.server ? serve() : measure());
