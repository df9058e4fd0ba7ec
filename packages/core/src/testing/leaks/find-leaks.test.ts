import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createScope } from "../../task/create-scope.js";
import { spawn } from "../../task/spawn.js";
import { withScope } from "../../task/with-scope.js";
import { findLeaks, ignoreCurrent, LeakError, verifyNoLeaks, type LeakOptions } from "../index.js";
import { IgnoredLeaks } from "./ignored-leaks.js";
import type { Found } from "./resources.js";
import { openScope } from "../../../test/support/open-scope.js";

const never = (): Promise<never> => new Promise(() => {});

/** The paths of what is found at once. */
async function pathsOf(options: LeakOptions): Promise<string[]> {
  const leaks = await findLeaks({ timeout: 0, ...options });
  return leaks.map((leak) => leak.path);
}

describe("findLeaks()", () => {
  it("rule 25: reports scopes and tasks with path, status and age, parents first", async () => {
    const ignore = ignoreCurrent();
    const server = openScope("server");
    spawn(server, never, { name: "heartbeat" });
    const pool = createScope(server, { name: "pool" });
    void pool.close();
    expect(await findLeaks({ ignore, timeout: 0, resources: false })).toEqual([
      { kind: "scope", name: "server", path: "server", status: "open", age: expect.any(Number) as number },
      {
        kind: "task",
        name: "heartbeat",
        path: "server/heartbeat",
        status: "running",
        age: expect.any(Number) as number,
      },
    ]);
  });

  it("looks only below scope, which may be open itself", async () => {
    const outer = openScope("outer");
    const inner = createScope(outer, { name: "inner", onOrphan: "ignore" });
    spawn(outer, never, { name: "beside" });
    expect(await pathsOf({ scope: inner })).toEqual([]);
    spawn(inner, never, { name: "below" });
    expect(await pathsOf({ scope: inner })).toEqual(["outer/inner/below"]);
    expect(await pathsOf({ scope: outer })).toEqual(["outer/inner", "outer/inner/below", "outer/beside"]);
  });

  it("finds nothing in a scope whose work has ended", async () => {
    await withScope(async (scope) => {
      await spawn(scope, async () => {});
      expect(await pathsOf({ scope })).toEqual([]);
    });
  });

  it("waits for resources that are about to end, and no longer", async () => {
    const scope = openScope("scope");
    let end = (): void => {};
    spawn(scope, () => new Promise<void>((resolve) => (end = resolve)));
    let looks = 0;
    const ignore = (): boolean => {
      if (++looks === 3) end();
      return false;
    };
    expect(await findLeaks({ scope, ignore, timeout: 60_000 })).toEqual([]);
    expect(looks).toBe(3);
  });

  it("waits although the test has replaced the timers", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const scope = openScope("scope");
    spawn(scope, never, { name: "worker" });
    expect((await findLeaks({ scope, timeout: 5 })).map(({ path }) => path)).toEqual(["scope/worker"]);
  });

  it("ignores by name, path, pattern and predicate, and by several of them", async () => {
    const scope = openScope("scope");
    spawn(scope, never, { name: "metrics" });
    spawn(scope, never, { name: "worker-1" });
    spawn(scope, never, { name: "worker-2" });
    const all = ["scope/metrics", "scope/worker-1", "scope/worker-2"];
    expect(await pathsOf({ scope })).toEqual(all);
    expect(await pathsOf({ scope, ignore: "metrics" })).toEqual(all.slice(1));
    expect(await pathsOf({ scope, ignore: "scope/metrics" })).toEqual(all.slice(1));
    expect(await pathsOf({ scope, ignore: "scope" })).toEqual(all);
    expect(await pathsOf({ scope, ignore: /^worker-\d$/g })).toEqual(all.slice(0, 1));
    expect(await pathsOf({ scope, ignore: ({ name }) => name.endsWith("1") })).toEqual([all[0], all[2]]);
    expect(await pathsOf({ scope, ignore: ["metrics", /1$/] })).toEqual(all.slice(2));
    expect(await pathsOf({ scope, ignore: ["metrics", ignoreCurrent() as RegExp] })).toEqual([]);
  });

  it.each<[string, unknown]>([
    ["options", 5],
    ["timeout", { timeout: -1 }],
    ["timeout", { timeout: Infinity }],
    ["timeout", { timeout: "1s" }],
    ["resources", { resources: 1 }],
    ["ignore", { ignore: 5 }],
    ["ignore", { ignore: ["a", {}] }],
    ["scope", { scope: {} }],
  ])("rejects bad %s and says so: %o", async (name, options) => {
    const error = await findLeaks(options as LeakOptions).catch((thrown: unknown) => thrown);
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
    expect((error as Error).message).toMatch(new RegExp(`^findLeaks: ${name} `));
    await expect(verifyNoLeaks(options as LeakOptions)).rejects.toThrow(name);
  });
});

describe("ignoreCurrent()", () => {
  it("ignores everything that exists now, and nothing that is made later, such as a new task of an old scope", async () => {
    const scope = openScope("old");
    spawn(scope, never, { name: "old task" });
    const timer = setInterval(() => {}, 60_000);
    const ignore = ignoreCurrent();
    expect(await pathsOf({ ignore })).toEqual([]);
    spawn(scope, never, { name: "new task" });
    expect(await pathsOf({ ignore })).toEqual(["old/new task"]);
    clearInterval(timer);
  });

  it("compares timers without a recorded stack by their number", () => {
    const timer = (): Found => ({
      identity: undefined,
      report: { kind: "resource", type: "Timeout", name: "timeout", path: "timeout", status: "active" },
    });
    const port: Found = { identity: {}, report: { ...timer().report, type: "MESSAGEPORT" } };
    const ignored = new IgnoredLeaks([timer(), timer(), port]);
    const third = timer();
    expect(IgnoredLeaks.except(ignored, [timer(), port, timer(), third])).toEqual([third]);
    expect(IgnoredLeaks.except(ignored, [timer()])).toEqual([]);
  });
});

describe("verifyNoLeaks()", () => {
  it("resolves when there is none", async () => {
    const scope = openScope("scope");
    await expect(verifyNoLeaks({ scope })).resolves.toBeUndefined();
  });

  it("throws a LeakError with every leak, in its message and as data", async () => {
    const scope = openScope("scope");
    for (let index = 0; index < 25; index++) spawn(scope, never, { name: `task ${index}` });
    const error: unknown = await verifyNoLeaks({ scope, timeout: 0 }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LeakError);
    const { leaks, message, code, name } = error as LeakError;
    expect([leaks.length, code, name]).toEqual([25, "BOUGH_LEAKS", "LeakError"]);
    expect(message).toMatch(/^25 leaks, still there/);
    expect(message).toMatch(/task scope\/task 0 \(running, \d+ ms old\)/);
    expect(message).toContain("and 5 more");
    expect(message).toContain("recordOrigins()");
  });
});
