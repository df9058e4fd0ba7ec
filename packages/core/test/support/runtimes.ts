import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { BuildOptions } from "esbuild";
import { cache, install, nodes } from "./nodes.js";
import { execute } from "./process.js";

/** Something that runs JavaScript: how to run a script in it, or why it is not used in this run. */
export interface Runtime {
  readonly host: "node" | "bun" | "deno" | "browser";
  /** For test titles: `Bun`, or `Bun (set BOUGH_ALL_NODES=1 to install it)`. */
  readonly label: string;
  /** Runs a bundled script to its end; its report is the last line it prints. */
  readonly run: ((script: string) => Promise<string>) | undefined;
}

/** How esbuild makes what every runtime can run. */
export const anywhere: BuildOptions = {
  bundle: true,
  platform: "neutral",
  format: "esm",
  target: "es2022",
  mainFields: ["module", "main"],
  external: ["node:*"],
  logLevel: "silent",
};

/** The runtimes that come as npm packages of their name. */
const packaged = ["bun", "deno", "workerd"] as const;
type Packaged = (typeof packaged)[number];
const folderOf = (name: Packaged): string => join(cache, name);
const binaryOf = (name: Packaged): string => join(folderOf(name), "node_modules/.bin", name);
const chromium = "/usr/bin/chromium";
const wantsAll = process.env["BOUGH_ALL_NODES"] === "1";

/** Installs Bun, Deno and workerd from npm, beside the Nodes. */
export function installRuntimes(): void {
  for (const name of packaged) install(name, folderOf(name), binaryOf(name));
}

/** The binary of a runtime, if it is installed. */
export function runtimeBinary(name: Packaged): string | undefined {
  return existsSync(binaryOf(name)) ? binaryOf(name) : undefined;
}

/** Every runtime that bough is said to work in. */
export function runtimes(): readonly Runtime[] {
  const found: Runtime[] = nodes().map(({ path, label }) => ({ host: "node", label, run: runner(path, []) }));
  found.push(installed("bun", "Bun", []), installed("deno", "Deno", ["run", "-A", "--v8-flags=--expose-gc"]));
  const useChromium = wantsAll && existsSync(chromium);
  const hint = `(needs ${chromium} and BOUGH_ALL_NODES=1)`;
  found.push({
    host: "browser",
    label: useChromium ? "Chromium" : `Chromium ${hint}`,
    run: useChromium ? runInChromium : undefined,
  });
  return found;
}

function installed(host: "bun" | "deno", name: string, args: readonly string[]): Runtime {
  const run = runner(runtimeBinary(host), args);
  return { host, label: run === undefined ? `${name} (set BOUGH_ALL_NODES=1 to install it)` : name, run };
}

function runner(command: string | undefined, args: readonly string[]): Runtime["run"] {
  if (command === undefined) return undefined;
  return async (script) => {
    const { code, stdout, output } = await execute(command, [...args, script], "/");
    if (code !== 0) throw new Error(`${command} ended with ${code}:\n${output}`);
    return stdout.trim().split("\n").at(-1) ?? "";
  };
}

async function runInChromium(script: string): Promise<string> {
  const { chromium: driver } = await import("playwright-core");
  const browser = await driver.launch({
    executablePath: chromium,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--js-flags=--expose-gc"],
  });
  try {
    const page = await browser.newPage();
    const content = await readFile(script, "utf8");
    return await new Promise<string>((resolve, reject) => {
      page.on("pageerror", reject);
      page
        .exposeFunction("gcReport", resolve)
        .then(() => page.addScriptTag({ content, type: "module" }))
        .catch(reject);
    });
  } finally {
    await browser.close();
  }
}
