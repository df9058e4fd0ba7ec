import { describe, expect, it } from "vitest";
import { sleep } from "../flow/sleep.js";
import { createScope } from "../task/create-scope.js";
import { spawn } from "../task/spawn.js";
import { expectCollected, RetainedError } from "./expect-collected.js";
import { findRetainers } from "./retainers.js";

class Retained {
  readonly name = "retained";
}

const keeper = new Map<string, () => object>();

describe("expectCollected()", () => {
  it("resolves when the object is collected", async () => {
    await expectCollected(() => new Retained());
  });

  it("rule 19: resolves for the handle of a scope with a running task", async () => {
    await expectCollected(() => {
      const scope = createScope({ onOrphan: "ignore" });
      spawn(scope, (task) => sleep(task, 60_000));
      return scope;
    });
  });

  it("waits for what an async make returns", async () => {
    await expectCollected(async () => new Retained());
  });

  it("rejects with the path that keeps the object alive", async () => {
    const error: unknown = await expectCollected(() => {
      const kept = new Retained();
      keeper.set("key", () => kept);
      return kept;
    }).catch((thrown: unknown) => thrown);
    keeper.clear();
    expect(error).toBeInstanceOf(RetainedError);
    const { retainers, message, code } = error as RetainedError;
    expect(code).toBe("BOUGH_RETAINED");
    expect(retainers.at(-1)).toBe("variable kept → Retained");
    expect(retainers.join("\n")).toContain("Map");
    expect(message).toContain(retainers.at(-1));
  }, 60_000);

  it("rejects when make is no function, or returns no object", async () => {
    await expect(expectCollected(5 as never)).rejects.toBeInstanceOf(TypeError);
    await expect(expectCollected((() => 5) as never)).rejects.toBeInstanceOf(TypeError);
    await expect(expectCollected((() => null) as never)).rejects.toBeInstanceOf(TypeError);
  });
});

describe("findRetainers()", () => {
  it("says which package to install when it is missing", async () => {
    const probe = { ref: new WeakRef({}) };
    const answer = await findRetainers(probe, () => Promise.resolve(undefined));
    expect(answer).toContain("npm install --save-dev @memlab/heap-analysis");
  });
});
