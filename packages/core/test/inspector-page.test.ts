import { once } from "node:events";
import { existsSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { chromium, type Browser, type Page, type Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { requestScope } from "../src/http/index.js";
import { createScope, sleep, spawn } from "../src/index.js";
import { inspector, type InspectorOptions } from "../src/inspector/index.js";
import { openPage, request } from "./support/inspector.js";

// The page of the inspector in a real browser.

const executablePath = "/usr/bin/chromium";
const isThere = existsSync(executablePath);
const hint = isThere ? "" : ` (skipped: needs ${executablePath})`;

let browser: Browser | undefined;

beforeAll(async () => {
  if (isThere) browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
});
afterAll(() => browser?.close());

async function newTab(viewport = { width: 1280, height: 800 }): Promise<Page> {
  const context = await (browser as Browser).newContext({ viewport });
  onTestFinished(() => context.close());
  // A page with 100,000 tasks is updated rarely on a busy machine.
  context.setDefaultTimeout(120_000);
  return context.newPage();
}

async function open(options: InspectorOptions): Promise<{ tab: Page; errors: string[]; address: string }> {
  const { address } = await openPage({ interval: 200, ...options });
  const tab = await newTab();
  const errors: string[] = [];
  tab.on("pageerror", (error) => errors.push(error.message));
  tab.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  await tab.goto(address);
  return { tab, errors, address };
}

/** A server of three paths. */
async function serve(): Promise<number> {
  const server = http.createServer((incoming, response) => {
    const scope = requestScope(incoming, response);
    const { pathname } = new URL(incoming.url ?? "", "http://localhost");
    const load = spawn(
      scope,
      async (task) => {
        if (pathname === "/slow") await sleep(task, 40);
        await spawn(task, async () => {}, { name: "query <b>" });
      },
      { name: "load" },
    );
    void load.then(() => response.writeHead(pathname === "/fail" ? 500 : 200).end());
  });
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

const row = (tab: Page, text: string) => tab.locator("tbody tr", { hasText: text });
const whenThere = (tab: Page, text: string) => row(tab, text).first().waitFor();
const card = (tab: Page, label: string) =>
  tab.locator("#counts div", { has: tab.locator("dt", { hasText: label }) }).locator("dd");

describe.skipIf(!isThere)(`the page of the inspector${hint}`, { timeout: 240_000 }, () => {
  it("shows the counts and the tree, and follows both as tasks come and go", async () => {
    await using scope = createScope({ name: "shop" });
    const { tab, errors } = await open({ scope });
    await whenThere(tab, "shop");
    expect(await card(tab, "tasks").textContent()).toBe("0");
    const job = spawn(scope, (task) => sleep(task, 600_000), { name: "stock take" });
    await whenThere(tab, "stock take");
    expect(await row(tab, "stock take").textContent()).toMatch(/sleep, 9\.\d+ min left|sleep, 9 min left/);
    await tab.locator("#counts dd", { hasText: /^1$/ }).first().waitFor();
    job.cancel();
    await row(tab, "stock take").waitFor({ state: "detached" });
    // The token does not stay in the address.
    expect(new URL(tab.url()).search).toBe("");
    expect(errors).toEqual([]);
  });

  it("shows 100,000 tasks: opens, scrolls, finds one of them, and follows a change", async () => {
    await using scope = createScope({ name: "shop" });
    for (let n = 0; n < 100_000; n++) spawn(scope, (task) => sleep(task, 600_000), { name: `order ${n}` });
    const { tab, errors } = await open({ scope });
    await whenThere(tab, "100,000 × order #");
    expect(await tab.locator("tbody tr").count()).toBe(2);
    await row(tab, "order #").click();
    await whenThere(tab, "order 0");
    const rowCount = (count: number) => tab.locator(`#table[aria-rowcount="${count}"]`).waitFor();
    await rowCount(1 + 2 + 200 + 1);
    await tab.keyboard.press("End");
    await row(tab, "99,800 more").click();
    await rowCount(1 + 2 + 400 + 1);
    await tab.keyboard.press("End");
    await whenThere(tab, "99,600 more");
    // Of the rows only those in view exist.
    expect(await tab.locator("tbody tr").count()).toBeLessThan(100);
    await tab.locator("#scroller").evaluate((box) => {
      const scroller = box as unknown as { scrollTop: number; scrollHeight: number };
      scroller.scrollTop = scroller.scrollHeight / 2;
    });
    await whenThere(tab, "order 200");
    await tab.fill("#filter", "order 99999");
    await tab.locator("#note", { hasText: "1 found" }).waitFor();
    await whenThere(tab, "order 99999");
    expect(await tab.locator("tbody tr").count()).toBe(1);
    await tab.fill("#filter", "");
    spawn(scope, (task) => sleep(task, 600_000), { name: "after them" });
    await card(tab, "tasks").filter({ hasText: "100,001" }).waitFor();
    expect(errors).toEqual([]);
  });

  it("says why a stuck task is alive, and which scopes are above it", async () => {
    const scope = createScope({ name: "shop", timeout: 600_000 });
    let release = (): void => {};
    onTestFinished(() => release());
    spawn(scope, () => new Promise<void>((resolve) => (release = resolve)), { name: "render" });
    scope.cancel();
    const { tab } = await open({ scope });
    await row(tab, "render").click();
    const detail = tab.locator("#detail");
    await detail.locator("li", { hasText: "It was cancelled" }).waitFor();
    await detail.locator("li", { hasText: "It would not notice a cancellation" }).waitFor();
    expect(await detail.locator("ol").textContent()).toContain("shop");
    release();
    await detail.locator("p", { hasText: "It has ended." }).waitFor();
  });

  it("shows the warnings first, with links to their scopes", async () => {
    const scope = createScope({ name: "shop", grace: 1, onError() {} });
    let release = (): void => {};
    onTestFinished(() => release());
    spawn(scope, () => new Promise<void>((resolve) => (release = resolve)), { name: "export" });
    scope.cancel();
    const { tab } = await open({ scope });
    await tab.locator("#trouble button", { hasText: /"export" was cancelled .* ago and still runs/ }).click();
    await tab.locator("#detail h2", { hasText: "export" }).waitFor();
  });

  it("can be used with the keyboard alone", async () => {
    await using scope = createScope({ name: "shop" });
    for (let n = 0; n < 10; n++) spawn(scope, (task) => sleep(task, 600_000), { name: `order ${n}` });
    const { tab } = await open({ scope });
    await whenThere(tab, "10 × order #");
    await tab.keyboard.press("ArrowDown");
    await tab.keyboard.press("ArrowDown");
    await tab.keyboard.press("ArrowRight");
    await whenThere(tab, "order 9");
    await tab.keyboard.press("ArrowRight");
    await tab.keyboard.press("Enter");
    await tab.locator("#detail h2", { hasText: "order 0" }).waitFor();
    await tab.keyboard.press("Escape");
    await tab.locator("#detail").waitFor({ state: "hidden" });
    await tab.keyboard.press("ArrowLeft");
    await tab.keyboard.press("ArrowLeft");
    await row(tab, "order 9").waitFor({ state: "detached" });
    await tab.keyboard.press("/");
    await tab.keyboard.type("order 7");
    await tab.locator("#note", { hasText: "1 found" }).waitFor();
    await tab.keyboard.press("Escape");
    await tab.keyboard.press("2");
    await tab.locator("th", { hasText: "Alive" }).waitFor();
  });

  it.each([
    '<img src=x onerror="document.title=`owned`">',
    "</title></script><script>document.title=`owned`</script>",
    "javascript:document.title=`owned`",
    "line\nbreak\u0000\u202e",
    "{{title}}${document.title=`owned`}",
  ])("shows a hostile name as text: %j", async (name) => {
    await using scope = createScope({ name: "shop" });
    spawn(scope, (task) => sleep(task, 600_000), { name });
    const { tab, errors } = await open({ scope, title: name });
    await tab.locator("tbody tr").nth(1).click();
    await tab.locator("#detail h2").waitFor();
    await tab.keyboard.press("2");
    await tab.locator("th", { hasText: "Alive" }).waitFor();
    expect(await tab.title()).not.toBe("owned");
    expect(await tab.locator("main img, main script").count()).toBe(0);
    expect(errors).toEqual([]);
  });

  it("shows nothing without the token", async () => {
    await using scope = createScope({ name: "secret" });
    const { address } = await openPage({ scope });
    const tab = await newTab();
    const answer = await tab.goto(new URL("/", address).href);
    expect(answer?.status()).toBe(401);
    expect(await tab.textContent("body")).toContain("token");
  });

  it("does not answer under another host name that resolves to this machine", async () => {
    const { page, port } = await openPage();
    const other = await chromium.launch({
      executablePath,
      args: ["--no-sandbox", "--host-resolver-rules=MAP evil.example 127.0.0.1"],
    });
    onTestFinished(() => other.close());
    const tab = await other.newPage();
    const answer = await tab.goto(`http://evil.example:${port}/?token=${page.token}`);
    expect(answer?.status()).toBe(403);
  });

  it("keeps its contents when its server stops, and continues when the server is back", async () => {
    await using scope = createScope({ name: "shop" });
    const token = "a-token-that-stays-the-same";
    const first = inspector({ scope, token, interval: 200 });
    const address = await first.listen({ port: 0 });
    const tab = await newTab();
    await tab.goto(address);
    await whenThere(tab, "shop");
    await first.close();
    await tab.locator("#connection", { hasText: "no answer" }).waitFor();
    expect(await row(tab, "shop").count()).toBe(1);
    const second = inspector({ scope, token, interval: 200 });
    onTestFinished(() => second.close());
    await second.listen({ port: Number(new URL(address).port) });
    spawn(scope, (task) => sleep(task, 600_000), { name: "after the restart" });
    await whenThere(tab, "after the restart");
    await tab.locator("#connection", { hasText: "live" }).waitFor();
  });

  it("continues after an answer that was cut off", async () => {
    await using scope = createScope({ name: "shop" });
    const { tab, errors } = await open({ scope });
    await whenThere(tab, "shop");
    const cut = vi.fn<(route: Route) => Promise<void>>((route) =>
      route.fulfill({ contentType: "application/json", body: '{"rows":' }),
    );
    await tab.route("**/tree?*", cut, { times: 1 });
    await vi.waitUntil(() => cut.mock.calls.length === 1, { timeout: 10_000 });
    spawn(scope, (task) => sleep(task, 600_000), { name: "after it" });
    await whenThere(tab, "after it");
    expect(errors).toEqual([]);
  });

  it("says that too many pages are open, and begins when one is closed", async () => {
    await using scope = createScope({ name: "shop" });
    const { tab, address } = await open({ scope, clients: 1 });
    await whenThere(tab, "shop");
    const second = await newTab();
    await second.goto(address);
    await second.locator("#connection", { hasText: "as many pages are open as may be" }).waitFor();
    await tab.close();
    await second.locator("#connection", { hasText: "live" }).waitFor();
  });

  it("keeps its contents while it is paused", async () => {
    await using scope = createScope({ name: "shop" });
    const { tab } = await open({ scope });
    await whenThere(tab, "shop");
    await tab.keyboard.press("p");
    spawn(scope, (task) => sleep(task, 600_000), { name: "late" });
    await tab.locator("#connection", { hasText: "paused" }).waitFor();
    expect(await row(tab, "late").count()).toBe(0);
    await tab.keyboard.press("p");
    await whenThere(tab, "late");
  });

  it("shows what each group has created and settled, and how long its members have lived", async () => {
    await using scope = createScope({ name: "shop" });
    const { tab } = await open({ scope });
    await whenThere(tab, "shop");
    let ended = 0;
    const ticks = setInterval(() => {
      for (let n = 0; n < 5; n++) void spawn(scope, async () => ended++, { name: `order ${n}` });
    }, 20);
    onTestFinished(() => clearInterval(ticks));
    await tab.keyboard.press("2");
    const order = row(tab, "order #");
    await order.filter({ hasText: /[1-9]\d* ?ms$|\d ms/ }).waitFor();
    await card(tab, "settled / s").filter({ hasText: /[1-9]/ }).waitFor();
    expect(ended).toBeGreaterThan(0);
  });

  it("shows the requests that have ended, and the tasks of one as bars", async () => {
    const port = await serve();
    const { tab, errors } = await open({});
    await tab.keyboard.press("3");
    await tab.locator("#note", { hasText: "none has ended" }).waitFor();
    for (const path of ["/slow?secret=1", "/fast", "/fail"]) await request({ port, path });
    await whenThere(tab, "GET /slow");
    await whenThere(tab, "GET /fast");
    expect(await row(tab, "GET /fail").textContent()).toContain("500");
    expect(await tab.locator("body").textContent()).not.toContain("secret");
    await tab.getByRole("checkbox", { name: "Slowest first" }).check();
    await tab.locator("tbody tr", { hasText: "GET" }).first().filter({ hasText: "GET /slow" }).waitFor();
    await row(tab, "GET /slow").click();
    await whenThere(tab, "query <b>");
    expect(await tab.locator("tbody tr .bars .task").count()).toBe(2);
    const [outer = 0, inner = 0] = await tab
      .locator("tbody tr .bars .task")
      .evaluateAll((bars) => bars.map((bar) => (bar as unknown as { offsetLeft: number }).offsetLeft));
    expect(inner).toBeGreaterThan(outer); // the query begins after the sleep
    await tab.keyboard.press("ArrowLeft");
    await row(tab, "query <b>").waitFor({ state: "detached" });
    expect(errors).toEqual([]);
  });

  it("goes back to a moment of the time line, with its groups and counts, and on again", async () => {
    await using scope = createScope({ name: "shop" });
    const { tab } = await open({ scope });
    await whenThere(tab, "shop");
    await tab.keyboard.press("2");
    await whenThere(tab, "shop");
    const alive = tab.locator("tbody tr", { hasText: /^1stock take/ });
    const job = spawn(scope, (task) => sleep(task, 600_000), { name: "stock take" });
    await alive.waitFor();
    job.cancel();
    await alive.waitFor({ state: "detached" });
    const slider = tab.getByRole("slider", { name: "Moment" });
    const goBackUntil = async (count: number): Promise<void> => {
      for (let left = 200; left > 0 && (await alive.count()) !== count; left--)
        await slider.press("ArrowLeft");
      expect(await alive.count()).toBe(count);
    };
    await goBackUntil(1);
    await tab.locator("#connection", { hasText: "paused" }).waitFor();
    expect(await card(tab, "tasks").textContent()).toBe("1");
    expect(await tab.locator("#when").textContent()).toMatch(/^\d\d:\d\d:\d\d, .* before the newest$/);
    await goBackUntil(0);
    await tab.keyboard.press(".");
    await alive.waitFor();
    await tab.getByRole("button", { name: "Resume" }).click();
    await alive.waitFor({ state: "detached" });
    expect(await tab.locator("#when").textContent()).toBe("now");
  });

  it("compares two moments: which groups have grown, shrunk, come and gone", async () => {
    await using scope = createScope({ name: "shop" });
    const start = (name: string, times: number) =>
      Array.from({ length: times }, (_, n) =>
        spawn(scope, (task) => sleep(task, 600_000), { name: `${name} ${n}` }),
      );
    const shrinking = start("shrinking", 9);
    const leaving = start("leaving", 3);
    start("growing", 2);
    start("steady", 4);
    const { tab } = await open({ scope });
    await whenThere(tab, "shrinking");
    await tab.keyboard.press("5");
    await tab.locator("#note", { hasText: "Mark a moment" }).waitFor();
    await tab.keyboard.press("a");
    await tab.locator("#note", { hasText: "Nothing has changed" }).waitFor();
    for (const task of [...shrinking.slice(0, 6), ...leaving]) task.cancel();
    start("growing", 5);
    start("coming", 1);
    for (const [text, words] of [
      ["growing #", /grown27\+5/],
      ["shrinking #", /shrunk93−6/],
      ["coming #", /new01\+1/],
      ["leaving #", /gone30−3/],
    ] as const)
      await row(tab, text).filter({ hasText: words }).waitFor();
    expect(await row(tab, "steady").count()).toBe(0);
    await tab.keyboard.press("b");
    start("coming", 1);
    await card(tab, "tasks").filter({ hasText: "16" }).waitFor();
    await row(tab, "coming #")
      .filter({ hasText: /new01\+1/ })
      .waitFor();
  });

  it("draws the time line, and goes to the moment that is pressed in it", async () => {
    await using scope = createScope({ name: "shop" });
    const { tab, errors } = await open({ scope });
    await whenThere(tab, "shop");
    await tab.keyboard.press("4");
    await tab.locator("#charts canvas").nth(2).waitFor();
    expect(await tab.locator("#charts figcaption").allTextContents()).toEqual([
      "Alivescopesqueuedcancelling",
      "Per secondcreatedsettled",
      "Loop delayp50p99max",
    ]);
    // The first moment is at the left.
    await tab
      .locator("#charts .u-over")
      .first()
      .click({ position: { x: 2, y: 20 } });
    await tab.locator("#connection", { hasText: "paused" }).waitFor();
    await tab.emulateMedia({ colorScheme: "dark" });
    await tab.locator("#charts canvas").nth(2).waitFor();
    expect(errors).toEqual([]);
  });

  it("keeps its memory within bounds over hundreds of updates, and drops the oldest moments", async () => {
    const { address } = await openPage();
    const tab = await newTab();
    // 600 frames of 40 KB, as of two hundred busy groups: 24 MB, three times what the time line keeps.
    const group = (n: number) => ({
      key: `group ${n}`,
      name: `group ${n} ${"x".repeat(80)}`,
      kind: "task",
      site: "src/orders.ts:88",
      count: n,
      queued: 0,
      doing: `${n} sleep`,
      oldest: 1_000,
      rates: { created: 1, settled: 1 },
      created: n,
      settled: n,
      life: [1, 2, 3],
    });
    const counts = { scopes: 1, tasks: 1, requests: 0, queued: 0, cancelling: 0, holding: 0, failures: 0 };
    const begun = 1_700_000_000_000;
    const frame = (n: number) => ({
      at: begun + 1_000 * n,
      counts: { ...counts, tasks: n },
      warnings: [],
      groups: Array.from({ length: 160 }, (_, index) => group(index)),
      moreGroups: 0,
    });
    const frames = Array.from({ length: 600 }, (_, n) => `data: ${JSON.stringify(frame(n))}\n\n`).join("");
    let asked = 0;
    await tab.route("**/events", async (route) => {
      if (++asked === 1) await route.fulfill({ contentType: "text/event-stream", body: frames });
      // The browser asks again when it has read all of them: it gets no answer.
    });
    await tab.goto(address);
    await tab.keyboard.press("2");
    await card(tab, "tasks").filter({ hasText: "599" }).waitFor();
    await tab.keyboard.press("p");
    const session = await tab.context().newCDPSession(tab);
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    expect(usedSize).toBeLessThan(150e6);
    // Of 600 moments those are kept that 8 MB hold.
    const kept = Number(await tab.locator("#moment").getAttribute("max")) + 1;
    expect(kept).toBeGreaterThan(100);
    expect(kept).toBeLessThan(8e6 / (frames.length / 600) + 3);
    await tab.locator("#moment").press("Home");
    await tab.locator("#when", { hasText: "before the newest" }).waitFor();
  });

  it("a row that is pressed while the page is refreshed is the one that opens", async () => {
    await using scope = createScope({ name: "shop" });
    spawn(scope, (task) => sleep(task, 600_000), { name: "order" });
    const { tab } = await open({ scope, interval: 100 });
    const order = row(tab, "order");
    await order.hover();
    await tab.mouse.down();
    const age = await order.textContent();
    await order.filter({ hasNotText: age ?? "" }).waitFor(); // it has been drawn anew
    await tab.mouse.up();
    await tab.locator("#detail h2", { hasText: "order" }).waitFor();
  });

  it.each(["1", "2", "3", "4", "5"])("fits a window 400 pixels wide: view %s", async (key) => {
    await using scope = createScope({ name: "shop" });
    spawn(scope, (task) => sleep(task, 600_000), { name: "x".repeat(300) });
    const { tab } = await open({ scope });
    await tab.setViewportSize({ width: 400, height: 800 });
    await whenThere(tab, "xxx");
    await tab.keyboard.press("a");
    await tab.keyboard.press(key);
    await tab.locator(`[role=tab][aria-selected=true]`, { hasText: /./ }).waitFor();
    await tab
      .locator(key === "4" ? "#charts canvas" : "#table thead")
      .first()
      .waitFor();
    expect(await tab.evaluate("document.documentElement.scrollWidth")).toBe(400);
  });

  it("fits a window 400 pixels wide", async () => {
    await using scope = createScope({ name: "shop" });
    spawn(scope, (task) => sleep(task, 600_000), { name: "x".repeat(300) });
    const { tab } = await open({ scope });
    await tab.setViewportSize({ width: 400, height: 800 });
    await tab.locator("tbody tr").nth(1).click();
    await tab.locator("#detail h2").waitFor();
    expect(await tab.evaluate("document.documentElement.scrollWidth")).toBe(400);
  });
});
