// Takes the pictures of the page that docs/guide/observing.md shows. Needs a build, and Chromium.
//
//     npm run screenshots -- [--all FOLDER]
//
// `--all` takes every view in light, dark and narrow, to look at them.
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { requestScope, serverScope } from "../dist/http/index.js";
import { createScope, sleep, spawn } from "../dist/index.js";
import { setTracing } from "../dist/inspect/index.js";
import { inspector } from "../dist/inspector/index.js";

const { all } = parseArgs({ options: { all: { type: "string" } } }).values;
const folder = all ?? fileURLToPath(new URL("../../../docs/guide/screenshots", import.meta.url));
mkdirSync(folder, { recursive: true });

// ---- a shop, with traffic and one fault

setTracing(true);
const hour = 3_600_000;
const shop = createScope({ name: "shop" });
for (let n = 0; n < 3_412; n++) spawn(shop, (task) => sleep(task, hour), { name: `order ${n}` });
const pool = createScope(shop, { name: "database", concurrency: 4 });
for (let n = 0; n < 20; n++) spawn(pool, (task) => sleep(task, hour), { name: `query ${n}` });
const exports = createScope(shop, { name: "exports", grace: 500, timeout: hour, onError() {} });
spawn(exports, () => new Promise(() => {}), { name: "export" });
exports.cancel();
spawn(shop, function heartbeat(task) {
  return sleep(task, hour);
});

/** The same numbers in each run. */
let seed = 7;
const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;

async function serve(request, response) {
  const scope = requestScope(request, response);
  const step = (name, ms, work) =>
    spawn(
      scope,
      async (task) => {
        await sleep(task, ms);
        await work?.(task);
      },
      { name },
    );
  const scale = request.url === "/orders" ? 1 : 3;
  try {
    await step("authenticate", 4 + 6 * random());
    await Promise.all([
      step("load user", scale * (8 + 20 * random()), (task) =>
        spawn(task, (query) => sleep(query, 5 + 8 * random()), { name: "select user" }),
      ),
      step("load orders", scale * (15 + 60 * random())),
      step("load prices", scale * (10 + 30 * random())),
    ]);
    await step("render", 3 + 4 * random());
    response.writeHead(random() < 0.05 ? 500 : 200).end("ok");
  } catch {
    response.destroy();
  }
}
const server = http.createServer((request, response) => void serve(request, response));
serverScope(server, { name: "server" });
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address();
const paths = ["/orders", "/orders", "/orders", "/reports", "/report/yearly"];
const traffic = setInterval(() => {
  for (let count = 0; count < 3; count++) {
    const path = paths[Math.floor(random() * paths.length)];
    const request = http
      .get({ port, path, agent: false }, (response) => response.resume())
      .on("error", () => {});
    if (random() < 0.04) setTimeout(() => request.destroy(), 20);
  }
}, 100);

// ---- the pictures

const page = inspector({ title: "process 4711" });
const address = await page.listen({ port: 0 });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });

async function open(width, height, colorScheme) {
  const tab = await browser.newPage({ viewport: { width, height }, colorScheme });
  await tab.goto(address);
  await tab.locator("#trouble button", { hasText: '"export" was cancelled' }).waitFor();
  return tab;
}

const picture = (tab, name) => tab.screenshot({ path: `${folder}/${name}.png` });

/** The expected content of a view. */
const views = {
  async tree(tab) {
    await tab.keyboard.press("1");
    await tab.locator("#trouble button", { hasText: '"export" was cancelled' }).click();
    await tab.locator("#detail h3").first().waitFor();
  },
  async groups(tab) {
    await tab.keyboard.press("Escape");
    await tab.keyboard.press("2");
    await tab.locator("tbody tr", { hasText: "GET /orders" }).first().waitFor();
  },
  async requests(tab) {
    await tab.keyboard.press("3");
    await tab.locator("#slowest").check();
    await tab.locator("tbody tr[data-key^=end]").first().click();
    await tab.locator("tbody tr[data-key^=bar]").first().waitFor();
  },
  async charts(tab) {
    await tab.keyboard.press("4");
    await tab.locator("#charts canvas").first().waitFor();
  },
  async difference(tab) {
    await tab.keyboard.press("5");
    await tab.locator("tbody tr").first().waitFor();
  },
};

const kinds = [
  { suffix: "", width: 1280, height: 660, colorScheme: "light" },
  { suffix: "-dark", width: 1280, height: 660, colorScheme: "dark" },
  { suffix: "-narrow", width: 400, height: 800, colorScheme: "light" },
];
const tabs = [];
for (const { width, height, colorScheme } of kinds) tabs.push(await open(width, height, colorScheme));
await delay(3_000);
for (const tab of tabs) await tab.keyboard.press("a");
for (let n = 0; n < 35; n++) spawn(shop, (task) => sleep(task, hour), { name: `refund ${n}` });
await delay(all === undefined ? 25_000 : 12_000);
const shown = ["tree", "groups", "requests"];
const wanted = (name, suffix) =>
  all !== undefined || name === "tree" || (suffix === "" && shown.includes(name));
for (const [index, { suffix }] of kinds.entries())
  for (const [name, prepare] of Object.entries(views)) {
    if (!wanted(name, suffix)) continue;
    await tabs[index].bringToFront();
    await prepare(tabs[index]);
    await delay(300);
    await picture(tabs[index], `${name === "tree" ? "live-view" : `live-view-${name}`}${suffix}`);
  }
clearInterval(traffic);
await browser.close();
await page.close();
process.exit(); // the export never ends
