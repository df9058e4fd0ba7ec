import { existsSync } from "node:fs";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeModel } from "./fake-model.js";
import { frameworks } from "./frameworks.js";
import type { Gateway } from "./gateway.js";

const chromiumPath = "/usr/bin/chromium";
const hasChromium = existsSync(chromiumPath);

describe.skipIf(!hasChromium)(
  `the chat page in Chromium${hasChromium ? "" : " (skipped: there is none)"}`,
  () => {
    let browser: Browser;
    let page: Page;
    let model: FakeModel;
    let gateway: Gateway;
    let problems: string[];

    beforeAll(async () => {
      browser = await chromium.launch({
        executablePath: chromiumPath,
        args: ["--no-sandbox", "--disable-gpu"],
      });
    }, 60_000);
    afterAll(() => browser.close());

    beforeEach(async () => {
      model = new FakeModel();
      const options = { url: await model.listen(), name: "fake", firstToken: 30_000, total: 60_000 };
      const stats = () => {
        const { planned, generated, running, saved } = model;
        return { framework: "Express", planned, generated, running, saved };
      };
      gateway = await (frameworks["Express"] as (typeof frameworks)[string])({
        model: options,
        grace: 5_000,
        stats,
      });
      gateway.server.listen(0, "127.0.0.1");
      await once(gateway.server, "listening");
      page = await browser.newPage();
      problems = [];
      page.on("pageerror", (error) => problems.push(String(error)));
      page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
      await page.goto(`http://127.0.0.1:${(gateway.server.address() as AddressInfo).port}`);
    });
    afterEach(async () => {
      await page.close();
      await gateway.shutdown();
      await model.close();
    });

    async function ask(question: string): Promise<void> {
      await page.getByLabel("Question").fill(question);
      await page.getByRole("button", { name: "Ask" }).click();
    }

    const shows = (text: RegExp): Promise<void> =>
      page.getByRole("status").filter({ hasText: text }).waitFor();
    const numberAt = async (id: string): Promise<number> =>
      Number((await page.locator(`#${id}`).textContent())?.replaceAll(",", ""));

    it("shows an answer token by token", async () => {
      await ask("tokens=30 first=10 pace=5");
      await shows(/^30 tokens in .* complete$/);
      expect(await page.locator("#answer").textContent()).toContain("A scope owns what it starts");
      await vi.waitFor(async () => expect(await numberAt("read")).toBe(30), 10_000);
      expect(problems).toEqual([]);
    });

    it("stops the model when the reader stops reading, and says how many tokens were saved", async () => {
      await ask("tokens=100000 first=10 pace=5");
      await shows(/^\d\d tokens .* reading$/);
      await page.getByRole("button", { name: "Stop reading" }).click();
      await shows(/you stopped reading$/);
      await vi.waitFor(() => expect(model.running).toBe(0), 10_000);
      await vi.waitFor(async () => expect(await numberAt("saved")).toBeGreaterThan(50_000), 10_000);
      await ask("tokens=100000 first=10 pace=5");
      await vi.waitFor(async () => expect(await numberAt("running")).toBe(1), 10_000);
      expect(await numberAt("saved")).toBeGreaterThan(50_000); // of the first answer, while the second is generated
      expect(problems).toEqual([]);
    });

    it("stops the model when the tab is closed", async () => {
      await ask("tokens=100000 first=10 pace=5");
      await shows(/ reading$/);
      await page.close();
      await vi.waitFor(() => expect(model.running).toBe(0), 10_000);
    });

    it("shows that the gateway has ended the answer", async () => {
      await ask("tokens=100000 first=10 pace=5");
      await shows(/ reading$/);
      await gateway.shutdown();
      await page.getByRole("heading", { name: "Chat gateway has gone" }).waitFor();
      await shows(/ended early: shutdown$/);
      expect(model.running).toBe(0);
    });

    it.each(["light", "dark"] as const)("has readable colours: %s", async (colorScheme) => {
      await page.emulateMedia({ colorScheme });
      await ask("tokens=60 first=10 pace=2");
      await shows(/complete$/);
      const folder = process.env["CHAT_SCREENSHOTS"];
      if (folder !== undefined) await page.screenshot({ path: `${folder}/chat-${colorScheme}.png` });
      const contrasts = await page.evaluate(contrastsOfPage);
      expect(contrasts.length).toBeGreaterThan(10);
      expect(contrasts.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
    });
  },
);

/** Runs in the page: the contrast of each text with what is behind it. */
function contrastsOfPage(): { text: string; ratio: number }[] {
  const luminance = (colour: string): number => {
    const parts = (colour.match(/[\d.]+/g) ?? []).slice(0, 3).map((part) => Number(part) / 255);
    const [r = 0, g = 0, b = 0] = parts.map((part) =>
      part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found: { text: string; ratio: number }[] = [];
  const { document, getComputedStyle } = globalThis as unknown as {
    document: { querySelectorAll: (selector: string) => Iterable<PageElement> };
    getComputedStyle: (element: PageElement) => { color: string; backgroundColor: string };
  };
  for (const element of document.querySelectorAll("h1, p, pre, button, input, dt, dd")) {
    if (element.disabled === true) continue;
    let behind: PageElement | null = element;
    while (behind !== null && /, 0\)$|transparent/.test(getComputedStyle(behind).backgroundColor))
      behind = behind.parentElement;
    const back = behind === null ? "rgb(255, 255, 255)" : getComputedStyle(behind).backgroundColor;
    const [high = 0, low = 0] = [luminance(getComputedStyle(element).color), luminance(back)].toSorted(
      (a, b) => b - a,
    );
    found.push({
      text: `${element.tagName} ${element.textContent?.slice(0, 20)}`,
      ratio: (high + 0.05) / (low + 0.05),
    });
  }
  return found;
}

interface PageElement {
  readonly parentElement: PageElement | null;
  readonly tagName: string;
  readonly textContent: string | null;
  readonly disabled?: boolean;
}
