import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { scriptFolder, type ScriptFolder } from "../../test/support/run-script.js";
import { openScope } from "../../test/support/open-scope.js";
import { spawn } from "../task/spawn.js";
import { agent } from "./agent.js";
import type { NodeInfo } from "./index.js";

const copiesKey = Symbol.for("bough.copies");

/** The trees of this process, as the debugger finds them. */
const copies = (): readonly WeakRef<object>[] => Reflect.get(globalThis, copiesKey) as WeakRef<object>[];

/** Replaces the list of copies until the end of the test. */
function setCopies(value: unknown): void {
  const before = Object.getOwnPropertyDescriptor(globalThis, copiesKey) as PropertyDescriptor;
  Object.defineProperty(globalThis, copiesKey, { value, configurable: true });
  onTestFinished(() => void Object.defineProperty(globalThis, copiesKey, before));
}

function all(): NodeInfo[] {
  const found: NodeInfo[] = [];
  for (;;) {
    const slice = JSON.parse(agent.next(0)) as NodeInfo[] | null;
    if (slice === null) return found;
    found.push(...slice);
  }
}

describe("the code that `bough inspect` evaluates in a process", () => {
  it("finds the tree of a copy, in slices", () => {
    const scope = openScope("a root that the agent finds");
    for (let index = 0; index < 40; index++) spawn(scope, () => new Promise(() => {}));
    expect(JSON.parse(agent.begin())).toMatchObject({ copies: copies().length, unreadable: 0 });
    expect(JSON.parse(agent.next(0))).toHaveLength(16);
    expect(all().length).toBeGreaterThan(24);
    expect(agent.next(0)).toBe("null");
  });

  it("does not read a copy of another format", () => {
    const root = {
      get flags(): number {
        throw new Error("was read");
      },
    };
    setCopies([new WeakRef({ format: 2, root })]);
    expect(JSON.parse(agent.begin())).toMatchObject({ copies: 1, unreadable: 1 });
    expect(all()).toEqual([]);
  });

  it("gives the scopes of a second copy different ids, and numbers the background of each copy", () => {
    const own = copies()[0] as WeakRef<object>;
    setCopies([own, own]);
    agent.begin();
    const found = all();
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
    expect(found.map(({ name }) => name)).toContain("background (copy 2 of the package)");
    const ids = new Set(found.map(({ id }) => id));
    expect(found.every(({ parent }) => parent === undefined || ids.has(parent))).toBe(true);
  });

  it("finds nothing where bough was not loaded", () => {
    setCopies(undefined);
    expect(JSON.parse(agent.begin())).toMatchObject({ copies: 0, unreadable: 0 });
  });
});

describe("a walk that is never ended", () => {
  let folder: ScriptFolder;
  beforeAll(async () => {
    folder = await scriptFolder("inspect");
  });
  afterAll(() => folder.remove());

  it("leaves nothing in the tree once its generator has been collected", async () => {
    const { stdout } = await folder.run(
      `
      const [copy] = globalThis[Symbol.for("bough.copies")].map((copy) => copy.deref());
      const server = createScope({ name: "server" });
      for (let index = 0; index < 100; index++) spawn(server, (task) => sleep(task, 60_000));
      await walk(server, { slice: 0 }).next();
      log("walks under way:", copy.cursors.length);
      await sleep(server, 1);
      gc();
      await sleep(server, 1);
      await server.close();
      log("walks under way:", copy.cursors.length);
      `,
      { flags: ["--expose-gc"] },
    );
    expect(stdout.trim().split("\n")).toEqual(["walks under way: 1", "walks under way: 0"]);
  });

  it("finds a copy of the package as long as its tree is alive, and not after that", async () => {
    const { stdout } = await folder.run(
      `
      const key = Symbol.for("bough.copies");
      const value = [...globalThis[key], new WeakRef({ format: 1 })];
      Object.defineProperty(globalThis, key, { value, configurable: true });
      await new Promise((resolve) => setTimeout(resolve, 1));
      gc();
      const { createScope: another } = await import(new URL("./bough.mjs?second", import.meta.url));
      another({ name: "kept" }).cancel();
      gc();
      log(globalThis[key].map((copy) => copy.deref()?.root.name).join());
      `,
      { flags: ["--expose-gc"] },
    );
    expect(stdout.trim()).toBe("background,background");
  });
});
