import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPaint } from "../showcase/terminal/paint.js";
import { Item, itemsOf } from "./items.js";
import { createProgress } from "./progress.js";

const main = new URL("main.ts", import.meta.url).pathname;
const small = Buffer.alloc(1_000, "small");
const large = Buffer.alloc(1_000_000, "large");

let folder: string;
let server: Server | undefined;
let child: ChildProcess | undefined;

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "fetcher-")), "to");
});
afterEach(() => {
  child?.kill("SIGKILL");
  server?.closeAllConnections();
  server?.close();
  rmSync(join(folder, ".."), { recursive: true, force: true });
});

/** Serves on loopback; returns where. */
async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function start(...args: string[]): {
  process: ChildProcess;
  ended: Promise<{ code: number | null; output: string }>;
} {
  const started = (child = spawn(process.execPath, ["--import", "tsx", main, `--to=${folder}`, ...args]));
  let output = "";
  started.stdout.on("data", (chunk) => (output += String(chunk)));
  started.stderr.on("data", (chunk) => (output += String(chunk)));
  return {
    process: started,
    ended: once(started, "close").then(([code]) => ({ code: code as number | null, output })),
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("fetcher", { timeout: 30_000 }, () => {
  it("downloads in parallel, up to its limit", async () => {
    let running = 0;
    let most = 0;
    const url = await serve((_, response) => {
      most = Math.max(most, ++running);
      setTimeout(() => {
        running -= 1;
        response.end(large);
      }, 20);
    });
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    const { code, output } = await start("--concurrency=3", ...names.map((name) => `${url}/${name}`)).ended;
    expect(output).toContain(`7 of 7 files are in ${folder}, each of them complete.`);
    expect([code, most]).toEqual([0, 3]);
    expect(readdirSync(folder)).toEqual(names);
    for (const name of names) expect(readFileSync(join(folder, name)).equals(large)).toBe(true);
  });

  it("leaves only complete files behind after Ctrl-C, exits with the shell's code, and starts the others again the next time", async () => {
    const asked: (string | undefined)[] = [];
    const abandoned: (string | undefined)[] = [];
    let hold = true;
    const url = await serve((request, response) => {
      asked.push(request.url);
      const body = request.url?.includes("small") ? small : large;
      response.writeHead(200, { "content-length": body.length });
      if (body === small || !hold) return response.end(body);
      response.write(large.subarray(0, 500_000));
      return response.on("close", () => abandoned.push(request.url));
    });
    const sockets = new Set<Socket>();
    server?.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
    const urls = ["small", "large-1", "large-2", "large-3"].map((name) => `${url}/${name}`);
    const half = (name: string): boolean => {
      const path = join(folder, `${name}.part`);
      return existsSync(path) && statSync(path).size === 500_000;
    };

    const first = start("--concurrency=3", ...urls);
    await until(() => existsSync(join(folder, "small")) && ["large-1", "large-2", "large-3"].every(half));
    first.process.kill("SIGINT");
    const { code, output } = await first.ended;
    expect(code).toBe(130);
    expect(output).toContain("✓ small\n");
    expect(output).toContain(`Stopped (SIGINT): 1 of 4 files are in ${folder}, each of them complete.\n`);
    expect(output).not.toMatch(/Error|✗/);
    expect(readdirSync(folder)).toEqual(["small"]);
    expect(readFileSync(join(folder, "small")).equals(small)).toBe(true);
    await until(() => abandoned.length === 3 && sockets.size === 0);

    hold = false;
    asked.length = 0;
    const second = await start(...urls).ended;
    expect(second.code).toBe(0);
    expect(second.output).toContain("– small is there already\n");
    expect(asked.toSorted()).toEqual(["/large-1", "/large-2", "/large-3"]);
    expect(readdirSync(folder)).toEqual(["large-1", "large-2", "large-3", "small"]);
    expect(readFileSync(join(folder, "large-1")).equals(large)).toBe(true);
  });

  it("reports what fails, goes on with the rest, and exits with 1", async () => {
    const url = await serve((request, response) => {
      if (request.url === "/missing") return response.writeHead(404).end("no");
      if (request.url !== "/cut") return response.end(small);
      response.writeHead(200, { "content-length": large.length });
      return response.write(small, () => response.destroy());
    });
    const { code, output } = await start(`${url}/missing`, `${url}/cut`, `${url}/good`).ended;
    expect(code).toBe(1);
    expect(output).toContain("✗ missing: the server answered 404 Not Found\n");
    expect(output).toMatch(/✗ cut: terminated/);
    expect(output).toContain("1 of 3 files");
    expect(readdirSync(folder)).toEqual(["good"]);
  });

  it("shows how it works with its own server", async () => {
    const { process, ended } = start("--demo");
    await until(() => existsSync(folder) && readdirSync(folder).some((name) => name.endsWith(".txt")));
    process.kill("SIGTERM");
    const { code, output } = await ended;
    expect(output).toContain("Stopped (SIGTERM)");
    expect(code).toBe(143);
    expect(readdirSync(folder).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  it.each([
    [[], "give either --demo or URLs"],
    [["--demo", "http://127.0.0.1/x"], "give either --demo or URLs"],
    [["--concurrency=0", "http://127.0.0.1/x"], "--concurrency must be a whole number from 1, got 0"],
    [["nonsense"], "no URL: nonsense"],
    [["--unknown"], "Unknown option '--unknown'"],
  ])("says how to use it: %j", async (args, message) => {
    const { code, output } = await start(...args).ended;
    expect(code).toBe(2);
    expect(output).toContain(`fetcher: ${message}`);
    expect(output).toContain("Usage: fetcher");
    expect(existsSync(folder)).toBe(false);
  });
});

describe("itemsOf()", () => {
  it("names each file as its URL ends, decoded", () => {
    const names = itemsOf(["http://a/b/c.txt?x=/y", "https://a/d%20e"]).map(({ name }) => name);
    expect(names).toEqual(["c.txt", "d e"]);
  });

  it.each([
    "http://a/",
    "http://a/b/",
    "http://a/%2e%2e%2fetc",
    "http://a/b%2Fc",
    "http://a/b%5Cc",
    "file:///etc/passwd",
    "a/b",
  ])("refuses %s", (url) => {
    expect(() => itemsOf([url])).toThrow(/^(no URL|not an HTTP URL|no name for a file in)/);
  });

  it("refuses two URLs with the same file name", () => {
    expect(() => itemsOf(["http://a/x", "http://b/x"])).toThrow("two URLs would be saved as x");
  });
});

describe("createProgress()", () => {
  const items = ["a", "bb", "c"].map((name) => new Item(`http://x/${name}`, name));
  const [done, running] = items as [Item, Item, Item];
  Object.assign(done, { state: "done" });
  Object.assign(running, { state: "running", size: 2_000_000, received: 500_000 });
  const view = createProgress(items, createPaint(false));

  it("draws a bar for each running download, and one for all", () => {
    expect(view.frame({ columns: 80, rows: 24 })).toEqual([
      "  bb  ██████░░░░░░░░░░░░░░░░░░  25 % 0.5 MB of 2.0 MB",
      "  all ██████████░░░░░░░░░░░░░░  41 % 1 of 3 files",
    ]);
  });

  it("has a line for logs, and no more lines than there are rows", () => {
    expect(view.line()).toBe("41 %, 1 of 3 files");
    expect(view.frame({ columns: 80, rows: 1 })).toHaveLength(1);
  });
});
