/* oxlint-disable unicorn/no-thenable -- a thenable is what is tested */
import { describe, expect, it, vi } from "vitest";
import { close, createScope, selfCleaning, spawn, type OrphanInfo, type Scope } from "../index.js";
import { deferred, outcomeOf } from "../../test/support/deferred.js";
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

/** The callbacks that end the interval of each path, since no test waits for ten seconds. */
const intervalEnds = vi.hoisted((): (() => void)[] => []);

vi.mock(import("../kernel/platform.js"), async (importOriginal) => {
  const platform = await importOriginal();
  return {
    ...platform,
    setUnrefTimer: (callback, ms) => {
      if (ms === 10_000) intervalEnds.push(callback);
      else platform.setUnrefTimer(callback, ms);
    },
  };
});

describe("orphans that are collected together", () => {
  it("rule 19: have a reason with their path, which orphans of the same path share", async () => {
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

  it("rule 20: are reported as each one's own onOrphan says, also beside objects that were closed or have failed", async () => {
    const seen: string[] = [];
    const make = (name: string, onOrphan: "ignore" | ((info: OrphanInfo) => void)): object =>
      selfCleaning((scope) => ({ scope }), { name, onOrphan, onError: () => undefined });
    const fails = (scope: Scope): object => {
      spawn(scope, () => Promise.reject(new Error("lost")));
      return {};
    };
    const first = (info: OrphanInfo): void => void seen.push(`first ${info.path}`);
    const second = (info: OrphanInfo): void => void seen.push(`second ${info.path}`);
    const closing: Promise<void>[] = [];
    for (let index = 0; index < 300; index++) {
      make(`a${index}`, first);
      make(`b${index}`, second);
      make(`c${index}`, "ignore");
      closing.push(close(make(`d${index}`, first) as AsyncDisposable));
      selfCleaning(fails, { name: `e${index}`, onOrphan: first, onError: () => undefined });
    }
    await Promise.all(closing);
    await collectGarbage();
    const expected = Array.from({ length: 300 }, (_, index) => [`first a${index}`, `second b${index}`]);
    expect(seen.toSorted()).toEqual(expected.flat().toSorted());
  });

  it("rule 20: does not report closed handles of the same registry, and reports the others", async () => {
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

  it("rule 20: are removed from their registry when they are closed", async () => {
    const scope = createScope();
    const unregister = vi.spyOn(FinalizationRegistry.prototype, "unregister");
    await scope.close();
    expect(unregister.mock.results.map(({ value }) => value as unknown)).toEqual([true]);
    unregister.mockRestore();
  });
});

describe("an orphan whose disposal was expected, as by an AsyncDisposableStack that was dropped too", () => {
  it.each([
    ["was cancelled before", true],
    ["was open", false],
  ])("rule 19: passes a later failure to its parent, which ends, if it %s", async (_, isCancelled) => {
    const failure = new Error("late");
    const gate = deferred();
    const parent = createScope();
    const dropExpected = (): void => {
      const handle = createScope(parent, { onOrphan: "ignore" });
      spawn(handle, () => gate.promise);
      void handle[Symbol.asyncDispose]; // what the stack does
      if (isCancelled) handle.cancel();
    };
    dropExpected();
    await collectGarbage();
    gate.reject(failure);
    expect(await outcomeOf(parent.join())).toBe("rejected");
    expect(parent.errors).toEqual([failure]);
  });
});

describe("the warning of an orphan", () => {
  /** The warnings that are made while `act` runs, and the reports that come after the interval. */
  async function warningsOf(act: () => void | Promise<void>): Promise<{ at: string[]; after: string[] }> {
    await collectGarbage(); // what earlier tests have dropped
    for (const end of intervalEnds.splice(0)) end();
    const at: string[] = [];
    const emit = vi
      .spyOn(process, "emitWarning")
      .mockImplementation((message) => void at.push(String(message)));
    try {
      await act();
      await collectGarbage();
      const seen = [...at];
      at.length = 0;
      for (const end of intervalEnds.splice(0)) end();
      return { at: seen, after: [...at] };
    } finally {
      emit.mockRestore();
    }
  }
  const dropMany = (name: string, count: number): void => {
    for (let index = 0; index < count; index++) createScope({ name });
  };

  it("rule 21: is printed once per path and interval, and then the number of further orphans", async () => {
    const { at, after } = await warningsOf(() => {
      dropMany("many", 500);
      dropMany("two", 2);
      dropMany("one", 1);
    });
    expect(at.map((line) => /"(\w+)"/.exec(line)?.[1]).toSorted()).toEqual(["many", "one", "two"]);
    expect(after.toSorted()).toEqual([
      '1 more scope named "two" was dropped without being closed, and cancelled, in 10 s',
      '499 more scopes named "many" were dropped without being closed, and cancelled, in 10 s',
    ]);
  });

  it("rule 21: is printed again in the next interval, for any number of paths", async () => {
    const first = await warningsOf(() => dropMany("again", 1));
    const second = await warningsOf(() => dropMany("again", 1));
    expect([first.at.length, first.after.length, second.at.length]).toEqual([1, 0, 1]);
    const { at, after } = await warningsOf(() => {
      for (let index = 0; index < 1_100; index++) createScope({ name: `${index}` });
    });
    expect(at).toHaveLength(1_001);
    expect(after).toEqual([
      "99 more scopes of other paths were dropped without being closed, and cancelled, in 10 s",
    ]);
  });

  it("rule 24: says that a callback may have been waiting, unless the callback was removed", async () => {
    const make = (name: string): { on(line: () => void): void; off(line: () => void): void } =>
      selfCleaning(() => ({ on: (): void => undefined, off: (): void => undefined }), { name });
    class Feed {
      on(_listener: () => void): this {
        return this;
      }
      off(_listener: () => void): this {
        return this;
      }
    }
    const { at } = await warningsOf(() => {
      selfCleaning(() => new Feed(), { name: "used" }).on(() => undefined);
      selfCleaning(() => new Feed(), { name: "left" })
        .on(() => undefined)
        .off(() => undefined);
      make("plain").off(() => undefined);
    });
    const withHint = at.filter((line) => line.includes("A callback given to on() may have been waiting"));
    expect(at).toHaveLength(3);
    expect(withHint).toHaveLength(1);
    expect(withHint[0]).toContain('"used"');
  });
});

describe("onOrphan", () => {
  it.each<[string, (error: Error) => unknown]>([
    ["throws", (error) => void raise(error)],
    ["rejects", async (error) => raise(error)],

    [
      "returns a thenable that rejects",
      (error) => ({ then: (_: unknown, reject: (e: unknown) => void) => reject(error) }),
    ],
  ])("rule 19: a function that %s has its error go to onError", async (_, act) => {
    const error = new Error("from onOrphan");
    const seen: unknown[] = [];
    (() => void createScope({ onError: (caught) => seen.push(caught), onOrphan: () => act(error) }))();
    await collectGarbage();
    await vi.waitFor(() => expect(seen).toEqual([error]), 10_000);
  });

  function raise(error: Error): never {
    throw error;
  }
});
