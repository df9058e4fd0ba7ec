import { existsSync } from "node:fs";
import { chromium, type Browser, type Page, type Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createScope, sleep, spawn } from "../src/index.js";
import { inspector, type InspectorOptions } from "../src/inspector/index.js";
import { openPage } from "./support/inspector.js";

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

const row = (tab: Page, text: string) => tab.locator("tbody tr", { hasText: text });
const whenThere = (tab: Page, text: string) => row(tab, text).first().waitFor();
const card = (tab: Page, label: string) =>
  tab.locator("#counts div", { has: tab.locator("dt", { hasText: label }) }).locator("dd");

describe.skipIf(!isThere)(`the page of the inspector${hint}`, () => {
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

  it("folds 25,000 tasks into one row, opens them in pages of 200, and finds one of them", async () => {
    await using scope = createScope({ name: "shop" });
    for (let n = 0; n < 25_000; n++) spawn(scope, (task) => sleep(task, 600_000), { name: `order ${n}` });
    const { tab, errors } = await open({ scope });
    await whenThere(tab, "25,000 × order #");
    expect(await tab.locator("tbody tr").count()).toBe(2);
    await row(tab, "order #").click();
    await whenThere(tab, "24,800 more");
    expect(await tab.locator("tbody tr").count()).toBe(2 + 200 + 1);
    await row(tab, "24,800 more").click();
    await whenThere(tab, "24,600 more");
    await tab.fill("#filter", "order 24999");
    await tab.locator("#note", { hasText: "1 found" }).waitFor();
    expect(await tab.locator("tbody tr").allTextContents()).toEqual([expect.stringContaining("order 24999")]);
    expect(errors).toEqual([]);
  });

  it("says why a stuck task is alive, and who is above it", async () => {
    const scope = createScope({ name: "shop", timeout: 600_000 });
    let release = (): void => {};
    onTestFinished(() => release());
    spawn(scope, () => new Promise<void>((resolve) => (release = resolve)), { name: "render" });
    scope.cancel();
    const { tab } = await open({ scope });
    await row(tab, "render").click();
    const detail = tab.locator("#detail");
    await detail.locator("li", { hasText: "It was cancelled" }).waitFor();
    await detail.locator("li", { hasText: "Nothing in it would notice a cancellation" }).waitFor();
    expect(await detail.locator("ol").textContent()).toContain("shop");
    release();
    await detail.locator("p", { hasText: "It has ended." }).waitFor();
  });

  it("shows first what is wrong, and leads to it", async () => {
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

  it("keeps what it shows when its server goes away, and goes on when it comes back", async () => {
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

  it("goes on after an answer that was cut off", async () => {
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

  it("keeps what it shows while it is paused", async () => {
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
