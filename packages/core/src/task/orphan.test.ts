import { describe, expect, it, vi } from "vitest";
import { createScope, spawn, type OrphanInfo, type Scope } from "../index.js";
import { collectGarbage } from "../testing/index.js";

/** Drops a handle; what its worker holds is its view. */
function drop(name: string, onOrphan?: (info: OrphanInfo) => void): Scope {
  let view!: Scope;
  const handle = createScope({ name, onOrphan: onOrphan ?? "ignore" });
  spawn(
    handle,
    (scope) => new Promise<void>((resolve) => scope.onCancel(() => resolve(((view = scope), undefined)))),
  );
  spawn(handle, function worker(scope) {
    view = scope;
    return new Promise<void>((resolve) => scope.onCancel(() => resolve()));
  });
  return view;
}

describe("orphans that are collected together", () => {
  it("rule 19: each have the reason that names them, which those of one path share", async () => {
    const views = ["a", "b", "a", "b", "c"].map((name) => drop(name));
    await collectGarbage();
    expect(views.map(({ reason }) => [reason?.kind, reason?.scope])).toEqual(
      ["a", "b", "a", "b", "c"].map((name) => ["orphaned", name]),
    );
  });

  it("rule 19: are all cancelled before collectGarbage() resolves, however many they are", async () => {
    const orphans: string[] = [];
    const count = 3_000;
    for (let index = 0; index < count; index++) drop(`${index}`, ({ path }) => orphans.push(path));
    await collectGarbage();
    expect(orphans.map(Number).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: count }, (_, index) => index),
    );
  });

  it("rule 20: are none when they were closed, and what else their registry watches is", async () => {
    const orphans: string[] = [];
    const kept = createScope({ name: "kept" });
    const closing: Promise<void>[] = [];
    for (let index = 0; index < 1_000; index++) {
      if (index % 2 === 0) drop(`${index}`, ({ path }) => orphans.push(path));
      else closing.push(createScope({ onOrphan: () => orphans.push("closed") }).close());
    }
    await Promise.all(closing);
    await collectGarbage();
    expect(orphans).toHaveLength(500);
    expect(orphans).not.toContain("closed");
    expect(kept.state).toBe("open");
    await kept.close();
  });

  it("rule 20: are taken out of their registry when they are closed", async () => {
    const scope = createScope();
    const unregister = vi.spyOn(FinalizationRegistry.prototype, "unregister");
    await scope.close();
    expect(unregister.mock.results.map(({ value }) => value as unknown)).toEqual([true]);
    unregister.mockRestore();
  });
});
