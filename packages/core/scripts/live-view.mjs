// Takes the pictures of the page that docs/guide/observing.md shows. Needs a build, and Chromium. `npm run screenshots`
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { createScope, sleep, spawn } from "../dist/index.js";
import { setTracing } from "../dist/inspect/index.js";
import { inspector } from "../dist/inspector/index.js";

const folder = fileURLToPath(new URL("../../../docs/guide/screenshots/", import.meta.url));
mkdirSync(folder, { recursive: true });

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

const page = inspector({ scope: shop, title: "process 4711" });
const address = await page.listen({ port: 0 });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const pictures = [
  { name: "live-view", width: 1280, height: 570, colorScheme: "light" },
  { name: "live-view-dark", width: 1280, height: 570, colorScheme: "dark" },
  { name: "live-view-narrow", width: 400, height: 800, colorScheme: "light" },
];
for (const { name, width, height, colorScheme } of pictures) {
  const tab = await browser.newPage({ viewport: { width, height }, colorScheme });
  await tab.goto(address);
  await tab.locator("#trouble button", { hasText: '"export" was cancelled' }).click();
  await tab.locator("#detail h3").first().waitFor();
  await tab.locator("#counts div:not(.bad) dt", { hasText: "loop delay p99" }).waitFor();
  await tab.screenshot({ path: `${folder}${name}.png` });
  await tab.close();
}
await browser.close();
await page.close();
process.exit(); // the export never ends
