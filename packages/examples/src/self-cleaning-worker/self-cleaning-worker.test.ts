import { close, createScope } from "bough";
import { snapshot } from "bough/inspect";
import { collectGarbage } from "bough/testing";
import { describe, expect, it, vi } from "vitest";
import { runExample } from "../../test/support/run-example.js";
import { createDoer, createSelfCleaningDoer, Doer, liveDaemons } from "./doer.js";

/** As in a program, nothing of these is left on the stack. */
function makeAndForget(make: () => unknown, count: number): void {
  for (let made = 0; made < count; made += 1) make();
}

describe("createDoer()", () => {
  it("keeps its daemon when it is dropped, until its owner is closed", async () => {
    const owner = createScope();
    makeAndForget(() => createDoer(owner), 100);
    await collectGarbage();
    expect(liveDaemons()).toBe(100);
    expect(snapshot(owner).counts.tasks).toBe(100);
    await owner.close();
    expect(liveDaemons()).toBe(0);
  });
});

describe("createSelfCleaningDoer()", () => {
  it("stops its daemon when it is dropped", async () => {
    makeAndForget(createSelfCleaningDoer, 100);
    expect(liveDaemons()).toBe(100);
    await collectGarbage();
    await vi.waitFor(() => expect(liveDaemons()).toBe(0), 10_000);
    expect(snapshot().counts.tasks).toBe(0);
  });

  it("keeps its daemon as long as it is held", async () => {
    const held = Array.from({ length: 10 }, createSelfCleaningDoer);
    makeAndForget(createSelfCleaningDoer, 10);
    await collectGarbage();
    await vi.waitFor(() => expect(liveDaemons()).toBe(10), 10_000);
    expect(held[0]).toBeInstanceOf(Doer);
    await Promise.all(held.map((doer) => close(doer)));
  });

  it("stops its daemon when it is closed", async () => {
    const doer = createSelfCleaningDoer();
    await close(doer);
    expect(liveDaemons()).toBe(0);
  });
});

describe("Doer.daemon()", () => {
  it("is over at once in a scope that is cancelled already", async () => {
    const scope = createScope();
    scope.cancel();
    const error = await new Doer().daemon(scope).catch((caught: unknown) => caught);
    expect(error).toBe(scope.reason);
    expect(liveDaemons()).toBe(0);
  });
});

describe("main.ts", () => {
  it("prints the original's numbers, and comes down to zero", { timeout: 60_000 }, async () => {
    const rounds = 64 * 1024;
    const growth = (from: number): number[] =>
      Array.from({ length: rounds / 1024 }, (_, step) => from + step * 1024 + 1);
    const expected = [
      "Phase 1",
      ...growth(0),
      `Daemons after phase 1: ${rounds}`,
      "",
      "Phase 2",
      ...growth(rounds),
      `Daemons after phase 2: ${2 * rounds}`,
      "",
      "Forcing GC...",
      "Sleeping to give daemons a chance to exit...",
      `Daemons after the collection: ${rounds}`,
      "Final daemons: 0",
      "",
    ];
    const { code, output } = await runExample("self-cleaning-worker");
    expect(output.split("\n")).toEqual(expected.map(String));
    expect(code).toBe(0);
  });

  it("refuses a number of rounds that is none", { timeout: 60_000 }, async () => {
    const { code, output } = await runExample("self-cleaning-worker", "--rounds=few");
    expect(code).toBe(1);
    expect(output).toContain('--rounds must be a whole number from 1, got "few"');
  });
});
