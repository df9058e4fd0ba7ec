import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { sleep, spawn, withScope, type Scope } from "../../src/index.js";
import { serverScope, type ServerScopeOptions } from "../../src/http/index.js";
import { blocksOfMarkdown } from "../support/doc-code.js";
import { deferred, flush, type Deferred } from "../support/deferred.js";
import { RawConnection, type Exchange } from "../support/http-clients.js";
import { frameworks, makeServer } from "./frameworks.js";

let working: Deferred<Scope>;
let failed: Deferred<unknown>;
let release: Deferred<void>;
let printed: unknown[];
const boom = new TypeError("a bug");
/** An error of the framework's own, which says how to respond. */
let own: Error;

beforeEach(() => {
  working = deferred();
  failed = deferred();
  release = deferred();
  printed = [];
  for (const method of ["error", "warn"] as const)
    vi.spyOn(console, method).mockImplementation((...what) => void printed.push(what));
});
afterEach(() => vi.restoreAllMocks());

async function work(scope: Scope, what: string): Promise<string> {
  working.resolve(scope);
  switch (what) {
    case "wait":
      await sleep(scope, 60_000).catch((error: unknown) => {
        failed.resolve(error);
        throw error;
      });
      break;
    case "call":
      await withScope(scope, { name: "stock", timeout: 5 }, (own) => sleep(own, 60_000));
      break;
    case "bug":
      throw boom;
    case "own":
      throw own;
    case "task":
      spawn(scope, () => Promise.reject(boom));
      await sleep(scope, 60_000);
      break;
    case "deaf":
      await release.promise;
  }
  return `did ${what}`;
}

/** Every line of a block but imports, comments, and the one that creates the application. */
function glueOf(module: string): string[] {
  const code = module
    .replaceAll(/^import\b[^;]*;|^export \{\};|\/\*.*?\*\//gms, "")
    .replaceAll(/^\s*\/\/.*$|^export const app = new \w+(<.*>)?\(\);$/gm, "");
  return code.split("\n").filter((line) => line.trim() !== "");
}

describe.each(frameworks)("the page of $name", ({ page }) => {
  const text = readFileSync(new URL(`../../../../docs/${page}`, import.meta.url), "utf8");

  it("has at most ten lines of glue, with types and closing lines", () => {
    const glues = blocksOfMarkdown(page, text).map(({ module }) => glueOf(module));
    expect(glues[0]?.length).toBeGreaterThan(5);
    expect(glues.filter((lines) => lines.length > 10)).toEqual([]);
  });

  it("has no glue among the code of the application", () => {
    const application = /```js\n(.*?)```/s.exec(text)?.[1];
    expect(application).toContain("serverScope(");
    expect(application).not.toMatch(/requestOutcome|requestScope|\((bough|"error")\b/);
  });
});

describe.each(frameworks)("the page of $name", (framework) => {
  async function serve(options: ServerScopeOptions = {}) {
    const server = await makeServer(framework, work);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const statuses: number[] = [];
    const scope = serverScope(server, {
      ...options,
      onCancelled: ({ status }) => void statuses.push(status),
    });
    const ask = (what: string): Exchange => {
      const connection = new RawConnection((server.address() as AddressInfo).port);
      onTestFinished(() => void connection.socket.destroy());
      return connection.request(framework.input(what));
    };
    onTestFinished(() => {
      release.resolve();
      server.closeAllConnections();
      server.close();
    });
    return { scope, statuses, ask };
  }

  it("gives a request its scope, which ends with the response", async () => {
    const { ask, statuses } = await serve();
    const isAnswer = (body: string): boolean => body.trim() === framework.answerTo("well");
    expect(await ask("well").answer).toMatchObject({ status: 200, body: expect.toSatisfy(isAnswer) });
    const scope = await working.promise;
    await expect.poll(() => scope.state).toBe("closed");
    expect(scope.cancelled).toBe(false);
    expect([statuses, printed]).toEqual([[], []]);
  });

  it("rule 28: cancels it when the client leaves, and logs no error", async () => {
    const { ask, statuses } = await serve();
    const exchange = ask("wait");
    const scope = await working.promise;
    exchange.abort();
    await expect.poll(() => scope.state).toBe("closed");
    expect(scope.reason?.kind).toBe("disconnected");
    expect(await failed.promise).toBe(scope.reason);
    await flush();
    expect([statuses, printed]).toEqual([[499], []]);
  });

  it("rule 30: answers 503 when its time is up, even if the handler does not notice", async () => {
    const { ask, statuses } = await serve({ timeout: 30 });
    expect((await ask("wait").answer)?.status).toBe(503);
    expect((await ask("deaf").answer)?.status).toBe(503);
    release.resolve();
    await flush();
    expect([statuses, printed]).toEqual([[503, 503], []]);
  });

  it("rule 30: answers 504 when a call of the handler runs out of time", async () => {
    const { ask, statuses } = await serve();
    expect((await ask("call").answer)?.status).toBe(504);
    expect([statuses, printed]).toEqual([[504], []]);
  });

  it.each(["bug", "task"])("rule 30: leaves every other failure to the framework: %s", async (what) => {
    const { ask, statuses } = await serve();
    expect((await ask(what).answer)?.status).toBe(framework.failed ?? 500);
    expect(statuses).toEqual([]);
    expect(printed.map((line) => inspect(line).includes("TypeError: a bug"))).toEqual(
      framework.prints ? [true] : [],
    );
  });

  it("rule 30: leaves an error of the framework's own to it, with the status or code that it has", async () => {
    own = framework.own(new Error("no row"));
    const { ask, statuses } = await serve();
    expect(await ask("own").answer).toMatchObject({
      status: framework.failed ?? 404,
      body: expect.stringMatching(framework.ownCode ?? "no such price"),
    });
    expect([statuses, printed]).toEqual([[], framework.logs === true ? [[own]] : []]);
  });

  it("rule 32: lets a request finish at a shutdown, and answers 503 when its grace period is over", async () => {
    const { ask, scope, statuses } = await serve({ grace: 50 });
    const deaf = ask("deaf");
    await working.promise;
    working = deferred();
    const waiting = ask("wait");
    await working.promise;
    const report = scope.shutdown();
    await flush();
    release.resolve();
    expect(await deaf.answer).toMatchObject({ status: 200 });
    expect((await waiting.answer)?.status).toBe(503);
    expect(await report).toMatchObject({ running: 2, cancelled: 1, stuck: [] });
    expect([statuses, printed]).toEqual([[503], []]);
  });
});
