import { describe, expect, it } from "vitest";
import { deferred, flush } from "../../test/support/deferred.js";
import { collectGarbage } from "../testing/index.js";
import { createScope, spawn, type Scope, type Task } from "../index.js";

/** From the fifth task in one millisecond on, the names are remembered. */
function startMany(scope: Scope, worker: () => void): string[] {
  return Array.from({ length: 50 }, () => spawn(scope, worker).name);
}

/** Starts a worker that holds an object; returns a reference to that object, and the task. */
function startHolding(scope: Scope, held: Promise<void>): [WeakRef<object>, Task<void>] {
  const object = { big: "data" };
  // Not async: the engine keeps an async function while it runs.
  const task = spawn(scope, function holder() {
    void object;
    return held;
  });
  return [new WeakRef(object), task];
}

describe("the name of a task without a name", () => {
  it("is the name of its function, whatever was started before it in the same turn", async () => {
    await using scope = createScope();
    const job = (): void => {};
    const other = (): void => {};
    startMany(scope, other);
    const names = [job, job, other, job, (): void => {}, other].map((worker) => spawn(scope, worker).name);
    expect(names).toEqual(["job", "job", "other", "job", "anonymous", "other"]);
  });

  it("is the name that the function has in this turn of the event loop", async () => {
    await using scope = createScope();
    const job = (): void => {};
    expect(new Set(startMany(scope, job))).toEqual(new Set(["job"]));
    await flush();
    Object.defineProperty(job, "name", { value: "renamed" });
    expect(new Set(startMany(scope, job))).toEqual(new Set(["renamed"]));
  });

  it("keeps nothing alive that the function closes over, while the task runs and after it", async () => {
    await using scope = createScope();
    const gate = deferred();
    startMany(scope, () => {});
    const [running, first] = startHolding(scope, gate.promise);
    const [ended, second] = startHolding(scope, Promise.resolve());
    await second;
    await collectGarbage();
    expect([running.deref(), ended.deref()]).toEqual([undefined, undefined]);
    gate.resolve();
    await first;
    expect([first.name, second.name]).toEqual(["holder", "holder"]);
  });
});
